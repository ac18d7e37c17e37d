"""What is asked of every provider and what a user is told, in no protocol's words."""

import base64
from dataclasses import dataclass, field
from typing import Any

# One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG_SEEN = f"image/png, {len(PNG)} bytes"

CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The name of a city."}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = {"weather": "Tells the weather in a city.", "clock": "Tells the time in a city."}
REPORT_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Result:
    """What a tool answered to a call."""

    call: "Call"
    text: str
    is_error: bool = False
    image: bytes | None = None


@dataclass(frozen=True)
class Question:
    """One turn of the user."""

    text: str = ""
    system: str = ""
    image: bytes | None = None
    tools: tuple[str, ...] = ()
    # The tool that must be called.
    choice: str | None = None
    one_call: bool = False
    results: tuple[Result, ...] = ()
    schema: dict | None = None
    thinking: bool = False
    stop: tuple[str, ...] = ()
    candidates: int | None = None
    logprobs: int | None = None


@dataclass(frozen=True)
class Call:
    """A tool that the user is to run."""

    id: str | None
    name: str
    arguments: dict


@dataclass
class Answer:
    """What a user of an SDK is told."""

    text: str = ""
    refusal: str | None = None
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    # In the words of the client's own protocol.
    finish: Any = None
    stop_sequence: str | None = None
    usage: dict | None = None
    # Addresses of what the answer rests on.
    sources: list[str] = field(default_factory=list)
    # Tokens whose probability is told.
    tokens: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lossy: str = ""
    # The conversation so far, in the SDK's own objects, exactly as the SDK returned them.
    history: list = field(default_factory=list)


@dataclass(frozen=True)
class Spent:
    """How many tokens a provider says it used; input and output include all others."""

    input: int = 13
    output: int = 9
    cached: int = 0
    written: int = 0
    thinking: int = 0
