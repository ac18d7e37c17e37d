"""Completions, moderations, models, files and batches."""

import json

import pytest
from openai import NotFoundError, OpenAI

from support import LIMITED_KEY, UPSTREAM_KEY, json_reply


def test_completion(client):
    completion = client.completions.create(model="smart", prompt="Once upon a time", max_tokens=64)
    assert completion.object == "text_completion"
    assert completion.choices[0].text.endswith("Once upon a time")


def test_completion_stream(client, understudy):
    chunks = list(client.completions.create(model="smart", prompt="Once upon a time", max_tokens=64, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks).endswith("Once upon a time")
    assert understudy.only_request().json["stream_options"] == {"include_usage": True}
    asked = client.completions.create(
        model="smart", prompt="Once upon a time", stream=True, stream_options={"include_usage": True}
    )
    assert list(asked)[-1].usage.total_tokens > 0


def test_moderation(client, understudy):
    moderation = client.moderations.create(model="smart", input=["fine", "forbidden"])
    assert [result.flagged for result in moderation.results] == [False, True]
    assert understudy.only_request().json["model"] == "gpt-test"


def test_moderation_without_a_model_goes_to_the_default_provider(client, understudy):
    assert client.moderations.create(input="forbidden").results[0].flagged
    assert understudy.only_request().json == {"input": "forbidden"}


def test_list_of_models(client):
    models = {model.id: model for model in client.models.list()}
    assert {"smart", "first-refuses", "gpt-4o", "mynah/echo"} <= models.keys()
    assert models["gpt-4o"].owned_by == "up"
    assert all(model.object == "model" for model in models.values())


def test_list_of_models_holds_only_what_the_key_may_use(gateway):
    with OpenAI(base_url=f"{gateway}/v1", api_key=LIMITED_KEY) as limited:
        assert [model.id for model in limited.models.list()] == ["smart"]


@pytest.mark.parametrize("id", ["smart", "gpt-4o", "mynah/echo", "up/gpt-4o", "up/meta-llama/llama-3:free"])
def test_one_model(client, id):
    assert client.models.retrieve(id).id == id


def test_model_that_is_not_there(client):
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve("gtp-4o")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "gpt-4o" in caught.value.message


def test_life_of_a_file(client, understudy):
    content = b'{"custom_id": "1"}\n' + bytes(range(256))
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    assert (file.filename, file.bytes, file.purpose) == ("batch.jsonl", len(content), "batch")
    assert content in understudy.received()[0].body
    assert client.files.retrieve(file.id) == file
    assert file.id in [listed.id for listed in client.files.list(purpose="batch", limit=10)]
    assert client.files.content(file.id).content == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(NotFoundError):
        client.files.retrieve(file.id)
    assert all(request.header("authorization") == f"Bearer {UPSTREAM_KEY}" for request in understudy.received())
    assert understudy.received()[2].target == "/v1/files?limit=10&purpose=batch"


def test_large_file(client, understudy):
    content = bytes(range(256)) * 4096 * 8
    assert client.files.create(file=("large.bin", content), purpose="user_data").bytes == len(content)


def test_batch(client):
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o"}}
    file = client.files.create(file=("batch.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"team": "blue"}
    )
    assert (batch.status, batch.metadata) == ("validating", {"team": "blue"})
    assert client.batches.retrieve(batch.id) == batch
    assert batch.id in [listed.id for listed in client.batches.list()]
    assert client.batches.cancel(batch.id).status == "cancelling"


def test_stored_chat_completions_are_passed_through(client, understudy):
    understudy.on(json_reply({"id": "chatcmpl-1", "object": "list", "data": [], "deleted": True}))
    stored = client.chat.completions
    stored.retrieve("chatcmpl-1")
    stored.update("chatcmpl-1", metadata={"team": "blue"})
    stored.messages.list("chatcmpl-1", limit=2)
    stored.delete("chatcmpl-1")
    stored.list(model="gpt-4o", extra_headers={"x-mynah-provider": "up"})
    assert [(request.method, request.target) for request in understudy.received()] == [
        ("GET", "/v1/chat/completions/chatcmpl-1"),
        ("POST", "/v1/chat/completions/chatcmpl-1"),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages?limit=2"),
        ("DELETE", "/v1/chat/completions/chatcmpl-1"),
        ("GET", "/v1/chat/completions?model=gpt-4o"),
    ]


def test_route_that_the_sdk_does_not_know(client, understudy):
    reply = json_reply({"results": [{"index": 1, "relevance_score": 0.9}]})
    understudy.on(reply, path="/v1/rerank")
    body = {"model": "smart", "query": "q", "documents": ["a", "b"]}
    assert client.post("/rerank", body=body, cast_to=object)["results"][0]["index"] == 1
    assert understudy.only_request().json == {**body, "model": "gpt-test"}
