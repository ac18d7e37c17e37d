"""The asynchronous SDK: the same wire, but another HTTP client and another stream parser."""

import asyncio
import base64
from contextlib import asynccontextmanager

import openai
import pytest
from openai import AsyncOpenAI

from support import CLIENT_KEY, DONE, HELLO, PATIENCE, chunk, error_reply, eventually

pytestmark = pytest.mark.anyio

ASK = {"model": "smart", "messages": [{"role": "user", "content": "one two three"}]}
SAID = "understudy heard: one two three"
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def connect(gateway):
    @asynccontextmanager
    async def connect(**more):
        async with AsyncOpenAI(
            base_url=f"{gateway}/v1", api_key=CLIENT_KEY, timeout=PATIENCE, **{"max_retries": 0, **more}
        ) as client:
            yield client

    return connect


async def text_of(stream):
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def test_chat(connect):
    async with connect() as client:
        completion = await client.chat.completions.create(**ASK)
        assert completion.choices[0].message.content == SAID


async def test_stream(connect):
    async with connect() as client:
        assert await text_of(await client.chat.completions.create(**ASK, stream=True)) == SAID


async def test_accumulator(connect):
    async with connect() as client:
        async with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
            completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == SAID
    assert completion.usage.total_tokens > 0


async def test_many_at_a_time_are_not_mixed_up(connect):
    async def ask(client, number):
        messages = [{"role": "user", "content": f"number {number}"}]
        if number % 2:
            return await text_of(await client.chat.completions.create(model="smart", messages=messages, stream=True))
        completion = await client.chat.completions.create(model="smart", messages=messages)
        return completion.choices[0].message.content

    async with connect() as client:
        answers = await asyncio.gather(*(ask(client, number) for number in range(100)))
    assert answers == [f"understudy heard: number {number}" for number in range(100)]


async def test_tools(connect):
    ask = {**ASK, "tools": [TOOL], "tool_choice": "required"}
    async with connect() as client:
        completion = await client.chat.completions.create(**ask)
        assert completion.choices[0].message.tool_calls[0].function.name == "get_weather"
        async with client.chat.completions.stream(**ask) as stream:
            completion = await stream.get_final_completion()
        assert completion.choices[0].message.tool_calls[0].function.name == "get_weather"


async def test_responses(connect):
    async with connect() as client:
        assert (await client.responses.create(model="smart", input="one two three")).output_text == SAID
        async with client.responses.stream(model="smart", input="one two three") as stream:
            assert (await stream.get_final_response()).output_text == SAID


async def test_embeddings(connect):
    async with connect() as client:
        embeddings = await client.embeddings.create(model="smart", input=["one", "two"], dimensions=16)
    assert [len(entry.embedding) for entry in embeddings.data] == [16, 16]


async def test_images_and_audio(connect):
    async with connect() as client:
        images = await client.images.edit(model="gpt-image-1", image=("cat.png", b"\x89PNG"), prompt="a hat")
        assert base64.b64decode(images.data[0].b64_json).startswith(b"\x89PNG")
        transcription = await client.audio.transcriptions.create(model="smart", file=("talk.wav", b"\x00\xff" * 50_000))
        assert transcription.text == "understudy heard: 100000 bytes of talk.wav"
        async with client.audio.speech.with_streaming_response.create(model="smart", voice="alloy", input="Hi") as speech:
            assert b"Hi" in b"".join([piece async for piece in speech.iter_bytes()])


async def test_files_and_models(connect):
    async with connect() as client:
        file = await client.files.create(file=("a.txt", b"abc"), purpose="user_data")
        assert (await client.files.content(file.id)).content == b"abc"
        assert "smart" in [model.id async for model in client.models.list()]


async def test_errors(connect, understudy):
    understudy.on(error_reply(429, headers={"retry-after": "17"}))
    async with connect() as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(**ASK)
    assert caught.value.response.headers["retry-after"] == "17"


async def test_cut_inside_a_stream(connect, understudy):
    understudy.on({"stream": [*HELLO, chunk(finish_reason="stop"), DONE], "cut_at": len("\n\n".join(HELLO)) + 2})
    async with connect() as client:
        with pytest.raises(openai.APIError) as caught:
            await text_of(await client.chat.completions.create(**ASK, stream=True))
    assert caught.value.code == "upstream_broken"


async def test_cancelling_hangs_up_on_the_provider(connect, understudy):
    understudy.on({"hang": True})
    async with connect() as client:
        task = asyncio.create_task(client.chat.completions.create(**ASK))
        while not understudy.received():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert eventually(lambda: understudy.only_request().outcome == "aborted")


async def test_leaving_a_stream_hangs_up_on_the_provider(connect, understudy):
    understudy.on({"stream": HELLO * 1000, "pace": "10ms"})
    async with connect() as client:
        async with await client.chat.completions.create(**ASK, stream=True) as stream:
            async for _ in stream:
                break
        assert eventually(lambda: understudy.only_request().outcome == "aborted")
