"""Which exception the SDK raises, and what it knows."""

import openai
import pytest
from openai import OpenAI

from support import CLIENT_KEY, DONE, HELLO, LIMITED_KEY, PATIENCE, UPSTREAM_KEY, chunk, error_reply

ASK = {"model": "smart", "messages": [{"role": "user", "content": "Hello!"}]}
KINDS = [
    (400, openai.BadRequestError),
    (404, openai.NotFoundError),
    (409, openai.ConflictError),
    (413, openai.APIStatusError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
    (529, openai.InternalServerError),
]


def raised_by(client, kind, **ask):
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{**ASK, **ask})
    assert type(caught.value) is kind
    return caught.value


def with_key(gateway, key, **more):
    return OpenAI(base_url=f"{gateway}/v1", api_key=key, timeout=PATIENCE, **{"max_retries": 0, **more})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("status", "kind"), KINDS)
def test_error_of_the_provider(client, understudy, status, kind, stream):
    understudy.on(error_reply(status, headers={"x-request-id": "req_7"}))
    error = raised_by(client, kind, stream=stream)
    assert error.status_code == status
    assert error.body == {"message": "Something went wrong.", "type": "some_type", "param": "some_param", "code": "some_code"}
    assert (error.type, error.param, error.code, error.request_id) == ("some_type", "some_param", "some_code", "req_7")
    assert len(understudy.received()) == 1


def test_error_that_is_no_json(client, understudy):
    page = "<html><title>502 Bad Gateway</title></html>"
    understudy.on({"status": 502, "body": page, "headers": {"content-type": "text/html"}})
    error = raised_by(client, openai.InternalServerError)
    assert (error.status_code, error.type) == (502, "server_error")
    assert error.body["message"].endswith("answered with status 502: 502 Bad Gateway")
    assert error.response.headers["content-type"] == "application/json"


def test_wrong_key(gateway, understudy):
    for key in ("sk-wrong", UPSTREAM_KEY):
        with with_key(gateway, key) as client:
            error = raised_by(client, openai.AuthenticationError)
        assert (error.status_code, error.code, error.type) == (401, "invalid_api_key", "invalid_request_error")
    assert understudy.received() == []


def test_no_key(gateway, understudy):
    with with_key(gateway, CLIENT_KEY) as client:
        error = raised_by(client, openai.AuthenticationError, extra_headers={"authorization": openai.omit})
    assert error.code == "missing_api_key"
    assert understudy.received() == []


def test_model_that_the_key_may_not_use(gateway, understudy):
    with with_key(gateway, LIMITED_KEY) as client:
        client.chat.completions.create(**ASK)
        error = raised_by(client, openai.PermissionDeniedError, model="up/gpt-4o")
        assert (error.status_code, error.code, error.param) == (403, "model_not_allowed", "model")
        with pytest.raises(openai.PermissionDeniedError):
            client.files.list()
    assert len(understudy.received()) == 1


def test_unknown_model(client, understudy):
    error = raised_by(client, openai.NotFoundError, model="smrat")
    assert (error.status_code, error.code, error.param) == (404, "model_not_found", "model")
    assert "smart" in error.message
    assert understudy.received() == []


def test_no_model(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"messages": []}, cast_to=object)
    assert caught.value.param == "model"


