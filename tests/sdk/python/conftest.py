"""The understudy runs once for all tests and forgets everything between two of them; each has a gateway of its own."""

import os

import pytest
from openai import OpenAI

from support import ALONE_KEY, CLIENT_KEY, LIMITED_KEY, ONCE_KEY, PATIENCE, POOR_KEY, UPSTREAM_KEY, Process, Understudy

# Keys, addresses and proxies of the machine must not reach the SDK.
for name in list(os.environ):
    if name.startswith("OPENAI_") or name.upper().endswith("_PROXY"):
        del os.environ[name]

CONFIGURATION = """
[server]
listen = "127.0.0.1:0"
default_provider = "up"

# What the understudy says is to be seen, and not what it says the second time.
[routing]
retries = 0

[providers.up]
base_url = "{understudy}/v1"
api_keys = ["{upstream_key}"]

# The same provider for somebody who does not like to wait.
[providers.hasty]
base_url = "{understudy}/v1"
api_keys = ["{upstream_key}"]
models = ["gpt-test"]
timeouts = {{ first_token = "500ms", idle = "500ms" }}

# Nobody listens there.
[providers.dead]
base_url = "http://127.0.0.1:1/v1"
models = ["gpt-test"]

[models.smart]
targets = ["up/gpt-test"]

[models.first-refuses]
targets = ["up/gpt-broken", "up/gpt-test"]

[models.first-is-dead]
targets = ["dead/gpt-test", "up/gpt-test"]

[models.all-refuse]
targets = ["up/gpt-broken", "up/gpt-busy"]

[models.kept]
targets = ["up/gpt-test"]
cache = "1h"

[[clients]]
name = "everything"
key = "{client_key}"

[[clients]]
name = "limited"
key = "{limited_key}"
models = ["smart"]

[[clients]]
name = "once"
key = "{once_key}"
requests_per_minute = 1
tokens_per_minute = 1000

[[clients]]
name = "alone"
key = "{alone_key}"
max_concurrent = 1

[[clients]]
name = "poor"
key = "{poor_key}"
budget = {{ usd = 0.0003, per = "month" }}
"""


@pytest.fixture(scope="session")
def understudy_process(tmp_path_factory):
    process = Process(
        "UNDERSTUDY_BIN", "mynah-understudy", "serve", "--listen", "127.0.0.1:0", cwd=tmp_path_factory.mktemp("understudy")
    )
    yield process
    process.stop()


@pytest.fixture
def gateway(understudy_process, tmp_path_factory):
    """The address of a gateway that has not seen anything fail yet."""
    folder = tmp_path_factory.mktemp("mynah")
    configuration = CONFIGURATION.format(
        understudy=understudy_process.url,
        upstream_key=UPSTREAM_KEY,
        client_key=CLIENT_KEY,
        limited_key=LIMITED_KEY,
        once_key=ONCE_KEY,
        alone_key=ALONE_KEY,
        poor_key=POOR_KEY,
    )
    (folder / "mynah.toml").write_text(configuration)
    process = Process("MYNAH_BIN", "mynah", cwd=folder)
    # The list is complete only when the providers have been asked for their models.
    with OpenAI(base_url=f"{process.url}/v1", api_key=CLIENT_KEY, timeout=PATIENCE) as client:
        client.models.list()
    yield process.url
    process.stop()


@pytest.fixture(autouse=True)
def understudy(understudy_process, gateway):
    understudy = Understudy(understudy_process.url)
    understudy.reset()
    return understudy


@pytest.fixture
def client(gateway):
    """The SDK with a key of the gateway. It does not try again, so that a test sees what the gateway does."""
    with OpenAI(base_url=f"{gateway}/v1", api_key=CLIENT_KEY, max_retries=0, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def anyio_backend():
    return "asyncio"
