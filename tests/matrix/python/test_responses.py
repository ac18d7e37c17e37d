"""The `openai` SDK, Responses."""

import openai
import pytest
from pydantic import BaseModel

from responses import Responses
from scenarios import Scenarios


class Report(BaseModel):
    city: str
    days: int


class TestResponses(Scenarios):
    speaker = Responses

    def test_parse(self, speaker, stage, upstream):
        response = speaker.sdk.responses.parse(**asked(stage, upstream, "[[json]]"), text_format=Report)
        assert response.output_parsed == Report(city="Paris", days=1)

    def test_parse_in_a_stream(self, speaker, stage, upstream):
        with speaker.sdk.responses.stream(**asked(stage, upstream, "[[json]]"), text_format=Report) as stream:
            assert stream.get_final_response().output_parsed == Report(city="Paris", days=1)

    def test_stored_conversations(self, speaker, stage, upstream):
        """Only the provider that stored a conversation can go on with it."""
        request = asked(stage, upstream, "[[text]] Go on") | {"previous_response_id": "resp_understudy1"}
        if upstream.name == "responses":
            assert speaker.sdk.responses.create(**request).output_text == "You said: [[text]] Go on"
            return
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            speaker.sdk.responses.create(**request)

    def test_what_the_request_said_comes_back(self, speaker, stage, upstream):
        request = asked(stage, upstream, "[[text]] Hello") | {"metadata": {"team": "a"}, "instructions": "Be brief."}
        response = speaker.sdk.responses.create(**request)
        assert (response.metadata, response.instructions) == ({"team": "a"}, "Be brief.")
        assert (response.tools, response.tool_choice, response.parallel_tool_calls) == ([], "auto", True)


def asked(stage, upstream, text):
    return {"model": stage.model(upstream, upstream.model), "input": text}
