"""Responses."""

import json

import pytest
from openai import APIError, NotFoundError
from pydantic import BaseModel

from support import json_reply

ASK = {"model": "smart", "input": "one two"}
SAID = "understudy heard: one two"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def test_answer(client):
    response = client.responses.create(**ASK)
    assert (response.status, response.output_text) == ("completed", SAID)
    assert response.usage.total_tokens > 0


def test_messages_as_input(client, understudy):
    items = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert client.responses.create(model="smart", input=items).output_text == "understudy heard: Hello"
    assert understudy.only_request().json["input"] == items


def test_what_was_asked_for_stands_unchanged(client, understudy):
    client.responses.create(
        **ASK, reasoning={"effort": "low", "summary": "auto"}, include=["reasoning.encrypted_content"], store=False
    )
    assert understudy.only_request().json == {
        "model": "gpt-test",
        "input": "one two",
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def test_incomplete(client):
    response = client.responses.create(**ASK, max_output_tokens=2)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_events(client):
    events = list(client.responses.create(**ASK, stream=True))
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAID
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_events_of_a_stream_are_not_asked_for_usage(client, understudy):
    list(client.responses.create(**ASK, stream=True))
    assert "stream_options" not in understudy.only_request().json


def test_accumulator(client):
    with client.responses.stream(**ASK) as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    assert response.output_text == SAID
    assert response.usage.output_tokens > 0


def test_structured_output(client):
    class Answer(BaseModel):
        text: str

    assert client.responses.parse(**ASK, text_format=Answer).output_parsed == Answer(text="one two")
    with client.responses.stream(**ASK, text_format=Answer) as stream:
        assert stream.get_final_response().output_parsed == Answer(text="one two")


def test_function_call_and_its_result(client):
    question = {"role": "user", "content": "Use get_weather"}
    response = client.responses.create(model="smart", input=[question], tools=[TOOL])
    (call,) = response.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Use get_weather"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    items = [question, call.model_dump(exclude_none=True), result]
    assert client.responses.create(model="smart", input=items, tools=[TOOL]).output_text.endswith("the tool said: sunny")


def test_streamed_function_call(client):
    with client.responses.stream(model="smart", input="Use get_weather", tools=[TOOL]) as stream:
        events = list(stream)
        response = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == response.output[0].arguments == '{"city":"Use get_weather"}'


def test_cut_in_the_middle(client, understudy):
    understudy.on({"persona": True, "cut_at": 3000})
    seen = []
    with pytest.raises(APIError):
        for event in client.responses.create(**ASK, stream=True):
            seen.append(event.type)
    assert seen[0] == "response.created"
    assert "response.completed" not in seen


def test_stored_responses_are_passed_through(client, understudy):
    understudy.on(json_reply({"id": "resp_1", "object": "response", "status": "cancelled", "output": []}), path="/v1/responses/*")
    assert client.responses.retrieve("resp_1", include=["reasoning.encrypted_content"]).id == "resp_1"
    client.responses.cancel("resp_1")
    client.responses.delete("resp_1")
    client.responses.input_items.list("resp_1", limit=2)
    assert [(request.method, request.target) for request in understudy.received()] == [
        ("GET", "/v1/responses/resp_1?include%5B%5D=reasoning.encrypted_content"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1/input_items?limit=2"),
    ]


def test_stored_response_that_is_not_there(client):
    with pytest.raises(NotFoundError):
        client.responses.retrieve("resp_none")


def test_input_tokens(client, understudy):
    understudy.on(json_reply({"object": "response.input_tokens", "input_tokens": 7}), path="/v1/responses/input_tokens")
    assert client.responses.input_tokens.count(**ASK).input_tokens == 7
    assert understudy.only_request().json["model"] == "gpt-test"
