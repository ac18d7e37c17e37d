"""The scenarios that every client plays against every provider: whole, in a stream, through the SDK's own helper."""

import contextlib
import json
import re

import pytest

from expectations import (
    ABSENT,
    AFTERTHOUGHT,
    CITED,
    CITED_URL,
    DECLARED,
    ERRORS,
    LONG,
    REFUSAL,
    REFUSED,
    THOUGHT,
    UNICODE,
)
from gemini import joined
from question import PNG, PNG_SEEN, REPORT_SCHEMA, Question, Result, Spent
from stage import DIRECT, is_sealed

BOTH_TOOLS = ("weather", "clock")
needs = pytest.mark.needs


class Scenarios:
    """One cell for each provider and way. A subclass says which SDK is the client."""

    @pytest.fixture
    def ask(self, speaker, stage, upstream, way):
        """Puts a question to the provider."""

        def ask(question, before=None):
            model = upstream.thinker if question.thinking else upstream.model
            if before and speaker.name == "gem" and upstream.how_not("split turns"):
                before.history = joined(before.history)
            return speaker.ask(way, stage.model(upstream, model), question, before)

        return ask

    @pytest.fixture
    def ask_if_possible(self, ask, speaker, upstream):
        """The same, or `None` after a refusal that names the field which the provider does not know."""

        def ask_if_possible(feature, question, before=None):
            how = upstream.how_not(feature)
            if how == REFUSED:
                with pytest.raises(speaker.errors["bad request"], match=re.escape(speaker.fields[feature])):
                    ask(question, before)
                return None
            answer = ask(question, before)
            if how == DECLARED:
                assert speaker.fields[feature] in answer.lossy
            return answer

        return ask_if_possible

    # Texts.

    def test_text(self, ask, speaker):
        answer = ask(Question("[[text]] Hello"))
        assert answer.text == "You said: [[text]] Hello"
        assert answer.finish == speaker.finishes["stop"]
        assert answer.usage == speaker.spent(Spent())
        assert (answer.calls, answer.refusal, answer.thinking) == ([], None, "")
        assert answer.lossy == ""

    def test_a_second_turn(self, ask):
        first = ask(Question("[[text]] Hello"))
        assert ask(Question("[[text]] And now?"), first).text == "You said: [[text]] And now?"

    def test_a_stream_comes_in_pieces(self, ask, speaker, way):
        ask(Question("[[text]] one two three"))
        assert way == "whole" or len(speaker.heard) > 3

    @pytest.mark.parametrize("name", ["unicode", "split-utf8"])
    def test_unicode(self, ask, name):
        assert ask(Question(f"[[{name}]]")).text == UNICODE

    def test_lines_that_end_in_cr_lf(self, ask, speaker):
        answer = ask(Question("[[crlf]] Hello"))
        assert (answer.text, answer.finish) == ("You said: [[crlf]] Hello", speaker.finishes["stop"])

    def test_pings(self, ask, speaker, upstream, way):
        question = Question("[[pings]] Hello")
        if speaker.name == upstream.name == "gem" and way != "whole":
            # Google's SDK cannot read comments, Google sends none, and what is passed on is not touched.
            with pytest.raises(ValueError, match="ping"):
                ask(question)
            return
        answer = ask(question)
        assert (answer.text, answer.finish) == ("You said: [[pings]] Hello", speaker.finishes["stop"])

    def test_unicode_in_the_question(self, ask):
        assert ask(Question(f"[[text]] {UNICODE}")).text == f"You said: [[text]] {UNICODE}"

    def test_long(self, ask):
        assert ask(Question("[[long]]")).text == LONG

    def test_system(self, ask, stage):
        answer = ask(Question("[[text]] Hello", system="Be brief and kind."))
        assert answer.text == "You said: [[text]] Hello"
        assert "Be brief and kind." in json.dumps(stage.last_request())

    # Tools.

    def test_tool(self, ask, speaker):
        answer = ask(Question("[[tool]] The weather?", tools=("weather",)))
        assert told(answer.calls) == [("weather", {"city": "Paris"})]
        assert answer.finish == speaker.finishes["calls"]
        assert (answer.text, answer.lossy) == ("", "")

    @pytest.mark.parametrize("name", ["parallel", "interleaved"])
    def test_parallel_tools(self, ask, speaker, name):
        answer = ask(Question(f"[[{name}]]", tools=BOTH_TOOLS))
        assert told(answer.calls) == [("weather", {"city": "Paris"}), ("clock", {"city": "Rome"})]
        assert answer.finish == speaker.finishes["calls"]
        assert answer.calls[0].id != answer.calls[1].id or answer.calls[0].id is None

    def test_choice_of_a_tool(self, ask):
        answer = ask(Question("Which one?", tools=BOTH_TOOLS, choice="clock"))
        assert told(answer.calls) == [("clock", {"city": "Paris"})]

    @needs("one call")
    def test_one_tool_at_a_time(self, ask_if_possible, upstream):
        answer = ask_if_possible("one call", Question("[[parallel]]", tools=BOTH_TOOLS, one_call=True))
        assert len(answer.calls) == (2 if upstream.how_not("one call") else 1)

    def test_text_then_tool(self, ask, speaker):
        answer = ask(Question("[[text-then-tool]]", tools=("weather",)))
        # Cohere's plan may be shown as what it says or as what it thinks.
        assert "Let me look." in (answer.text, answer.thinking)
        assert told(answer.calls) == [("weather", {"city": "Paris"})]
        assert answer.finish == speaker.finishes["calls"]

    def test_empty_arguments(self, ask):
        answer = ask(Question("[[empty-args]]", tools=("weather",)))
        assert told(answer.calls) == [("weather", {})]

    def test_result(self, ask, speaker):
        first = ask(Question("[[tool]]", tools=("weather",)))
        answer = ask(Question(tools=("weather",), results=(Result(first.calls[0], "sunny"),)), first)
        assert re.fullmatch(r"Tool said: \[\S+\] sunny", answer.text)
        assert answer.finish == speaker.finishes["stop"]

    def test_results_of_parallel_tools(self, ask):
        first = ask(Question("[[parallel]]", tools=BOTH_TOOLS))
        results = (Result(first.calls[0], "sunny"), Result(first.calls[1], "noon"))
        answer = ask(Question(tools=BOTH_TOOLS, results=results), first)
        assert re.fullmatch(r"Tool said: \[\S+\] sunny; \[\S+\] noon", answer.text)

    @needs("tool error")
    def test_result_with_an_error(self, ask, ask_if_possible, upstream):
        first = ask(Question("[[tool]]", tools=("weather",)))
        result = Result(first.calls[0], "No such city.", is_error=True)
        answer = ask_if_possible("tool error", Question(tools=("weather",), results=(result,)), first)
        assert "No such city." in answer.text
        assert upstream.how_not("tool error") or "(error) No such city." in answer.text

    @needs("image in a result")
    def test_result_with_an_image(self, ask, ask_if_possible, upstream):
        first = ask(Question("[[tool]]", tools=("weather",)))
        result = Result(first.calls[0], "A radar image", image=PNG)
        answer = ask_if_possible("image in a result", Question(tools=("weather",), results=(result,)), first)
        assert "A radar image" in answer.text
        assert upstream.how_not("image in a result") or PNG_SEEN in answer.text

    # What goes in and comes out besides text.

    def test_image(self, ask):
        answer = ask(Question("[[image]] What is this?", image=PNG))
        assert (answer.text, answer.lossy) == (f"I see: {PNG_SEEN}", "")

    def test_structured_output(self, ask, speaker):
        answer = ask(Question("[[json]]", schema=REPORT_SCHEMA))
        assert json.loads(answer.text) == {"city": "Paris", "days": 1}
        assert (answer.finish, answer.calls) == (speaker.finishes["stop"], [])

    def test_citations(self, ask):
        answer = ask(Question("[[citations]]"))
        assert answer.text == CITED
        assert answer.sources == [CITED_URL]

    @needs("candidates")
    def test_candidates(self, ask_if_possible, way):
        question = Question("[[n]] Hello", candidates=2)
        if answer := ask_if_possible("candidates", question):
            # Google's helper keeps the first one only in what it remembers, but passes on all.
            assert answer.texts == ["You said: [[n]] Hello"] * 2

    @needs("logprobs")
    def test_logprobs(self, ask_if_possible, upstream):
        answer = ask_if_possible("logprobs", Question("[[logprobs]] Hello", logprobs=2))
        assert answer.text == "You said: [[logprobs]] Hello"
        if upstream.name != "claude":
            assert "".join(answer.tokens) == answer.text

    # Reasoning.

    def test_reasoning(self, ask, speaker, upstream):
        answer = ask(Question("[[reasoning]]", thinking=True))
        assert answer.thinking == THOUGHT
        assert answer.text == AFTERTHOUGHT
        spent = Spent(thinking=0 if upstream.how_not("thinking usage") else 3)
        assert answer.usage == speaker.spent(spent)

    def test_reasoning_goes_back(self, ask, speaker, stage, upstream):
        first = ask(Question("[[reasoning]]", thinking=True))
        answer = ask(Question("[[text]] Go on", thinking=True), first)
        assert answer.text == "You said: [[text]] Go on"
        assert_proven(upstream, speaker.proofs_of_thoughts, speaker, stage, answer)

    def test_reasoning_with_a_tool_goes_back(self, ask, speaker, stage, upstream):
        question = Question("[[reasoning-tool]]", tools=("weather",), thinking=True)
        first = ask(question)
        assert first.thinking == THOUGHT
        assert told(first.calls) == [("weather", {"city": "Paris"})]
        result = Result(first.calls[0], "sunny")
        answer = ask(Question(tools=("weather",), thinking=True, results=(result,)), first)
        assert re.fullmatch(r"Tool said: \[\S+\] sunny", answer.text)
        assert_proven(upstream, speaker.proofs_of_calls, speaker, stage, answer)

    def test_redacted_reasoning_goes_back(self, ask, speaker, stage, upstream):
        first = ask(Question("[[redacted]]", thinking=True))
        assert (first.thinking, first.text) == ("", AFTERTHOUGHT)
        answer = ask(Question("[[text]] Go on", thinking=True), first)
        assert answer.text == "You said: [[text]] Go on"
        if upstream.name in speaker.proofs_of_thoughts:
            assert is_sealed(upstream.seal, stage.last_request())

    # Why it ends.

    def test_length(self, ask, speaker):
        answer = ask(Question("[[max-tokens]]"))
        assert (answer.text, answer.finish) == ("This answer is cut", speaker.finishes["length"])

    @needs("stop")
    def test_stop_sequence(self, ask_if_possible, speaker, upstream):
        answer = ask_if_possible("stop", Question("[[stop-sequence]]", stop=("END",)))
        assert answer.text.rstrip() == "This answer stops"
        kind = "stop" if upstream.how_not("which stop") else "stop sequence"
        assert answer.finish == speaker.finishes[kind]
        if answer.finish == "stop_sequence" and not upstream.how_not("stop sequence"):
            assert answer.stop_sequence == "END"

    def test_refusal(self, ask, speaker, upstream):
        answer = ask(Question("[[refusal]]"))
        if upstream.how_not("refusal") == ABSENT:
            assert (answer.text, answer.finish) == (REFUSAL, speaker.finishes["stop"])
        elif upstream.how_not("refusal words") == ABSENT:
            assert answer.text == ""
            assert answer.finish in (speaker.finishes["refusal"], speaker.finishes["filter"])
            # Nobody may take it for an answer that has nothing to say.
            assert answer.finish not in (speaker.finishes["stop"],) or answer.refusal
        else:
            assert (answer.refusal or answer.text) == REFUSAL
            assert answer.finish == speaker.finishes["refusal"]

    def test_blocked(self, ask, speaker, upstream):
        question = Question("[[blocked]]")
        if upstream.how_not("blocked") == REFUSED:
            with pytest.raises(speaker.any_error):
                ask(question)
            return
        answer = ask(question)
        assert (answer.text, answer.calls) == ("", [])
        # Anthropic has one reason for both.
        is_refusal = upstream.how_not("blocked") == ABSENT and answer.finish == speaker.finishes["refusal"]
        assert is_refusal or answer.finish == speaker.finishes["filter"]

    # What it costs.

    @pytest.mark.parametrize("name", ["early-usage", "late-usage"])
    def test_usage(self, ask, speaker, name):
        assert ask(Question(f"[[{name}]]")).usage == speaker.spent(Spent())

    def test_usage_of_a_cache(self, ask, speaker, upstream):
        spent = Spent(
            cached=4,
            written=0 if upstream.how_not("cache writes") else 2,
            thinking=0 if upstream.how_not("thinking usage") else 3,
        )
        assert ask(Question("[[usage-cache]]")).usage == speaker.spent(spent)

    # What goes wrong.

    @pytest.mark.parametrize("name", ERRORS)
    def test_error(self, ask, speaker, upstream, name):
        kind = ERRORS[name]
        if name == "error-503" and speaker.name == upstream.name == "claude":
            # Passed on as it is: Anthropic has another status for an overload.
            kind = "server"
        with pytest.raises(speaker.errors[kind]) as caught:
            ask(Question(f"[[{name}]]"))
        status = speaker.status(caught.value)
        assert status in statuses(name, speaker, upstream), caught.value
        if name == "error-429":
            assert speaker.retry_after(caught.value) == "7"
        if name == "error-context":
            assert speaker.is_context_error(caught.value)

    def test_error_as_first_event(self, ask, speaker):
        with pytest.raises(speaker.any_error) as caught:
            ask(Question("[[error-first-event]]"))
        if not DIRECT:
            # Nothing was said yet, so that it has a status of its own.
            assert speaker.status(caught.value) >= 500

    @pytest.mark.parametrize("name", ["error-mid-stream", "cut-mid-stream"])
    def test_break_in_the_middle(self, ask, speaker, way, name):
        with pytest.raises(speaker.breaks if not DIRECT else Exception):
            ask(Question(f"[[{name}]] one two three four"))
        assert way == "whole" or "".join(speaker.heard).startswith("You said: ")

    @pytest.mark.gateway_only
    def test_stream_without_an_end(self, ask, speaker, upstream, way):
        question = Question("[[no-finish]] one two three four")
        if way == "whole":
            assert ask(question).finish == speaker.finishes["stop"]
            return
        # What is passed on in the same dialect is not touched: there, the SDK makes of it what it makes of the provider's own.
        errors = Exception if speaker.name == upstream.name else speaker.any_error
        untouched = contextlib.suppress(errors) if speaker.name == upstream.name else pytest.raises(errors)
        with untouched:
            ask(question)
        assert "".join(speaker.heard).startswith("You said: ")


def assert_proven(upstream, proofs, speaker, stage, answer):
    """The provider's proof came back to it; or that it did not is declared."""
    if upstream.name in proofs:
        assert is_sealed(upstream.seal, stage.last_request())
    elif not upstream.how_not("signature"):
        assert speaker.fields["proof"] in answer.lossy


def told(calls):
    return [(call.name, call.arguments) for call in calls]


def statuses(name, speaker, upstream):
    """The statuses that a client of this protocol may see for an error."""
    if name == "error-context":
        return {400}
    if name == "error-401":
        # Google's own word for it is 400, API_KEY_INVALID, which is passed on as it is.
        return {400} if speaker.name == upstream.name == "gem" else {401}
    if name in ("error-503", "error-529"):
        return {529, 503} if speaker.name == "claude" else {503}
    if name == "error-500":
        return {500, 502}
    return {int(name.removeprefix("error-"))}
