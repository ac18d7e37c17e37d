"""The `anthropic` SDK."""

import anthropic
import pytest
from anthropic import beta_tool
from pydantic import BaseModel

from messages import Messages
from scenarios import Scenarios


class Report(BaseModel):
    city: str
    days: int


class TestMessages(Scenarios):
    speaker = Messages

    def test_parse(self, speaker, stage, upstream):
        message = speaker.sdk.messages.parse(**asked(stage, upstream, "[[json]]"), output_format=Report)
        assert message.parsed_output == Report(city="Paris", days=1)

    def test_parse_in_a_stream(self, speaker, stage, upstream):
        with speaker.sdk.messages.stream(**asked(stage, upstream, "[[json]]"), output_format=Report) as stream:
            assert stream.get_final_message().parsed_output == Report(city="Paris", days=1)

    @pytest.mark.parametrize("is_stream", [False, True])
    def test_tool_runner(self, speaker, stage, upstream, is_stream):
        run_a_tool(speaker.sdk, asked(stage, upstream, "[[tool]]"), stream=is_stream, thread=False)

    @pytest.mark.gateway_only
    @pytest.mark.columns("chat", "responses", "gem", "co")
    @pytest.mark.parametrize("is_stream", [False, True])
    def test_tool_runner_that_asks_for_a_thread(self, speaker, stage, upstream, is_stream):
        """By default the SDK asks Anthropic to hold the conversation. Where it hears the error code
        `thread_unsupported_request`, it sends all of the conversation instead."""
        run_a_tool(speaker.sdk, asked(stage, upstream, "[[tool]]"), stream=is_stream)

    def test_counted_tokens(self, speaker, stage, upstream):
        request = asked(stage, upstream, "[[text]] Hello")
        del request["max_tokens"]
        assert speaker.sdk.messages.count_tokens(**request).input_tokens > 0

    @pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
    def test_old_clients(self, speaker, stage, upstream, version):
        """They send their key in a header of its own, and parameters that newer ones do not have."""
        headers = {"x-api-key": stage.key, "authorization": anthropic.Omit(), "anthropic-version": version}
        request = asked(stage, upstream, "[[text]] Hello")
        message = speaker.sdk.messages.create(
            **request, extra_headers=headers, extra_query={"beta": "true"}, extra_body={"temperature": 0.5}
        )
        assert message.content[0].text == "You said: [[text]] Hello"

    @pytest.mark.gateway_only
    def test_a_key_that_is_no_good(self, speaker, stage, upstream):
        with pytest.raises(anthropic.AuthenticationError):
            speaker.sdk.with_options(api_key="wrong").messages.create(**asked(stage, upstream, "[[text]]"))


def run_a_tool(sdk, request, **options):
    asked_for = []

    @beta_tool
    def weather(city: str) -> str:
        """Tells the weather in a city."""
        asked_for.append(city)
        return "sunny"

    message = sdk.beta.messages.tool_runner(**request, tools=[weather], **options).until_done()
    assert asked_for == ["Paris"]
    assert message.content[0].text.startswith("Tool said: [")
    assert message.content[0].text.endswith("] sunny")


def asked(stage, upstream, text):
    return {
        "model": stage.model(upstream, upstream.model),
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": text}],
    }
