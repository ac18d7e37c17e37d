"""What the SDKs ask for besides conversations: models, embeddings, ranking, plain completions."""

import cohere
import openai
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types
from google.genai.errors import ClientError
from openai import OpenAI
from support import PATIENCE

pytestmark = pytest.mark.gateway_only

# A model that each provider lists, and one that embeds.
LISTED = {
    "chat": "gpt-4o-mini",
    "responses": "gpt-4.1",
    "claude": "claude-opus-4-5",
    "gem": "gemini-2.5-flash",
    "co": "command-a-03-2025",
}
EMBEDS = {
    "chat": "text-embedding-3-small",
    "responses": "text-embedding-3-small",
    "gem": "gemini-embedding-001",
    "co": "embed-v4.0",
}
TEXTS = ["one", "two"]


@pytest.fixture(scope="module")
def openai_sdk(stage):
    return OpenAI(base_url=f"{stage.base('openai-chat/v1')}/v1", api_key=stage.key, max_retries=0, timeout=PATIENCE)


@pytest.fixture(scope="module")
def genai_sdk(stage):
    return genai.Client(api_key=stage.key, http_options=types.HttpOptions(base_url=stage.base("gemini")))


def is_listed(upstream, names):
    """A model that several providers list is named after its provider for all but the first."""
    model = LISTED[upstream.name]
    return model in names or f"{upstream.name}/{model}" in names


@pytest.mark.client("openai, other routes")
class TestOpenAI:
    def test_models(self, openai_sdk, upstream):
        assert is_listed(upstream, {model.id for model in openai_sdk.models.list()})

    @pytest.mark.columns(*EMBEDS)
    @pytest.mark.parametrize("encoding", ["base64", "float"])
    def test_embeddings(self, openai_sdk, upstream, encoding):
        model = f"{upstream.name}/{EMBEDS[upstream.name]}"
        both = openai_sdk.embeddings.create(model=model, input=TEXTS, encoding_format=encoding).data
        (second,) = openai_sdk.embeddings.create(model=model, input=TEXTS[1]).data
        assert [len(it.embedding) for it in both] == [8, 8] or encoding == "base64"
        if encoding == "float":
            assert both[1].embedding == pytest.approx(second.embedding, abs=1e-6)
            assert both[0].embedding != pytest.approx(second.embedding, abs=1e-6)

    @pytest.mark.columns("gem", "co")
    def test_dimensions_of_embeddings(self, openai_sdk, upstream):
        model = f"{upstream.name}/{EMBEDS[upstream.name]}"
        response = openai_sdk.embeddings.create(model=model, input=TEXTS, dimensions=4)
        assert [len(it.embedding) for it in response.data] == [4, 4]

    @pytest.mark.columns("claude")
    def test_no_embeddings(self, openai_sdk, upstream):
        """Anthropic has none."""
        with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
            openai_sdk.embeddings.create(model="claude/claude-opus-4-5", input=TEXTS)

    @pytest.mark.columns("chat", "responses")
    def test_plain_completions(self, openai_sdk, upstream):
        completion = openai_sdk.completions.create(model=f"{upstream.name}/gpt-3.5-turbo-instruct", prompt="Hello")
        assert "Hello" in completion.choices[0].text


@pytest.mark.client("anthropic, other routes")
class TestAnthropic:
    def test_models(self, stage, upstream):
        sdk = Anthropic(base_url=stage.base("anthropic"), api_key=stage.key, max_retries=0, timeout=PATIENCE)
        models = list(sdk.models.list(limit=1000))
        assert is_listed(upstream, {model.id for model in models})
        assert all(model.type == "model" and model.display_name for model in models)


@pytest.mark.client("google-genai, other routes")
class TestGoogle:
    def test_models(self, genai_sdk, upstream):
        assert is_listed(upstream, {model.name.removeprefix("models/") for model in genai_sdk.models.list()})

    @pytest.mark.columns(*EMBEDS)
    def test_embeddings(self, genai_sdk, upstream):
        model = f"{upstream.name}/{EMBEDS[upstream.name]}"
        both = genai_sdk.models.embed_content(model=model, contents=TEXTS).embeddings
        (second,) = genai_sdk.models.embed_content(model=model, contents=TEXTS[1]).embeddings
        assert [len(it.values) for it in both] == [8, 8]
        assert both[1].values == pytest.approx(second.values, abs=1e-6)
        assert both[0].values != pytest.approx(second.values, abs=1e-6)

    @pytest.mark.columns("claude")
    def test_no_embeddings(self, genai_sdk, upstream):
        """Anthropic has none."""
        with pytest.raises(ClientError):
            genai_sdk.models.embed_content(model="claude/claude-opus-4-5", contents=TEXTS)


@pytest.mark.client("cohere, ranking")
class TestCohere:
    @pytest.mark.columns("co")
    @pytest.mark.parametrize("kind", [cohere.Client, cohere.ClientV2])
    def test_rerank(self, stage, upstream, kind):
        sdk = kind(api_key=stage.key, base_url=stage.base("cohere"), timeout=PATIENCE)
        ranked = sdk.rerank(model="co/rerank-v3.5", query="q", documents=["a", "b", "c"], top_n=2)
        assert [(it.index, it.relevance_score) for it in ranked.results] == [(2, 0.9), (1, 0.45)]

    @pytest.mark.columns("claude", "gem")
    def test_nothing_to_rank_with(self, stage, upstream):
        sdk = cohere.ClientV2(api_key=stage.key, base_url=stage.base("cohere"), timeout=PATIENCE)
        with pytest.raises((cohere.BadRequestError, cohere.NotFoundError)):
            sdk.rerank(model=f"{upstream.name}/some-model", query="q", documents=["a"])
