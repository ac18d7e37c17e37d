"""Chat completions as streams."""

import pytest
from pydantic import BaseModel

from support import DONE, HELLO, chunk, eventually

ASK = {"model": "smart", "messages": [{"role": "user", "content": "one two three"}]}
SAID = "understudy heard: one two three"


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_chunks(client):
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert text_of(chunks) == SAID
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert len(chunks) > 5


def test_without_include_usage_no_usage_arrives(client, understudy):
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    # The gateway asked for it all the same, for its own accounts.
    assert understudy.only_request().json["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("options", [{"include_usage": False}, {"include_obfuscation": False}])
def test_other_stream_options_are_kept(client, understudy, options):
    chunks = list(client.chat.completions.create(**ASK, stream=True, stream_options=options))
    assert all(chunk.choices for chunk in chunks)
    assert understudy.only_request().json["stream_options"] == {**options, "include_usage": True}


def test_with_include_usage_the_last_chunk_has_it(client):
    chunks = list(client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
    assert [bool(chunk.choices) for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].usage.completion_tokens == 5
    assert text_of(chunks) == SAID


def test_accumulator(client):
    with client.chat.completions.stream(**ASK) as stream:
        events = list(stream)
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == SAID
    assert [event.type for event in events if event.type == "content.done"] == ["content.done"]
    assert completion.usage is None


def test_accumulator_with_usage(client):
    with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
        completion = stream.until_done().get_final_completion()
    assert completion.usage.total_tokens > 0


def test_accumulator_with_structured_output(client):
    class Answer(BaseModel):
        text: str

    with client.chat.completions.stream(**ASK, response_format=Answer) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.parsed == Answer(text="one two three")


def test_several_choices(client):
    with client.chat.completions.stream(**ASK, n=3) as stream:
        completion = stream.get_final_completion()
    assert [choice.message.content for choice in completion.choices] == [SAID] * 3


def test_response_is_marked_as_a_stream(client):
    response = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in response.headers
    assert response.headers["x-mynah-model"] == "up/gpt-test"
    assert text_of(response.parse()) == SAID


def test_chunks_arrive_while_the_provider_is_still_at_it(client, understudy):
    understudy.on({"stream": [*HELLO, chunk(finish_reason="stop"), DONE], "hang_after": len("\n\n".join(HELLO)) + 2})
    with client.chat.completions.create(**ASK, stream=True) as stream:
        # The third chunk is here although the stream never ends.
        assert text_of(next(stream) for _ in HELLO) == "Hello"


def test_closing_a_stream_hangs_up_on_the_provider(client, understudy):
    understudy.on({"stream": HELLO * 1000, "pace": "10ms"})
    with client.chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
    assert eventually(lambda: understudy.only_request().outcome == "aborted")


@pytest.mark.parametrize("size", [1, 7])
def test_pieces_of_any_size(client, understudy, size):
    text = "naïve 日本語 👩‍👩‍👧‍👦"
    events = [chunk({"role": "assistant", "content": ""}), chunk({"content": text}), chunk(finish_reason="stop"), DONE]
    understudy.on({"stream": events, "split": [size] * 600})
    assert text_of(client.chat.completions.create(**ASK, stream=True)) == text


def test_comments_are_no_chunks(client, understudy):
    understudy.on({"stream": [": waiting", *HELLO, ": still there", chunk(finish_reason="stop"), DONE]})
    assert text_of(client.chat.completions.create(**ASK, stream=True)) == "Hello"


def test_fields_that_nobody_knows_come_through(client, understudy):
    events = [chunk({"role": "assistant", "reasoning_content": "Hm."}, energy=3), chunk(finish_reason="stop"), DONE]
    understudy.on({"stream": events})
    first = next(client.chat.completions.create(**ASK, stream=True))
    assert first.model_extra["energy"] == 3
    assert first.choices[0].delta.model_extra["reasoning_content"] == "Hm."


def test_second_target_answers_when_the_first_refuses(client, understudy):
    understudy.on({"status": 429, "body": "busy"}, model="gpt-broken")
    chunks = client.chat.completions.create(**{**ASK, "model": "first-refuses"}, stream=True)
    assert text_of(chunks) == SAID


def test_second_target_answers_when_the_first_stream_begins_with_an_error(client, understudy):
    understudy.on({"stream": ['data: {"error": {"message": "overloaded", "code": "overloaded"}}']}, model="gpt-broken")
    chunks = client.chat.completions.create(**{**ASK, "model": "first-refuses"}, stream=True)
    assert text_of(chunks) == SAID


@pytest.mark.parametrize("stream", [True, False])
def test_a_kept_answer_is_the_same_again(client, understudy, stream):
    said, answers = [], []
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(**{**ASK, "model": "kept"}, stream=stream)
        said.append((raw.headers["x-mynah-cache"], raw.headers.get("age")))
        answer = raw.parse()
        answers.append(list(answer) if stream else [answer])
    assert said == [("miss", None), ("hit", "0")]
    assert answers[0] == answers[1]
    assert text_of(answers[1]) == SAID if stream else answers[1][0].choices[0].message.content == SAID
    understudy.only_request()
