"""Images and audio: forms go up, and bytes come down."""

import base64

import pytest

from support import UPSTREAM_KEY

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
# Bytes that are no text, and that look like the frame of a form.
RECORDING = bytes(range(256)) * 300 + b'\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n'


def test_generate_images(client):
    images = client.images.generate(model="gpt-image-1", prompt="a cat", n=2)
    assert [base64.b64decode(image.b64_json) for image in images.data] == [PIXEL, PIXEL]
    assert images.usage.total_tokens > 0
    images = client.images.generate(model="dall-e-3", prompt="a cat", response_format="url")
    assert images.data[0].url.startswith("https://")


def test_edit_an_image(client, understudy):
    images = client.images.edit(model="smart", image=("cat.png", PIXEL, "image/png"), prompt="a hat")
    assert images.data[0].revised_prompt == "understudy heard: a hat"
    request = understudy.only_request()
    assert PIXEL in request.body
    assert b'name="model"\r\n\r\ngpt-test\r\n' in request.body
    assert b"smart" not in request.body
    assert request.header("content-length") == str(len(request.body))


def test_edit_several_images_with_a_mask(client, understudy):
    images = [("one.png", PIXEL, "image/png"), ("two.png", PIXEL[::-1], "image/png")]
    client.images.edit(model="smart", image=images, mask=("mask.png", PIXEL, "image/png"), prompt="a hat", n=2)
    body = understudy.only_request().body
    assert body.count(b'name="image[]"') == 2
    assert body.count(PIXEL) == 2 and PIXEL[::-1] in body and b'filename="mask.png"' in body


def test_vary_an_image(client, understudy):
    with pytest.warns(DeprecationWarning):
        images = client.images.create_variation(model="smart", image=("cat.png", PIXEL, "image/png"))
    assert len(images.data) == 1
    assert understudy.only_request().target == "/v1/images/variations"


def test_speech(client):
    speech = client.audio.speech.create(model="smart", voice="alloy", input="Good day", response_format="wav")
    assert speech.response.headers["content-type"] == "audio/wav"
    assert speech.content == b"\xff\xfb\x90\x00\x00\xfeGood day\x00\xff"


def test_speech_arrives_while_it_is_spoken(client, understudy):
    understudy.on({"body": "RIFF" + "x" * 96, "headers": {"content-type": "audio/wav"}, "chunked": True, "hang_after": 4})
    with client.audio.speech.with_streaming_response.create(model="smart", voice="alloy", input="Hi") as speech:
        assert next(speech.iter_bytes()) == b"RIFF"


def test_speech_as_events(client):
    with client.audio.speech.with_streaming_response.create(
        model="smart", voice="alloy", input="Hi", stream_format="sse"
    ) as speech:
        text = speech.read().decode()
    assert text.count("speech.audio.delta") == 2 and "speech.audio.done" in text


def test_transcription(client, understudy):
    transcription = client.audio.transcriptions.create(model="smart", file=("talk.wav", RECORDING), language="en")
    assert transcription.text == f"understudy heard: {len(RECORDING)} bytes of talk.wav"
    request = understudy.only_request()
    assert RECORDING in request.body
    assert b'name="model"\r\n\r\ngpt-test\r\n' in request.body
    assert request.header("authorization") == f"Bearer {UPSTREAM_KEY}"


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_transcription_as_plain_text(client, response_format):
    text = client.audio.transcriptions.create(
        model="smart", file=("talk.wav", RECORDING), response_format=response_format
    )
    assert f"{len(RECORDING)} bytes of talk.wav" in text


def test_transcription_with_details(client):
    transcription = client.audio.transcriptions.create(
        model="smart", file=("talk.wav", RECORDING), response_format="verbose_json", timestamp_granularities=["segment"]
    )
    assert transcription.segments[0].text == transcription.text


def test_streamed_transcription(client):
    events = list(client.audio.transcriptions.create(model="smart", file=("talk.wav", RECORDING), stream=True))
    assert events[-1].type == "transcript.text.done"
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert "".join(deltas) == events[-1].text


def test_translation(client, understudy):
    with pytest.warns(DeprecationWarning):
        translation = client.audio.translations.create(model="smart", file=("talk.wav", RECORDING))
    assert "talk.wav" in translation.text
    assert understudy.only_request().target == "/v1/audio/translations"


def test_file_from_the_disk(client, tmp_path):
    path = tmp_path / "talk.mp3"
    path.write_bytes(RECORDING)
    assert "talk.mp3" in client.audio.transcriptions.create(model="smart", file=path).text
    with path.open("rb") as file:
        assert "talk.mp3" in client.audio.transcriptions.create(model="smart", file=file).text
