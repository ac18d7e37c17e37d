"""How a user of the `openai` SDK holds a conversation with Chat Completions."""

import base64
import json

import openai
from openai import OpenAI
from support import PATIENCE

from question import CITY_SCHEMA, TOOLS, Answer, Call


class Chat:
    """`client.chat.completions`."""

    name = "chat"
    persona = "openai-chat/v1"
    asks = {"candidates", "logprobs", "stop", "one call"}
    fields = {
        "candidates": "n",
        "logprobs": "logprobs",
        "stop": "stop",
        "one call": "parallel_tool_calls",
        "proof": "messages.reasoning_content",
    }
    # Thoughts have no place for their provider's proof here; calls have one, which Google made up.
    proofs_of_thoughts = set()
    proofs_of_calls = {"gem"}
    finishes = {
        "stop": "stop",
        "stop sequence": "stop",
        "length": "length",
        "calls": "tool_calls",
        "filter": "content_filter",
        "refusal": "stop",
    }
    errors = {
        "bad request": openai.BadRequestError,
        "context": openai.BadRequestError,
        "authentication": openai.AuthenticationError,
        "forbidden": openai.PermissionDeniedError,
        "not found": openai.NotFoundError,
        "too large": openai.APIStatusError,
        "rate limit": openai.RateLimitError,
        "server": openai.InternalServerError,
        "overloaded": openai.InternalServerError,
    }
    any_error = openai.APIError
    breaks = any_error

    def __init__(self, stage):
        # It does not try again, so that a test sees what the gateway does.
        self.sdk = OpenAI(base_url=f"{stage.base(self.persona)}/v1", api_key=stage.key, max_retries=0, timeout=PATIENCE)
        # The pieces of text, as they came.
        self.heard = []

    def ask(self, way, model, question, before=None):
        self.heard = []
        request = self.request(model, question, before)
        message, rest, lossy, native = getattr(self, way)(request)
        return self.answer(message, rest, lossy, [*request["messages"], native])

    def request(self, model, question, before):
        request = {"model": model, "messages": [*(before.history if before else []), *messages(question)]}
        if question.system:
            request["messages"].insert(0, {"role": "system", "content": question.system})
        if question.tools:
            request["tools"] = [tool(name) for name in question.tools]
        if question.choice:
            request["tool_choice"] = {"type": "function", "function": {"name": question.choice}}
        if question.one_call:
            request["parallel_tool_calls"] = False
        if question.thinking:
            request["reasoning_effort"] = "medium"
        if question.schema:
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "report", "schema": question.schema, "strict": True},
            }
        if question.stop:
            request["stop"] = list(question.stop)
        if question.candidates:
            request["n"] = question.candidates
        if question.logprobs is not None:
            request |= {"logprobs": True, "top_logprobs": question.logprobs}
        return request

    def whole(self, request):
        response = self.sdk.chat.completions.with_raw_response.create(**request)
        completion = response.parse()
        rest = completion.model_dump()
        return rest["choices"][0]["message"], rest, lossy(response), completion.choices[0].message

    def stream(self, request):
        response = self.sdk.chat.completions.with_raw_response.create(
            **request, stream=True, stream_options={"include_usage": True}
        )
        completion = Fold(self.heard)
        for chunk in response.parse():
            completion.add(chunk)
        rest = completion.whole()
        return rest["choices"][0]["message"], rest, lossy(response), rest["choices"][0]["message"]

    def helper(self, request):
        with self.sdk.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
            for event in stream:
                if event.type == "content.delta":
                    self.heard.append(event.delta)
            try:
                completion = stream.get_final_completion()
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                # The helper insists on whole answers; its user takes what there is.
                completion = stream.current_completion_snapshot
            rest = completion.model_dump()
            return rest["choices"][0]["message"], rest, lossy(stream._response), unparsed(completion.choices[0].message)

    def answer(self, message, rest, declared, history):
        choice = rest["choices"][0]
        tokens = (choice.get("logprobs") or {}).get("content") or []
        return Answer(
            text=message.get("content") or "",
            refusal=message.get("refusal"),
            thinking=message.get("reasoning_content") or "",
            calls=[call(it) for it in message.get("tool_calls") or []],
            finish=choice["finish_reason"],
            usage=usage(rest["usage"]),
            sources=[it["url_citation"]["url"] for it in message.get("annotations") or []],
            tokens=[it["token"] for it in tokens],
            texts=[it["message"].get("content") for it in rest["choices"]],
            lossy=declared,
            history=history,
        )

    def spent(self, spent):
        """How this protocol counts: all input and output, with their parts beside them."""
        return {
            "prompt": spent.input,
            "completion": spent.output,
            "total": spent.input + spent.output,
            "cached": spent.cached,
            "written": spent.written,
            "reasoning": spent.thinking,
        }

    def status(self, error):
        return error.status_code

    def retry_after(self, error):
        return error.response.headers.get("retry-after")

    def is_context_error(self, error):
        return error.code == "context_length_exceeded"


