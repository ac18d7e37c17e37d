"""What the SDK makes of limits and budgets of its key."""

import openai
import pytest
from openai import OpenAI

from support import ALONE_KEY, DONE, HELLO, ONCE_KEY, PATIENCE, POOR_KEY

ASK = {"model": "smart", "messages": [{"role": "user", "content": "Hello!"}]}
# It has a price.
PRICED = {**ASK, "model": "up/gpt-4o", "max_tokens": 10}


@pytest.fixture
def pauses(monkeypatch):
    """How long the SDK waits before it tries again, in seconds. It does not really wait."""
    waited = []
    monkeypatch.setattr("openai._base_client.time.sleep", waited.append)
    return waited


def with_key(gateway, key, retries=2):
    return OpenAI(base_url=f"{gateway}/v1", api_key=key, timeout=PATIENCE, max_retries=retries)


def test_how_far_limits_are_used_up(gateway):
    with with_key(gateway, ONCE_KEY) as client:
        response = client.chat.completions.with_raw_response.create(**ASK)
    headers = response.headers
    assert response.parse().choices[0].message.content == "understudy heard: Hello!"
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("1", "0")
    assert headers["x-ratelimit-reset-requests"] == "1m0s"
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    assert 0 < int(headers["x-ratelimit-remaining-tokens"]) < 1000


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_limit_that_is_used_up(gateway, understudy, pauses, stream):
    with with_key(gateway, ONCE_KEY) as client:
        client.chat.completions.create(**ASK)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**ASK, stream=stream)
    error = caught.value
    assert (error.status_code, error.code, error.type) == (429, "rate_limit_exceeded", "rate_limit_error")
    assert "1/1 requests per minute for the client `once`" in error.message
    wait = float(error.response.headers["retry-after"])
    assert 50 < wait <= 60
    # The SDK would have waited for as long as it was told, which it does for no more than a minute.
    assert pauses == [pytest.approx(wait, abs=2)] * 2
    assert len(understudy.received()) == 1


def test_sdk_gets_its_turn_when_it_tries_again(gateway, understudy, monkeypatch):
    understudy.on({"stream": [*HELLO, DONE], "hang_after": len("\n\n".join(HELLO)) + 2}, {"persona": True})
    waited = []
    with with_key(gateway, ALONE_KEY) as client:
        stream = client.chat.completions.create(**ASK, stream=True)

        def finish_the_other(seconds):
            waited.append(seconds)
            stream.close()

        monkeypatch.setattr("openai._base_client.time.sleep", finish_the_other)
        answer = client.with_options(max_retries=100).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "understudy heard: Hello!"
    # It is told to wait for a second; that the stream is closed is noticed a moment later.
    assert waited[0] == 1


def test_budget_that_is_used_up(gateway, understudy, pauses):
    with with_key(gateway, POOR_KEY) as client, pytest.raises(openai.APIStatusError) as caught:
        for _ in range(20):
            client.chat.completions.create(**PRICED)
    error = caught.value
    assert (type(error), error.status_code) == (openai.APIStatusError, 402)
    assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")
    assert error.body["message"].startswith("The budget of the client `poor` is used up: $0.000")
    assert "It begins anew at " in error.body["message"]
    # Trying again would not help, and is not tried.
    assert pauses == []
    assert 1 <= len(understudy.received()) < 20


def test_request_that_is_larger_than_the_whole_limit(gateway, understudy, pauses):
    with with_key(gateway, ONCE_KEY) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ASK, max_tokens=1000)
    assert caught.value.code == "request_exceeds_limit"
    assert "the client `once` may have 1000 per minute" in caught.value.message
    assert (pauses, understudy.received()) == ([], [])


def test_what_is_free_does_not_count(gateway):
    with with_key(gateway, ONCE_KEY) as client:
        for _ in range(3):
            client.models.list()
        client.chat.completions.create(**ASK)
