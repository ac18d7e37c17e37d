"""How a user of the `openai` SDK holds a conversation with Responses."""

import base64
import json

import openai

from chat import Chat, lossy
from expectations import SIGNING
from question import CITY_SCHEMA, TOOLS, Answer, Call


class StreamFailed(Exception):
    """The stream said that the response failed; the SDK leaves it to its user to notice."""


class Responses(Chat):
    """`client.responses`, without storing anything at the provider."""

    name = "responses"
    persona = "openai-responses/v1"
    asks = {"logprobs", "image in a result", "one call"}
    fields = {
        "logprobs": "logprobs",
        "image in a result": "function_call_output.output",
        "one call": "parallel_tool_calls",
    }
    proofs_of_thoughts = proofs_of_calls = SIGNING
    finishes = {
        "stop": "completed",
        "length": "incomplete: max_output_tokens",
        "calls": "completed",
        "filter": "incomplete: content_filter",
        "refusal": "completed",
    }
    # The helper knows no other error for an answer that did not become complete.
    any_error = (openai.APIError, StreamFailed, RuntimeError)
    breaks = any_error

    def ask(self, way, model, question, before=None):
        self.heard = []
        request = self.request(model, question, before)
        response, declared = getattr(self, way)(request)
        return answer(response, declared, [*request["input"], *response.output])

    def request(self, model, question, before):
        request = {"model": model, "input": [*(before.history if before else []), *items(question)], "store": False}
        include = []
        if question.system:
            request["instructions"] = question.system
        if question.tools:
            request["tools"] = [tool(name) for name in question.tools]
        if question.choice:
            request["tool_choice"] = {"type": "function", "name": question.choice}
        if question.one_call:
            request["parallel_tool_calls"] = False
        if question.thinking:
            request["reasoning"] = {"effort": "medium", "summary": "auto"}
            include.append("reasoning.encrypted_content")
        if question.schema:
            schema = {"type": "json_schema", "name": "report", "schema": question.schema, "strict": True}
            request["text"] = {"format": schema}
        if question.logprobs is not None:
            request["top_logprobs"] = question.logprobs
            include.append("message.output_text.logprobs")
        return request | ({"include": include} if include else {})

    def whole(self, request):
        response = self.sdk.responses.with_raw_response.create(**request)
        return response.parse(), lossy(response)

    def stream(self, request):
        response = self.sdk.responses.with_raw_response.create(**request, stream=True)
        fold = Fold(self.heard)
        for event in response.parse():
            fold.add(event)
        return fold.whole(), lossy(response)

    def helper(self, request):
        with self.sdk.responses.stream(**request) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    self.heard.append(event.delta)
                if event.type == "response.incomplete":
                    # The helper has no final response then; its user takes it from the event.
                    return event.response, lossy(stream._response)
            return stream.get_final_response(), lossy(stream._response)

    def spent(self, spent):
        """How this protocol counts: all input and output, with their parts beside them."""
        return {
            "input": spent.input,
            "output": spent.output,
            "total": spent.input + spent.output,
            "cached": spent.cached,
            "written": spent.written,
            "reasoning": spent.thinking,
        }


class Fold:
    """What a user makes of events, and what must be true of their order."""

    def __init__(self, heard):
        self.heard = heard
        self.number = -1
        self.done = []
        self.texts = {}
        self.arguments = {}
        self.final = None

    def add(self, event):
        if event.type in ("response.failed", "error"):
            raise StreamFailed(event)
        assert self.final is None, f"{event.type} after the end"
        assert event.sequence_number == self.number + 1
        self.number += 1
        if self.number == 0:
            assert event.type == "response.created"
        if event.type == "response.output_text.delta":
            self.heard.append(event.delta)
            self.texts[event.item_id] = self.texts.get(event.item_id, "") + event.delta
        elif event.type == "response.function_call_arguments.delta":
            self.arguments[event.item_id] = self.arguments.get(event.item_id, "") + event.delta
        elif event.type == "response.output_item.done":
            assert event.output_index == len(self.done)
            self.done.append(event.item)
        elif event.type in ("response.completed", "response.incomplete"):
            self.final = event.response

    def whole(self):
        assert self.final, "the stream ended without an end"
        assert [it.id for it in self.done] == [it.id for it in self.final.output]
        for item in self.final.output:
            if item.type == "message":
                said = "".join(part.text for part in item.content if part.type == "output_text")
                assert self.texts.get(item.id, "") == said
            if item.type == "function_call":
                assert self.arguments[item.id] == item.arguments
        return self.final


def items(question):
    results = [output(it) for it in question.results]
    content = []
    if question.text:
        content.append({"type": "input_text", "text": question.text})
    if question.image:
        content.append(picture(question.image))
    return [*results, {"role": "user", "content": content}] if content else results


def output(result):
    said = result.text
    if result.image:
        said = [{"type": "input_text", "text": result.text}, picture(result.image)]
    return {"type": "function_call_output", "call_id": result.call.id, "output": said}


def picture(image):
    data = base64.b64encode(image).decode()
    return {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"}


def tool(name):
    return {"type": "function", "name": name, "description": TOOLS[name], "parameters": CITY_SCHEMA, "strict": False}


def answer(response, declared, history):
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    texts = [part for part in parts if part.type == "output_text"]
    refusals = [part.refusal for part in parts if part.type == "refusal"]
    finish = response.status
    if response.incomplete_details:
        finish += f": {response.incomplete_details.reason}"
    return Answer(
        text=response.output_text,
        refusal="".join(refusals) or None,
        thinking="".join(thought(item) for item in response.output if item.type == "reasoning"),
        calls=[call(item) for item in response.output if item.type == "function_call"],
        finish=finish,
        usage=usage(response.usage),
        sources=[it.url for part in texts for it in part.annotations],
        tokens=[it.token for part in texts for it in part.logprobs or []],
        texts=[response.output_text],
        lossy=declared,
        history=history,
    )


def thought(item):
    return "".join(part.text for part in [*item.summary, *(item.content or [])])


def call(item):
    return Call(item.call_id, item.name, json.loads(item.arguments))


def usage(usage):
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "total": usage.total_tokens,
        "cached": usage.input_tokens_details.cached_tokens,
        "written": usage.input_tokens_details.cache_write_tokens or 0,
        "reasoning": usage.output_tokens_details.reasoning_tokens,
    }
