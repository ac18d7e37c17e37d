"""Embeddings."""

import math

import pytest

from support import json_reply

MODEL = "text-embedding-3-small"


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_encodings_that_are_asked_for_reach_the_provider(client, understudy, encoding):
    client.embeddings.create(model=MODEL, input="hello", **encoding)
    # The SDK asks for base64 unless it is told otherwise.
    assert understudy.only_request().json["encoding_format"] == encoding.get("encoding_format", "base64")


def test_base64_and_float_are_the_same_vector(client):
    as_base64 = client.embeddings.create(model=MODEL, input="hello").data[0].embedding
    as_float = client.embeddings.create(model=MODEL, input="hello", encoding_format="float").data[0].embedding
    assert as_base64 == pytest.approx(as_float)
    assert math.isclose(sum(number * number for number in as_float), 1, rel_tol=1e-5)


def test_base64_that_the_caller_wants_stays_base64(client):
    assert isinstance(client.embeddings.create(model=MODEL, input="hello", encoding_format="base64").data[0].embedding, str)


@pytest.mark.parametrize("dimensions", [1, 256, 3072])
def test_dimensions(client, dimensions):
    embeddings = client.embeddings.create(model=MODEL, input="hello", dimensions=dimensions)
    assert len(embeddings.data[0].embedding) == dimensions


def test_several_texts(client):
    embeddings = client.embeddings.create(model=MODEL, input=["one", "two", "one"])
    assert [entry.index for entry in embeddings.data] == [0, 1, 2]
    first, second, third = (entry.embedding for entry in embeddings.data)
    assert first == third != second
    assert (embeddings.model, embeddings.usage.prompt_tokens) == (MODEL, 3)


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens(client, understudy, tokens):
    client.embeddings.create(model=MODEL, input=tokens)
    assert understudy.only_request().json["input"] == tokens


def test_a_provider_that_knows_only_floats(client, understudy):
    entry = {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    understudy.on(json_reply({"object": "list", "data": [entry], "model": MODEL, "usage": usage}))
    assert client.embeddings.create(model=MODEL, input="hello").data[0].embedding == [0.5, -0.25]