def test_unknown_route(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.post("/chat/complications", body={}, cast_to=object)
    assert caught.value.code == "unknown_url"


@pytest.mark.parametrize("headers", [{"retry-after": "17"}, {"retry-after-ms": "1500"}, {"x-should-retry": "false"}])
def test_advice_on_trying_again_comes_through(client, understudy, headers):
    understudy.on(error_reply(429, headers=headers))
    error = raised_by(client, openai.RateLimitError)
    ((name, value),) = headers.items()
    assert error.response.headers[name] == value


def test_sdk_tries_again_when_it_is_told_to(gateway, understudy):
    understudy.on(error_reply(429, headers={"retry-after-ms": "10"}), {"persona": True})
    with with_key(gateway, CLIENT_KEY, max_retries=1) as client:
        assert client.chat.completions.create(**ASK).choices[0].message.content == "understudy heard: Hello!"
    assert len(understudy.received()) == 2


def test_the_refusal_that_says_most_is_told(client, understudy):
    understudy.on(error_reply(429, "Slow down.", headers={"retry-after": "3"}), model="gpt-broken")
    understudy.on(error_reply(500, "Out of order."), model="gpt-busy")
    error = raised_by(client, openai.RateLimitError, model="all-refuse")
    assert error.body["message"] == "Slow down."
    assert error.response.headers["retry-after"] == "3"
    assert error.response.headers["x-mynah-model"] == "up/gpt-broken"
    assert error.response.headers["x-mynah-attempts"] == "2"


def test_key_of_the_provider_is_taken_out_of_errors(client, understudy):
    understudy.on(error_reply(401, f"Incorrect API key provided: {UPSTREAM_KEY}."))
    error = raised_by(client, openai.AuthenticationError)
    assert error.body["message"] == "Incorrect API key provided: [redacted]."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_provider_that_cannot_be_reached(client, stream):
    error = raised_by(client, openai.InternalServerError, model="dead/gpt-test", stream=stream)
    assert (error.status_code, error.code) == (502, "upstream_unreachable")
    assert "dead/gpt-test" in error.message


@pytest.mark.parametrize("reply", [{"hang_up": True}, {"reset": True}, {"raw": "this is no HTTP\r\n\r\n"}])
def test_provider_that_breaks_off(client, understudy, reply):
    understudy.on(reply)
    error = raised_by(client, openai.InternalServerError)
    assert (error.status_code, error.code) == (502, "upstream_broken")


def test_provider_that_breaks_off_in_the_middle_of_a_whole_answer(client, understudy):
    understudy.on({"persona": True, "cut_at": 50})
    with pytest.raises(openai.APIError):
        client.chat.completions.create(**ASK)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_provider_that_is_silent(client, understudy, stream):
    understudy.on({"hang": True})
    error = raised_by(client, openai.InternalServerError, model="hasty/gpt-test", stream=stream)
    assert (error.status_code, error.code) == (504, "upstream_timeout")


def test_provider_that_falls_silent_in_the_middle(client, understudy):
    understudy.on({"stream": [*HELLO, DONE], "hang_after": len("\n\n".join(HELLO)) + 2})
    texts, error = read(client, model="hasty/gpt-test")
    assert "".join(texts) == "Hello"
    assert error.code == "upstream_timeout"


def test_sdk_that_loses_patience(client, understudy):
    understudy.on({"hang": True})
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**ASK, timeout=0.3)


def read(client, **ask):
    """Reads a stream that is to fail: what came, and the exception."""
    texts = []
    with pytest.raises(openai.APIError) as caught:
        for piece in client.chat.completions.create(**{**ASK, **ask}, stream=True):
            texts.append(piece.choices[0].delta.content or "")
            assert piece.choices[0].finish_reason is None
    return texts, caught.value


def test_error_inside_a_stream(client, understudy):
    event = 'data: {"error": {"message": "Overloaded.", "type": "server_error", "param": null, "code": "overloaded"}}'
    understudy.on({"stream": [*HELLO, event]})
    texts, error = read(client)
    assert "".join(texts) == "Hello"
    assert (error.message, error.code) == ("Overloaded.", "overloaded")


def test_error_in_place_of_a_stream(client, understudy):
    """It comes before any content, and so it can still be a status."""
    event = 'data: {"error": {"message": "Slow down.", "type": "requests", "param": null, "code": "rate_limit_exceeded"}}'
    understudy.on({"stream": [event]})
    error = raised_by(client, openai.RateLimitError, stream=True)
    assert (error.status_code, error.body["message"]) == (429, "Slow down.")


WHOLE = len("\n\n".join(HELLO)) + 2


@pytest.mark.parametrize("how", ["cut_at", "reset_at"])
@pytest.mark.parametrize("place", [WHOLE - len(HELLO[-1]) + 20, WHOLE - 1, WHOLE])
def test_cut_inside_a_stream(client, understudy, how, place):
    """Whether in the middle of an event or between two: never may it look like the end."""
    understudy.on({"stream": [*HELLO, chunk(finish_reason="stop"), DONE], how: place})
    texts, error = read(client)
    assert "".join(texts) in ("Hel", "Hello")
    assert error.code == "upstream_broken"


def test_cut_inside_a_stream_of_the_accumulator(client, understudy):
    understudy.on({"stream": [*HELLO, chunk(finish_reason="stop"), DONE], "cut_at": WHOLE})
    with pytest.raises(openai.APIError):
        with client.chat.completions.stream(**ASK) as stream:
            stream.get_final_completion()


def test_stream_that_ends_without_an_end(client, understudy):
    """Where only the end of the connection ends the body, a cut looks like an end to HTTP; the chunks tell."""
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    understudy.on({"raw": head + "\n\n".join(HELLO) + "\n\n"})
    texts, _ = read(client)
    assert "".join(texts) == "Hello"


def test_cut_before_any_content_asks_the_next_target(client, understudy):
    understudy.on({"stream": HELLO, "cut_at": len(HELLO[0]) - 10}, model="gpt-broken")
    with client.chat.completions.stream(**{**ASK, "model": "first-refuses"}) as stream:
        assert stream.get_final_completion().choices[0].message.content == "understudy heard: Hello!"
