"""How a user of the `anthropic` SDK holds a conversation with Messages."""

import base64
import json

import anthropic
from anthropic import Anthropic
from support import PATIENCE

from chat import lossy
from expectations import SIGNING
from question import CITY_SCHEMA, TOOLS, Answer, Call


class Messages:
    """`client.messages`."""

    name = "claude"
    persona = "anthropic"
    asks = {"stop", "tool error", "image in a result", "one call"}
    fields = {
        "stop": "stop_sequences",
        "tool error": "tool_result.is_error",
        "image in a result": "tool_result.content",
        "one call": "disable_parallel_tool_use",
    }
    proofs_of_thoughts = proofs_of_calls = SIGNING
    finishes = {
        "stop": "end_turn",
        "stop sequence": "stop_sequence",
        "length": "max_tokens",
        "calls": "tool_use",
        "filter": "refusal",
        "refusal": "refusal",
    }
    errors = {
        "bad request": anthropic.BadRequestError,
        "context": anthropic.BadRequestError,
        "authentication": anthropic.AuthenticationError,
        "forbidden": anthropic.PermissionDeniedError,
        "not found": anthropic.NotFoundError,
        "too large": anthropic.ContentTooLargeError,
        "rate limit": anthropic.RateLimitError,
        "server": anthropic.InternalServerError,
        "overloaded": anthropic.OverloadedError,
    }
    any_error = anthropic.APIError
    breaks = any_error

    def __init__(self, stage):
        # It does not try again, so that a test sees what the gateway does.
        self.sdk = Anthropic(base_url=stage.base(self.persona), api_key=stage.key, max_retries=0, timeout=PATIENCE)
        # The pieces of text, as they came.
        self.heard = []

    def ask(self, way, model, question, before=None):
        self.heard = []
        request = self.request(model, question, before)
        message, declared = getattr(self, way)(request)
        history = [*request["messages"], {"role": "assistant", "content": message.content}]
        return answer(message, declared, history)

    def request(self, model, question, before):
        history = before.history if before else []
        request = {
            "model": model,
            "max_tokens": 4096,
            "messages": [*history, {"role": "user", "content": content(question)}],
        }
        if question.system:
            request["system"] = question.system
        if question.tools:
            request["tools"] = [tool(name) for name in question.tools]
        if question.choice:
            request["tool_choice"] = {"type": "tool", "name": question.choice}
        if question.one_call:
            request["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        if question.thinking:
            request["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if question.schema:
            request["output_config"] = {"format": {"type": "json_schema", "schema": question.schema}}
        if question.stop:
            request["stop_sequences"] = list(question.stop)
        return request

    def whole(self, request):
        response = self.sdk.messages.with_raw_response.create(**request)
        return response.parse(), lossy(response)

    def stream(self, request):
        response = self.sdk.messages.with_raw_response.create(**request, stream=True)
        fold = Fold(self.heard)
        for event in response.parse():
            fold.add(event)
        return fold.whole(), lossy(response)

    def helper(self, request):
        with self.sdk.messages.stream(**request) as stream:
            for text in stream.text_stream:
                self.heard.append(text)
            return stream.get_final_message(), lossy(stream.response)

    def spent(self, spent):
        """How this protocol counts: what was read from a cache or written to it is not part of the input."""
        return {
            "input": spent.input - spent.cached - spent.written,
            "read": spent.cached,
            "written": spent.written,
            "output": spent.output,
            "thinking": spent.thinking,
        }

    def status(self, error):
        return error.status_code

    def retry_after(self, error):
        return error.response.headers.get("retry-after")

    def is_context_error(self, error):
        # Claude Code looks for these words.
        return "prompt is too long" in error.message


class Fold:
    """What a user makes of events: blocks one after the other, each with deltas of its own kind."""

    def __init__(self, heard):
        self.heard = heard
        self.message = None
        self.open = None
        self.json = ""
        self.is_over = False

    def add(self, event):
        assert not self.is_over, f"{event.type} after the end"
        getattr(self, event.type)(event)

    def message_start(self, event):
        assert self.message is None, "a second beginning"
        self.message = event.message
        assert self.message.content == []

    def content_block_start(self, event):
        assert self.open is None, "a block began within another"
        assert event.index == len(self.message.content)
        self.open = event.content_block
        self.json = ""
        self.message.content.append(self.open)

    def content_block_delta(self, event):
        delta = event.delta
        kinds = {"text_delta": "text", "citations_delta": "text", "input_json_delta": "tool_use"}
        assert self.open.type == kinds.get(delta.type, "thinking")
        if delta.type == "text_delta":
            self.heard.append(delta.text)
            self.open.text += delta.text
        elif delta.type == "citations_delta":
            self.open.citations = [*(self.open.citations or []), delta.citation]
        elif delta.type == "input_json_delta":
            self.json += delta.partial_json
        elif delta.type == "thinking_delta":
            self.open.thinking += delta.thinking
        elif delta.type == "signature_delta":
            self.open.signature = delta.signature

    def content_block_stop(self, event):
        assert event.index == len(self.message.content) - 1
        if self.open.type == "tool_use":
            self.open.input = json.loads(self.json or "{}")
        self.open = None

    def message_delta(self, event):
        assert self.open is None, "the end came within a block"
        self.message.stop_reason = event.delta.stop_reason
        self.message.stop_sequence = event.delta.stop_sequence
        for name, value in event.usage:
            if value is not None:
                setattr(self.message.usage, name, value)

    def message_stop(self, _event):
        self.is_over = True

    def whole(self):
        assert self.is_over, "the stream ended without an end"
        return self.message


def content(question):
    blocks = [result(it) for it in question.results]
    if question.text:
        blocks.append({"type": "text", "text": question.text})
    if question.image:
        blocks.append(picture(question.image))
    return blocks


def result(result):
    said = [{"type": "text", "text": result.text}]
    if result.image:
        said.append(picture(result.image))
    return {"type": "tool_result", "tool_use_id": result.call.id, "content": said, "is_error": result.is_error}


def picture(image):
    data = base64.b64encode(image).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def tool(name):
    return {"name": name, "description": TOOLS[name], "input_schema": CITY_SCHEMA}


def answer(message, declared, history):
    texts = [block for block in message.content if block.type == "text"]
    text = "".join(block.text for block in texts)
    return Answer(
        text=text,
        thinking="".join(block.thinking for block in message.content if block.type == "thinking"),
        calls=[Call(it.id, it.name, it.input) for it in message.content if it.type == "tool_use"],
        finish=message.stop_reason,
        stop_sequence=message.stop_sequence,
        usage=usage(message.usage),
        sources=[it.url for block in texts for it in block.citations or []],
        texts=[text],
        lossy=declared,
        history=history,
    )


def usage(usage):
    details = usage.output_tokens_details
    return {
        "input": usage.input_tokens,
        "read": usage.cache_read_input_tokens or 0,
        "written": usage.cache_creation_input_tokens or 0,
        "output": usage.output_tokens,
        "thinking": (details.thinking_tokens if details else 0) or 0,
    }
