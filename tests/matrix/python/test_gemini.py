"""The `google-genai` SDK."""

import pytest
from google import genai
from google.genai import types
from google.genai.errors import ClientError
from pydantic import BaseModel
from support import PATIENCE

from gemini import Gemini
from scenarios import Scenarios


class Report(BaseModel):
    city: str
    days: int


class TestGemini(Scenarios):
    speaker = Gemini

    def test_parse(self, speaker, stage, upstream):
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Report)
        response = speaker.sdk.models.generate_content(**asked(stage, upstream, "[[json]]"), config=config)
        assert response.parsed == Report(city="Paris", days=1)

    def test_functions_that_the_sdk_calls(self, speaker, stage, upstream):
        asked_for = []

        def weather(city: str) -> str:
            """Tells the weather in a city."""
            asked_for.append(city)
            return "sunny"

        config = types.GenerateContentConfig(tools=[weather])
        response = speaker.sdk.models.generate_content(**asked(stage, upstream, "[[tool]]"), config=config)
        assert asked_for == ["Paris"]
        assert response.text.startswith("Tool said: [")
        assert response.text.endswith("] sunny")

    def test_counted_tokens(self, speaker, stage, upstream):
        assert speaker.sdk.models.count_tokens(**asked(stage, upstream, "[[text]] Hello")).total_tokens > 0

    @pytest.mark.parametrize("version", ["v1", "v1beta"])
    def test_versions(self, speaker, stage, upstream, version):
        options = types.HttpOptions(
            base_url=stage.base(Gemini.persona), api_version=version, timeout=int(PATIENCE * 1000)
        )
        sdk = genai.Client(api_key=stage.key, http_options=options)
        response = sdk.models.generate_content(**asked(stage, upstream, "[[text]] Hello"))
        assert response.text == "You said: [[text]] Hello"

    @pytest.mark.gateway_only
    def test_a_key_that_is_no_good(self, speaker, stage, upstream):
        options = types.HttpOptions(base_url=stage.base(Gemini.persona))
        sdk = genai.Client(api_key="wrong", http_options=options)
        with pytest.raises(ClientError) as caught:
            sdk.models.generate_content(**asked(stage, upstream, "[[text]]"))
        assert caught.value.code in (400, 401)


def asked(stage, upstream, text):
    return {"model": stage.model(upstream, upstream.model), "contents": text}
