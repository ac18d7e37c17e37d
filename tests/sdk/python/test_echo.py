"""The built-in model, which answers without any provider."""

import json

import pytest
from openai import BadRequestError

ECHO = "mynah/echo"
ASK = {"model": ECHO, "messages": [{"role": "user", "content": "Good day to you"}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
TOOL = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}


@pytest.fixture(autouse=True)
def no_provider_is_asked(understudy):
    yield
    assert understudy.received() == []


def test_chat(client):
    completion = client.chat.completions.create(**ASK)
    assert completion.choices[0].message.content == "Good day to you"
    assert completion.model == ECHO


def test_chat_stream(client):
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Good day to you"
    with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == "Good day to you"
    assert completion.usage.total_tokens > 0


@pytest.mark.parametrize("text", ["", "naïve 日本語 👩‍👩‍👧‍👦\n\n data: [DONE]\n\nx", "  two  spaces  "])
def test_any_text(client, text):
    ask = {"model": ECHO, "messages": [{"role": "user", "content": text}]}
    assert client.chat.completions.create(**ask).choices[0].message.content == text
    with client.chat.completions.stream(**ask) as stream:
        assert (stream.get_final_completion().choices[0].message.content or "") == text


def test_tools(client):
    ask = {"model": ECHO, "messages": [{"role": "user", "content": "get_weather, please"}], "tools": [CHAT_TOOL]}
    whole = client.chat.completions.create(**ask).choices[0]
    with client.chat.completions.stream(**ask) as stream:
        streamed = stream.get_final_completion().choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls
        assert (call.type, call.function.name) == ("function", "get_weather")
        assert json.loads(call.function.arguments) == {"city": "get_weather, please"}


def test_tool_result(client):
    ask = {"model": ECHO, "messages": [{"role": "user", "content": "get_weather"}], "tools": [CHAT_TOOL]}
    message = client.chat.completions.create(**ask).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    ask["messages"] += [message.model_dump(exclude_none=True), result]
    assert client.chat.completions.create(**ask).choices[0].message.content == "sunny"


def test_responses(client):
    response = client.responses.create(model=ECHO, input="Good day")
    assert (response.status, response.output_text) == ("completed", "Good day")
    with client.responses.stream(model=ECHO, input="Good day to you") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "Good day to you"


def test_responses_function_call(client):
    with client.responses.stream(model=ECHO, input="get_weather, now", tools=[TOOL]) as stream:
        events = list(stream)
        (call,) = stream.get_final_response().output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "get_weather, now"})
    assert "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta") == call.arguments


def test_completions(client):
    assert client.completions.create(model=ECHO, prompt="Once upon").choices[0].text == "Once upon"
    chunks = client.completions.create(model=ECHO, prompt="Once upon a time", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Once upon a time"


def test_embeddings(client):
    as_base64 = client.embeddings.create(model=ECHO, input=["one", "two"], dimensions=40)
    as_float = client.embeddings.create(model=ECHO, input=["one", "two"], dimensions=40, encoding_format="float")
    assert [len(entry.embedding) for entry in as_base64.data] == [40, 40]
    for one, other in zip(as_base64.data, as_float.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)


def test_what_it_cannot_do(client):
    with pytest.raises(BadRequestError) as caught:
        client.images.generate(model=ECHO, prompt="a cat")
    assert caught.value.code == "unsupported_operation"
