"""The columns of the matrix, and what the providers in them cannot do."""

from dataclasses import dataclass, field

THOUGHT = "Let me think about this."
AFTERTHOUGHT = "I thought about it."
REFUSAL = "I cannot help with that."
CITED = "Paris is the capital of France."
CITED_URL = "https://understudy.invalid/france"
UNICODE = (
    "Grüße 😀 👩\u200d👩\u200d👧\u200d👦 🇫🇷 e\u0301n\u0303 日本語 한국어 שלום مرحبا 𝒳𠮷 z\u200dw — end"
)
LONG = " ".join(f"word{number}" for number in range(1, 301))

# How a provider that cannot do something shows it.
REFUSED = "refused"  # 400, which names the field
DECLARED = "declared"  # the header x-mynah-lossy names the field
ABSENT = "absent"  # the provider's protocol has no word for it: the client is told nothing


@dataclass(frozen=True)
class Cannot:
    """Something that a provider cannot do."""

    how: str
    reason: str


@dataclass(frozen=True)
class Upstream:
    """A provider: a column of the matrix."""

    name: str
    persona: str
    kind: str
    model: str
    # One that shows its thoughts.
    thinker: str
    # How signatures begin that must come back.
    seal: str = ""
    cannot: dict[str, Cannot] = field(default_factory=dict)

    def how_not(self, feature):
        """How it shows that it cannot do something; None if it can."""
        return self.cannot[feature].how if feature in self.cannot else None


NO_FLAG = Cannot(DECLARED, "a tool's result has no mark for failure: the text says so")
ONE_ANSWER = Cannot(REFUSED, "one answer to a request")

UPSTREAMS = [
    Upstream(
        name="chat",
        persona="openai-chat/v1",
        kind='kind = "openai"\napis = ["chat"]',
        model="gpt-4o",
        thinker="some-model",
        cannot={
            "tool error": NO_FLAG,
            "which stop": Cannot(ABSENT, "`stop` does not tell what it stopped at"),
            "signature": Cannot(ABSENT, "thoughts are shown, not signed"),
        },
    ),
    Upstream(
        name="responses",
        persona="openai-responses/v1",
        kind='kind = "openai"\napis = ["responses"]',
        model="gpt-5",
        thinker="gpt-5",
        seal="openai",
        cannot={
            "tool error": NO_FLAG,
            "candidates": ONE_ANSWER,
            "stop": Cannot(DECLARED, "no stop sequences"),
            "which stop": Cannot(ABSENT, "no stop sequences"),
        },
    ),
    Upstream(
        name="claude",
        persona="anthropic",
        kind='kind = "anthropic"',
        model="claude-opus-4-6",
        thinker="claude-opus-4-6",
        seal="anthropic",
        cannot={
            "candidates": ONE_ANSWER,
            "logprobs": Cannot(DECLARED, "no probabilities of tokens"),
            "refusal words": Cannot(ABSENT, "a refusal is a reason, without words"),
            "blocked": Cannot(ABSENT, "a filter is the same reason as a refusal"),
        },
    ),
    Upstream(
        name="gem",
        persona="gemini",
        kind='kind = "gemini"',
        model="gemini-3-pro",
        thinker="gemini-3-pro",
        seal="gemini",
        cannot={
            "refusal words": Cannot(ABSENT, "a refusal is the reason SAFETY, without words"),
            "one call": Cannot(DECLARED, "calls in parallel cannot be switched off"),
            "split turns": Cannot(REFUSED, "two contents of the same speaker in a row; joined before they go back"),
            "which stop": Cannot(ABSENT, "STOP does not tell what it stopped at"),
            "cache writes": Cannot(ABSENT, "the usage does not tell what was written to a cache"),
        },
    ),
    Upstream(
        name="co",
        persona="cohere",
        kind='kind = "cohere"',
        model="command-a-03-2025",
        thinker="command-a-reasoning-08-2025",
        cannot={
            "tool error": NO_FLAG,
            "candidates": ONE_ANSWER,
            "logprobs": Cannot(DECLARED, "probabilities of the chosen tokens only, none of the others"),
            "one call": Cannot(DECLARED, "calls in parallel cannot be switched off"),
            "image in a result": Cannot(DECLARED, "a tool's result is text or documents"),
            "refusal": Cannot(ABSENT, "a refusal is a text like any other"),
            "blocked": Cannot(REFUSED, "a filter is the reason ERROR: an error"),
            "stop sequence": Cannot(ABSENT, "STOP_SEQUENCE does not tell which"),
            "signature": Cannot(ABSENT, "thoughts are shown, not signed"),
            "cache writes": Cannot(ABSENT, "the usage does not tell what was written to a cache"),
            "thinking usage": Cannot(ABSENT, "the usage does not tell what thinking took"),
        },
    ),
]

# The providers whose proofs of thinking must come back to them.
SIGNING = {it.name for it in UPSTREAMS if not it.how_not("signature")}

# What a scenario's error means, whatever the provider's status for it.
ERRORS = {
    "error-400": "bad request",
    "error-401": "authentication",
    "error-403": "forbidden",
    "error-404": "not found",
    "error-413": "too large",
    "error-429": "rate limit",
    "error-500": "server",
    "error-503": "overloaded",
    "error-529": "overloaded",
    "error-context": "context",
}
