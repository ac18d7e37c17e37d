"""What a provider gets to see, byte by byte."""

import re

import pytest
from openai import DefaultHttpxClient, OpenAI

from support import CLIENT_KEY, PATIENCE, UPSTREAM_KEY

ASK = {"model": "smart", "messages": [{"role": "user", "content": "naïve “smart” \u2028 \\ 1e400"}]}
USAGE = b'"stream_options":{"include_usage":true},'


@pytest.fixture
def sent():
    return []


@pytest.fixture
def client(gateway, sent):
    """The SDK, and the bytes that it sends."""

    def note(request):
        sent.append(request.read())

    http_client = DefaultHttpxClient(event_hooks={"request": [note]})
    with OpenAI(
        base_url=f"{gateway}/v1",
        api_key=CLIENT_KEY,
        organization="org-of-the-client",
        project="proj-of-the-client",
        max_retries=0,
        timeout=PATIENCE,
        http_client=http_client,
    ) as client:
        yield client


def as_for_the_provider(body):
    changed, count = re.subn(rb'"model":\s?"smart"', lambda match: match[0].replace(b"smart", b"gpt-test"), body)
    assert count == 1
    return changed


def test_body_is_the_same_but_for_the_model(client, understudy, sent):
    client.chat.completions.create(
        **ASK, temperature=0.1, seed=2**53 + 1, extra_body={"z": 1, "a": [1.0, 1e-7, None], "nested": {"model": "smarter"}}
    )
    assert understudy.only_request().body == as_for_the_provider(sent[0])


def test_body_is_the_same_when_the_model_has_its_own_name(client, understudy, sent):
    client.chat.completions.create(**{**ASK, "model": "gpt-4o"})
    assert understudy.only_request().body == sent[0]


def test_body_of_a_stream_is_the_same_but_for_the_usage(client, understudy, sent):
    list(client.chat.completions.create(**ASK, stream=True))
    body = understudy.only_request().body
    assert body.count(USAGE) == 1
    assert body.replace(USAGE, b"") == as_for_the_provider(sent[0])


def test_body_of_a_stream_with_usage_is_the_same(client, understudy, sent):
    list(client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
    assert understudy.only_request().body == as_for_the_provider(sent[0])


def test_bodies_of_other_routes_are_the_same_but_for_the_model(client, understudy, sent):
    client.responses.create(model="smart", input="Hello", metadata={"b": "1", "a": "2"})
    client.embeddings.create(model="smart", input=["a", "b"])
    client.moderations.create(model="smart", input="x")
    assert [request.body for request in understudy.received()] == [as_for_the_provider(body) for body in sent]


def test_forms_are_the_same_but_for_the_model(client, understudy, sent):
    client.audio.transcriptions.create(model="smart", file=("a.wav", b"\r\n--\r\nsmart\x00\xff"), prompt="smart")
    changed = sent[0].replace(b'name="model"\r\n\r\nsmart\r\n', b'name="model"\r\n\r\ngpt-test\r\n')
    assert understudy.only_request().body == changed != sent[0]


def test_what_is_passed_through_is_the_same(client, understudy, sent):
    client.files.create(file=("a.bin", bytes(range(256))), purpose="user_data")
    assert understudy.only_request().body == sent[0]


def test_key_of_the_client_stays_and_key_of_the_provider_goes(client, understudy):
    client.chat.completions.create(**ASK)
    list(client.chat.completions.create(**ASK, stream=True))
    client.audio.transcriptions.create(model="smart", file=("a.wav", b"x"))
    client.files.list()
    requests = understudy.received()
    assert len(requests) == 4
    for request in requests:
        assert [value for name, value in request.headers if name == "authorization"] == [f"Bearer {UPSTREAM_KEY}"]
        assert CLIENT_KEY not in str(request.headers) + request.target
        assert CLIENT_KEY.encode() not in request.body


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key", "cookie", "x-forwarded-for", "x-mynah-anything"])
def test_headers_that_stay(client, understudy, name):
    client.chat.completions.create(**ASK, extra_headers={name: CLIENT_KEY})
    assert understudy.only_request().header(name) is None


def test_account_of_the_client_stays(client, understudy):
    client.chat.completions.create(**ASK)
    headers = dict(understudy.only_request().headers)
    assert "openai-organization" not in headers and "openai-project" not in headers


def test_headers_that_go(client, understudy):
    client.chat.completions.create(**ASK, extra_headers={"openai-beta": "assistants=v2", "x-team": "blue", "idempotency-key": "k"})
    request = understudy.only_request()
    assert (request.header("openai-beta"), request.header("x-team"), request.header("idempotency-key")) == ("assistants=v2", "blue", "k")
    assert request.header("content-type") == "application/json"
    assert request.header("user-agent").startswith("OpenAI/Python")
    assert request.header("content-length") == str(len(request.body))
    assert "127.0.0.1" in request.header("host")


def test_query_goes(client, understudy):
    client.chat.completions.create(**ASK, extra_query={"api-version": "2024-10-21", "x": "a b&c"})
    assert understudy.only_request().target == "/v1/chat/completions?api-version=2024-10-21&x=a+b%26c"
