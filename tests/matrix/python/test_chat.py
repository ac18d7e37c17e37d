"""The `openai` SDK, Chat Completions."""

import openai
import pytest
from pydantic import BaseModel

from chat import Chat
from scenarios import Scenarios


class Report(BaseModel):
    city: str
    days: int


class TestChat(Scenarios):
    speaker = Chat

    def test_parse(self, speaker, stage, upstream):
        completion = speaker.sdk.chat.completions.parse(**asked(stage, upstream, "[[json]]"), response_format=Report)
        assert completion.choices[0].message.parsed == Report(city="Paris", days=1)

    def test_parse_in_a_stream(self, speaker, stage, upstream):
        request = asked(stage, upstream, "[[json]]")
        with speaker.sdk.chat.completions.stream(**request, response_format=Report) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == Report(city="Paris", days=1)

    def test_parse_a_call(self, speaker, stage, upstream):
        tools = [openai.pydantic_function_tool(Report)]
        request = asked(stage, upstream, "[[json]]")
        completion = speaker.sdk.chat.completions.parse(**request, tools=tools, tool_choice="required")
        (call,) = completion.choices[0].message.tool_calls
        assert call.function.parsed_arguments == Report(city="Paris", days=1)

    def test_usage_only_where_it_is_asked_for(self, speaker, stage, upstream):
        chunks = list(speaker.sdk.chat.completions.create(**asked(stage, upstream, "[[text]] Hello"), stream=True))
        assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
        assert all(chunk.choices for chunk in chunks)

    @pytest.mark.gateway_only
    @pytest.mark.columns("responses", "claude", "gem", "co")
    def test_losses(self, speaker, stage, upstream):
        """Only Chat Completions know a bias for tokens; who insists on it is refused."""
        request = asked(stage, upstream, "[[text]] Hello") | {"logit_bias": {"50256": -100}}
        response = speaker.sdk.chat.completions.with_raw_response.create(**request)
        assert "logit_bias" in response.headers["x-mynah-lossy"]
        with pytest.raises(openai.BadRequestError, match="logit_bias"):
            speaker.sdk.chat.completions.create(**request, extra_headers={"x-mynah-strict": "true"})

    @pytest.mark.gateway_only
    def test_a_key_that_is_no_good(self, speaker, stage, upstream):
        with pytest.raises(openai.AuthenticationError):
            speaker.sdk.with_options(api_key="wrong").chat.completions.create(**asked(stage, upstream, "[[text]]"))


def asked(stage, upstream, text):
    return {"model": stage.model(upstream, upstream.model), "messages": [{"role": "user", "content": text}]}
