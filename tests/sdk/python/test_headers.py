"""What the headers of an answer say."""

import re

HELLO = {"model": "smart", "messages": [{"role": "user", "content": "Hello!"}]}


def test_request_id_of_the_provider(client):
    response = client.chat.completions.with_raw_response.create(**HELLO)
    assert re.fullmatch(r"req_understudy_\d+", response.parse()._request_id)
    # The one in the gateway's log.
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-mynah-request-id"])


def test_request_id_of_the_caller(client, understudy):
    response = client.chat.completions.with_raw_response.create(**HELLO, extra_headers={"x-request-id": "my-own.id/1"})
    assert response.headers["x-request-id"] == "my-own.id/1"
    assert understudy.only_request().header("x-request-id") == "my-own.id/1"


def test_request_id_of_the_gateway(client):
    response = client.chat.completions.with_raw_response.create(**{**HELLO, "model": "mynah/echo"})
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-request-id"])


def test_rate_limits_and_other_words_of_the_provider(client):
    headers = client.chat.completions.with_raw_response.create(**HELLO).headers
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert headers["x-ratelimit-remaining-tokens"] == "1999990"
    assert headers["x-ratelimit-reset-requests"] == "6ms"
    assert headers["openai-processing-ms"] == "7"
    assert headers["openai-version"] == "2020-10-01"


def test_headers_of_a_stream(client):
    headers = client.chat.completions.with_raw_response.create(**HELLO, stream=True).headers
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert headers["x-mynah-model"] == "up/gpt-test"


def test_who_answered_and_how_long_it_took(client):
    headers = client.chat.completions.with_raw_response.create(**HELLO).headers
    assert headers["x-mynah-model"] == "up/gpt-test"
    assert headers["x-mynah-attempts"] == "1"
    timing = re.fullmatch(r"gateway;dur=(\d+\.\d+), upstream;dur=(\d+\.\d+)", headers["server-timing"])
    assert float(timing[2]) > 0


def test_what_belongs_to_one_connection_stays_there(client, understudy):
    understudy.on({"persona": True, "headers": {"set-cookie": "a=b", "keep-alive": "timeout=5", "x-extra": "1"}})
    headers = client.chat.completions.with_raw_response.create(**HELLO).headers
    assert headers["x-extra"] == "1"
    assert "set-cookie" not in headers and "keep-alive" not in headers


def test_headers_of_an_answer_that_is_passed_through(client):
    response = client.files.with_raw_response.list()
    assert response.headers["x-request-id"].startswith("req_understudy_")
    assert "server-timing" in response.headers