class Fold:
    """What a user makes of chunks. Ids and names come once, and calls are numbered from 0 without gaps."""

    def __init__(self, heard):
        self.heard = heard
        self.choices = {}
        self.usage = None
        self.ids = set()

    def add(self, chunk):
        assert chunk.object == "chat.completion.chunk"
        assert self.usage is None or chunk.usage, "a chunk after the usage"
        self.ids.add(chunk.id)
        self.usage = chunk.usage and chunk.usage.model_dump()
        for it in chunk.choices:
            fresh = {"message": {"role": None}, "finish_reason": None, "logprobs": None}
            choice = self.choices.setdefault(it.index, fresh)
            self.add_delta(choice["message"], it.delta)
            choice["finish_reason"] = it.finish_reason or choice["finish_reason"]
            if it.logprobs and it.logprobs.content:
                tokens = choice["logprobs"] or {"content": []}
                choice["logprobs"] = {"content": tokens["content"] + it.logprobs.model_dump()["content"]}

    def add_delta(self, message, delta):
        if delta.role:
            assert message["role"] is None, "the role came twice"
            message["role"] = delta.role
        if delta.content:
            self.heard.append(delta.content)
        extras = delta.model_extra or {}
        for name, piece in {"content": delta.content, "refusal": delta.refusal, **extras}.items():
            if isinstance(piece, str) and piece:
                message[name] = (message.get(name) or "") + piece
            elif isinstance(piece, list):
                message[name] = message.get(name, []) + piece
        for piece in delta.tool_calls or []:
            add_call(message.setdefault("tool_calls", []), piece)

    def whole(self):
        assert len(self.ids) == 1, "one completion has one id"
        for choice in self.choices.values():
            choice["message"].setdefault("content", None)
        return {"choices": [self.choices[index] for index in sorted(self.choices)], "usage": self.usage}


def add_call(calls, piece):
    if piece.index == len(calls):
        calls.append({"id": piece.id, "type": "function", "function": {"name": piece.function.name, "arguments": ""}})
        calls[-1].update(piece.model_extra or {})
    else:
        assert not piece.id and not piece.function.name, "an id and a name come once"
    calls[piece.index]["function"]["arguments"] += piece.function.arguments or ""


def messages(question):
    results = [{"role": "tool", "tool_call_id": it.call.id, "content": it.text} for it in question.results]
    if question.image:
        data = base64.b64encode(question.image).decode()
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        return [*results, {"role": "user", "content": [{"type": "text", "text": question.text}, picture]}]
    return [*results, {"role": "user", "content": question.text}] if question.text else results


def tool(name):
    return {"type": "function", "function": {"name": name, "description": TOOLS[name], "parameters": CITY_SCHEMA}}


def call(call):
    assert call["type"] == "function"
    return Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))


def usage(usage):
    prompt, completion = usage["prompt_tokens_details"] or {}, usage["completion_tokens_details"] or {}
    return {
        "prompt": usage["prompt_tokens"],
        "completion": usage["completion_tokens"],
        "total": usage["total_tokens"],
        "cached": prompt.get("cached_tokens") or 0,
        "written": prompt.get("cache_write_tokens") or 0,
        "reasoning": completion.get("reasoning_tokens") or 0,
    }


def unparsed(message):
    """A message of the helper without what the SDK itself added to it, which OpenAI does not know."""
    sent = message.to_dict()
    sent.pop("parsed", None)
    for call in sent.get("tool_calls") or []:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return sent


def lossy(response):
    return response.headers.get("x-mynah-lossy", "")
