"""Tools, called in one piece and in streams."""

import json

import openai
import pytest
from pydantic import BaseModel

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA}}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
TOOLS = [WEATHER, CLOCK]


def asking(text):
    return {"model": "smart", "messages": [{"role": "user", "content": text}], "tools": TOOLS}


def test_call(client):
    choice = client.chat.completions.create(**asking("Use get_weather")).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Use get_weather", "days": 1}


def test_parallel_calls(client):
    choice = client.chat.completions.create(**asking("get_weather and get_time")).choices[0]
    assert [call.function.name for call in choice.message.tool_calls] == ["get_weather", "get_time"]
    assert len({call.id for call in choice.message.tool_calls}) == 2


def test_choice_of_a_tool(client):
    choice = {"type": "function", "function": {"name": "get_time"}}
    completion = client.chat.completions.create(**asking("Hello"), tool_choice=choice)
    assert completion.choices[0].message.tool_calls[0].function.name == "get_time"
    completion = client.chat.completions.create(**asking("get_time"), tool_choice="none")
    assert completion.choices[0].message.tool_calls is None


def test_a_whole_conversation(client, understudy):
    question = asking("Use get_weather")
    message = client.chat.completions.create(**question).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    question["messages"] += [message.model_dump(exclude_none=True), result]
    completion = client.chat.completions.create(**question)
    assert completion.choices[0].message.content.endswith("the tool said: sunny")
    assert understudy.received()[1].json["messages"][2] == result


def test_streamed_call(client):
    deltas = []
    for chunk in client.chat.completions.create(**asking("Use get_weather"), stream=True):
        deltas += chunk.choices[0].delta.tool_calls or []
    assert [delta.function.name for delta in deltas if delta.function.name] == ["get_weather"]
    assert [delta.id is not None for delta in deltas] == [True] + [False] * (len(deltas) - 1)
    arguments = "".join(delta.function.arguments for delta in deltas)
    assert json.loads(arguments) == {"city": "Use get_weather", "days": 1}
    assert len(deltas) > 2


def test_accumulated_parallel_calls(client):
    with client.chat.completions.stream(**asking("get_weather and get_time")) as stream:
        events = list(stream)
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [(call.index, call.function.name) for call in choice.message.tool_calls] == [(0, "get_weather"), (1, "get_time")]
    assert [event.name for event in events if event.type == "tool_calls.function.arguments.done"] == ["get_weather", "get_time"]


def test_arguments_parsed_by_the_sdk(client):
    class GetWeather(BaseModel):
        city: str

    tool = openai.pydantic_function_tool(GetWeather, name="get_weather")
    ask = {"model": "smart", "messages": [{"role": "user", "content": "get_weather"}], "tools": [tool]}
    completion = client.chat.completions.parse(**ask)
    assert completion.choices[0].message.tool_calls[0].function.parsed_arguments == GetWeather(city="get_weather")
    with client.chat.completions.stream(**ask) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.tool_calls[0].function.parsed_arguments == GetWeather(city="get_weather")


@pytest.mark.parametrize("stream", [False, True])
def test_custom_tool(client, stream):
    ask = asking("Run shell")
    ask["tools"] = [{"type": "custom", "custom": {"name": "shell", "description": "Runs a command."}}]
    if stream:
        calls = [call for chunk in client.chat.completions.create(**ask, stream=True) for call in chunk.choices[0].delta.tool_calls or []]
        assert "".join(call.model_extra["custom"]["input"] for call in calls) == "Run shell"
    else:
        (call,) = client.chat.completions.create(**ask).choices[0].message.tool_calls
        assert (call.type, call.custom.name, call.custom.input) == ("custom", "shell", "Run shell")
