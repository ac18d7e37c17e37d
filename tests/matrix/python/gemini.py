"""How a user of the `google-genai` SDK holds a conversation."""

import httpx2
from google import genai
from google.genai import types
from google.genai.errors import APIError, ClientError, ServerError
from support import PATIENCE

from expectations import SIGNING
from question import CITY_SCHEMA, TOOLS, Answer, Call


class Gemini:
    """`client.models`, and `client.chats` as the helper."""

    name = "gem"
    persona = "gemini"
    asks = {"candidates", "logprobs", "stop", "tool error", "image in a result"}
    fields = {
        "candidates": "candidateCount",
        "logprobs": "responseLogprobs",
        "stop": "stopSequences",
        "tool error": "functionResponse.response.error",
        "image in a result": "functionResponse.parts",
    }
    proofs_of_thoughts = proofs_of_calls = SIGNING
    finishes = {
        "stop": "STOP",
        "stop sequence": "STOP",
        "length": "MAX_TOKENS",
        "calls": "STOP",
        "filter": "SAFETY",
        "refusal": "SAFETY",
    }
    errors = dict.fromkeys(
        ["bad request", "context", "authentication", "forbidden", "not found", "too large", "rate limit"],
        ClientError,
    ) | dict.fromkeys(["server", "overloaded"], ServerError)
    any_error = APIError
    # A whole answer that breaks off on its way has no error of Google's own.
    breaks = (APIError, httpx2.TransportError)

    def __init__(self, stage):
        options = types.HttpOptions(base_url=stage.base(self.persona), timeout=int(PATIENCE * 1000))
        self.sdk = genai.Client(api_key=stage.key, http_options=options)
        # The pieces of text, as they came.
        self.heard = []

    def ask(self, way, model, question, before=None):
        self.heard = []
        history = list(before.history) if before else []
        return getattr(self, way)(model, history, parts(question), config(question))

    def whole(self, model, history, said, config):
        contents = [*history, types.Content(role="user", parts=said)]
        response = self.sdk.models.generate_content(model=model, contents=contents, config=config)
        return answer([response], contents)

    def stream(self, model, history, said, config):
        contents = [*history, types.Content(role="user", parts=said)]
        chunks = self.listened(self.sdk.models.generate_content_stream(model=model, contents=contents, config=config))
        return answer(chunks, contents)

    def helper(self, model, history, said, config):
        chat = self.sdk.chats.create(model=model, config=config, history=history)
        chunks = self.listened(chat.send_message_stream(said))
        return answer(chunks, chat.get_history(), is_whole=True)

    def listened(self, stream):
        chunks = []
        for chunk in stream:
            chunks.append(chunk)
            self.heard.extend(part.text for part in parts_of(chunk) if part.text and not part.thought)
        return chunks

    def spent(self, spent):
        """How this protocol counts: thoughts are not part of what the candidates took."""
        return {
            "prompt": spent.input,
            "candidates": spent.output - spent.thinking,
            "thoughts": spent.thinking,
            "cached": spent.cached,
            "total": spent.input + spent.output,
        }

    def status(self, error):
        return error.code

    def retry_after(self, error):
        # There is no header for it: it stands in the details.
        details = error.details["error"].get("details", [])
        delays = [it["retryDelay"] for it in details if it["@type"].endswith("RetryInfo")]
        return delays[0].removesuffix("s") if delays else None

    def is_context_error(self, error):
        return error.status == "INVALID_ARGUMENT"


def joined(history):
    """The contents of the same speaker in one: the helper remembers each chunk of a stream as one of its own."""
    contents = []
    for content in history:
        if contents and contents[-1].role == content.role:
            contents[-1] = types.Content(role=content.role, parts=[*contents[-1].parts, *content.parts])
        else:
            contents.append(content)
    return contents


