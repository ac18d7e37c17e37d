"""What the SDKs of Anthropic and Google make of limits and budgets of their key."""

import anthropic
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types
from google.genai.errors import ClientError
from support import PATIENCE, UPSTREAM_KEY, Process

pytestmark = pytest.mark.gateway_only

# A client for each test, since the gateway remembers them.
CONFIGURATION = """
[server]
listen = "127.0.0.1:0"

[providers.claude]
kind = "anthropic"
base_url = "{understudy}/as/anthropic"
api_keys = ["{upstream_key}"]
models = []

[providers.gem]
kind = "gemini"
base_url = "{understudy}/as/gemini"
api_keys = ["{upstream_key}"]
models = []
"""
CLIENT = """
[[clients]]
name = "{name}"
key = "{name}"
{limits}
"""
LIMITS = {
    "once-a": "requests_per_minute = 1\ntokens_per_minute = 1000",
    "once-g": "requests_per_minute = 1",
    "poor-a": "budget = { usd = 0.001, per = 'day' }",
    "poor-g": "budget = { usd = 0.001, per = 'day' }",
}
CLAUDE = {
    "model": "claude/claude-sonnet-4-5",
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "Hello!"}],
}


@pytest.fixture(scope="module")
def gateway(stage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    clients = "".join(CLIENT.format(name=name, limits=limits) for name, limits in LIMITS.items())
    configuration = CONFIGURATION.format(understudy=stage.understudy_process.url, upstream_key=UPSTREAM_KEY)
    (folder / "mynah.toml").write_text(configuration + clients)
    process = Process("MYNAH_BIN", "mynah", cwd=folder)
    yield process.url
    process.stop()


@pytest.fixture(autouse=True)
def understudy(stage):
    stage.understudy.reset()
    return stage.understudy


def of_anthropic(gateway, key, retries=2):
    return Anthropic(base_url=gateway, api_key=key, max_retries=retries, timeout=PATIENCE)


def of_google(gateway, key):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway))


@pytest.fixture
def pauses(monkeypatch):
    """How long the SDK waits before it tries again, in seconds. It does not really wait."""
    waited = []
    monkeypatch.setattr("anthropic._base_client.time.sleep", waited.append)
    return waited


class TestAnthropic:
    def test_limit(self, gateway, understudy, pauses):
        with of_anthropic(gateway, "once-a") as client:
            headers = client.messages.with_raw_response.create(**CLAUDE).headers
            assert headers["anthropic-ratelimit-requests-limit"] == "1"
            assert headers["anthropic-ratelimit-requests-remaining"] == "0"
            assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
            assert headers["anthropic-ratelimit-tokens-limit"] == "1000"
            assert 0 < int(headers["anthropic-ratelimit-tokens-remaining"]) < 1000
            with pytest.raises(anthropic.RateLimitError) as caught:
                client.messages.create(**CLAUDE)
        error = caught.value
        assert error.body["error"]["type"] == "rate_limit_error"
        assert "1/1 requests per minute for the client `once-a`" in error.body["error"]["message"]
        wait = float(error.response.headers["retry-after"])
        assert 50 < wait <= 60
        assert pauses == [pytest.approx(wait, abs=2)] * 2
        assert len(understudy.received()) == 1

    def test_budget(self, gateway, understudy, pauses):
        with of_anthropic(gateway, "poor-a") as client, pytest.raises(anthropic.APIStatusError) as caught:
            for _ in range(20):
                client.messages.create(**CLAUDE)
        error = caught.value
        assert error.status_code == 402
        assert error.body["error"]["type"] == "billing_error"
        assert error.body["error"]["message"].startswith("The budget of the client `poor-a` is used up: $0.000")
        assert pauses == []
        assert 1 <= len(understudy.received()) < 20


class TestGoogle:
    def test_limit(self, gateway, understudy):
        client = of_google(gateway, "once-g")
        ask = {"model": "gem/gemini-2.5-flash", "contents": "Hello!"}
        assert "Hello!" in client.models.generate_content(**ask).text
        with pytest.raises(ClientError) as caught:
            client.models.generate_content(**ask)
        error = caught.value
        assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")
        assert "1/1 requests per minute for the client `once-g`" in error.message
        assert 50 < int(error.response.headers["retry-after"]) <= 60
        assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
        assert len(understudy.received()) == 1

    def test_budget(self, gateway, understudy):
        client = of_google(gateway, "poor-g")
        config = types.GenerateContentConfig(max_output_tokens=50)
        with pytest.raises(ClientError) as caught:
            for _ in range(200):
                client.models.generate_content(model="gem/gemini-2.5-pro", contents="Hello!", config=config)
        error = caught.value
        # Google has no status of its own for it.
        assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")
        assert error.message.startswith("The budget of the client `poor-g` is used up: $0.000")
        assert "retry-after" not in error.response.headers
        assert 1 <= len(understudy.received()) < 200
