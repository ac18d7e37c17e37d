"""Chat completions in one piece."""

import pytest
from pydantic import BaseModel

from support import UPSTREAM_KEY, json_reply

HELLO = [{"role": "user", "content": "Hello!"}]


def test_answer(client):
    completion = client.chat.completions.create(model="smart", messages=HELLO)
    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    choice = completion.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", "understudy heard: Hello!")
    assert choice.finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0


@pytest.mark.parametrize("model", ["smart", "up/gpt-test", "gpt-4o"])
def test_model_by_configured_name_by_provider_and_by_discovery(client, understudy, model):
    client.chat.completions.create(model=model, messages=HELLO)
    assert understudy.only_request().json["model"] == {"gpt-4o": "gpt-4o"}.get(model, "gpt-test")


def test_model_with_slashes_in_its_own_name(client, understudy):
    client.chat.completions.create(model="up/meta-llama/llama-3:free", messages=HELLO)
    assert understudy.only_request().json["model"] == "meta-llama/llama-3:free"


def test_provider_named_in_a_header(client, understudy):
    client.chat.completions.create(model="whatever", messages=HELLO, extra_headers={"x-mynah-provider": "up"})
    assert understudy.only_request().json["model"] == "whatever"
    assert understudy.only_request().header("x-mynah-provider") is None


def test_several_choices(client):
    completion = client.chat.completions.create(model="smart", messages=HELLO, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]


def test_length_limit(client):
    completion = client.chat.completions.create(model="smart", messages=HELLO, max_completion_tokens=1)
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == ("understudy ", "length")


def test_content_in_parts(client):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "What is this?"}, image]
    completion = client.chat.completions.create(model="smart", messages=[{"role": "user", "content": content}])
    assert completion.choices[0].message.content == "understudy heard: What is this? [image_url]"


def test_text_in_any_script_survives(client, understudy):
    text = "naïve 日本語 👩‍👩‍👧‍👦 \u2028 \"quoted\" \\ \x7f"
    completion = client.chat.completions.create(model="smart", messages=[{"role": "user", "content": text}])
    assert completion.choices[0].message.content == f"understudy heard: {text}"
    assert understudy.only_request().json["messages"][0]["content"] == text


def test_json_mode(client):
    completion = client.chat.completions.create(model="smart", messages=HELLO, response_format={"type": "json_object"})
    assert completion.choices[0].message.content == '{"heard":"Hello!"}'


def test_structured_output(client):
    class Event(BaseModel):
        name: str
        participants: list[str]
        days: int

    completion = client.chat.completions.parse(model="smart", messages=HELLO, response_format=Event)
    assert completion.choices[0].message.parsed == Event(name="Hello!", participants=["Hello!"], days=1)


def test_refusal(client, understudy):
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    understudy.on(json_reply({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}))
    completion = client.chat.completions.create(model="smart", messages=HELLO)
    assert completion.choices[0].message.refusal == "I cannot help with that."


def test_fields_that_nobody_knows_come_through_both_ways(client, understudy):
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "quality": 0.5}
    reply = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "energy": {"joule": 3}}
    understudy.on(json_reply(reply))
    completion = client.chat.completions.create(
        model="smart", messages=HELLO, extra_body={"top_k": 5, "chat_template_kwargs": {"thinking": True}}
    )
    assert completion.model_extra["energy"] == {"joule": 3}
    assert completion.choices[0].message.model_extra["reasoning_content"] == "Hm."
    sent = understudy.only_request().json
    assert (sent["top_k"], sent["chat_template_kwargs"]) == (5, {"thinking": True})


def test_second_target_answers_when_the_first_refuses(client, understudy):
    understudy.on({"status": 503, "body": "busy"}, model="gpt-broken")
    response = client.chat.completions.with_raw_response.create(model="first-refuses", messages=HELLO)
    assert response.parse().choices[0].message.content == "understudy heard: Hello!"
    assert response.headers["x-mynah-model"] == "up/gpt-test"
    assert response.headers["x-mynah-attempts"] == "2"
    assert [request.json["model"] for request in understudy.received()] == ["gpt-broken", "gpt-test"]
    assert all(request.header("authorization") == f"Bearer {UPSTREAM_KEY}" for request in understudy.received())


def test_second_target_answers_when_the_first_cannot_be_reached(client, understudy):
    response = client.chat.completions.with_raw_response.create(model="first-is-dead", messages=HELLO)
    assert response.headers["x-mynah-model"] == "up/gpt-test"
    assert len(understudy.received()) == 1


def test_large_request_and_answer(client):
    text = "word " * 400_000
    completion = client.chat.completions.create(model="smart", messages=[{"role": "user", "content": text}])
    assert completion.choices[0].message.content == f"understudy heard: {text}"


def test_connection_to_the_provider_is_used_again(client, understudy):
    for _ in range(5):
        client.chat.completions.create(model="smart", messages=HELLO)
        list(client.chat.completions.create(model="smart", messages=HELLO, stream=True))
    assert len({request.connection for request in understudy.received()}) == 1