def parts(question):
    said = [result(it) for it in question.results]
    if question.text:
        said.append(types.Part.from_text(text=question.text))
    if question.image:
        said.append(types.Part.from_bytes(data=question.image, mime_type="image/png"))
    return said


def result(result):
    picture = None
    if result.image:
        blob = types.FunctionResponseBlob(mime_type="image/png", data=result.image)
        picture = [types.FunctionResponsePart(inline_data=blob)]
    response = types.FunctionResponse(
        id=result.call.id,
        name=result.call.name,
        response={"error" if result.is_error else "output": result.text},
        parts=picture,
    )
    return types.Part(function_response=response)


def config(question):
    config = types.GenerateContentConfig(automatic_function_calling={"disable": True})
    if question.system:
        config.system_instruction = question.system
    if question.choice:
        calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=[question.choice])
        config.tool_config = types.ToolConfig(function_calling_config=calling)
    if question.tools:
        config.tools = [types.Tool(function_declarations=[declaration(name) for name in question.tools])]
    if question.thinking:
        config.thinking_config = types.ThinkingConfig(include_thoughts=True)
    if question.schema:
        config.response_mime_type = "application/json"
        config.response_json_schema = question.schema
    if question.stop:
        config.stop_sequences = list(question.stop)
    if question.candidates:
        config.candidate_count = question.candidates
    if question.logprobs is not None:
        config.response_logprobs = True
        config.logprobs = question.logprobs
    return config


def declaration(name):
    return types.FunctionDeclaration(name=name, description=TOOLS[name], parameters_json_schema=CITY_SCHEMA)


def parts_of(chunk, index=0):
    candidates = [it for it in chunk.candidates or [] if (it.index or 0) == index]
    return [part for it in candidates if it.content for part in it.content.parts or []]


def answer(chunks, history, is_whole=False):
    """What several chunks, or one whole answer, tell."""
    said = [part for chunk in chunks for part in parts_of(chunk)]
    candidates = [it for chunk in chunks for it in chunk.candidates or []]
    count = max((it.index or 0 for it in candidates), default=0) + 1
    headers = chunks[0].sdk_http_response.headers if chunks[0].sdk_http_response else {}
    if not is_whole and said:
        history = [*history, types.Content(role="model", parts=said)]
    return Answer(
        text=text_of(said),
        thinking="".join(part.text for part in said if part.text and part.thought),
        calls=[call(part.function_call) for part in said if part.function_call],
        finish=finish(chunks, candidates),
        usage=usage(chunks[-1].usage_metadata),
        sources=[url for candidate in candidates for url in sources(candidate)],
        tokens=[token for candidate in candidates if not candidate.index for token in tokens(candidate)],
        texts=[text_of([part for chunk in chunks for part in parts_of(chunk, index)]) for index in range(count)],
        lossy=headers.get("x-mynah-lossy", ""),
        history=history,
    )


def text_of(parts):
    return "".join(part.text for part in parts if part.text and not part.thought)


def call(call):
    return Call(call.id, call.name, call.args or {})


def finish(chunks, candidates):
    reasons = [it.finish_reason.value for it in candidates if it.finish_reason]
    blocks = [it.prompt_feedback.block_reason.value for it in chunks if it.prompt_feedback]
    return (reasons or blocks or [None])[-1]


def sources(candidate):
    found = [it.uri for it in (candidate.citation_metadata and candidate.citation_metadata.citations) or []]
    grounding = candidate.grounding_metadata
    return found + [it.web.uri for it in (grounding and grounding.grounding_chunks) or [] if it.web]


def tokens(candidate):
    result = candidate.logprobs_result
    return [it.token for it in (result and result.chosen_candidates) or []]


def usage(usage):
    return {
        "prompt": usage.prompt_token_count,
        "candidates": usage.candidates_token_count or 0,
        "thoughts": usage.thoughts_token_count or 0,
        "cached": usage.cached_content_token_count or 0,
        "total": usage.total_token_count,
    }
