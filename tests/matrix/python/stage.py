"""The understudy, and the gateway in front of it, for the whole session."""

import base64
import os

from openai import OpenAI
from support import CLIENT_KEY, PATIENCE, UPSTREAM_KEY, Process, Understudy

from expectations import UPSTREAMS

# The SDKs speak to the understudy, each in its own dialect only: proves that the expectations are right.
DIRECT = os.environ.get("MATRIX_DIRECT") == "1"

SERVER = """
[server]
listen = "127.0.0.1:0"

# What the understudy says is to be seen, and not what it says the second time.
[routing]
retries = 0

[[clients]]
name = "matrix"
key = "{key}"
"""
PROVIDER = """
[providers.{name}]
{kind}
base_url = "{address}"
api_keys = ["{key}"]
"""


class Stage:
    """Where the SDKs send what they send, and what came out at the other end."""

    def __init__(self, folder):
        self.understudy_process = Process(
            "UNDERSTUDY_BIN", "mynah-understudy", "serve", "--listen", "127.0.0.1:0", cwd=folder
        )
        self.understudy = Understudy(self.understudy_process.url)
        self.folder = folder
        self.gateway_process = None if DIRECT else self._gateway(folder)
        self.key = UPSTREAM_KEY if DIRECT else CLIENT_KEY

    def base(self, persona):
        """The address that a client of this persona is given, without its version."""
        return self._column(persona).removesuffix("/v1") if DIRECT else self.gateway_process.url

    def model(self, upstream, model):
        """The name that a client calls a model."""
        return model if DIRECT else f"{upstream.name}/{model}"

    def last_request(self):
        """What the provider received last, as JSON."""
        return self.understudy.received()[-1].json

    def begin_anew(self):
        """With a gateway that has not seen anything fail yet."""
        if self.gateway_process:
            self.gateway_process.stop()
            self.gateway_process = self._gateway(self.folder)

    def stop(self):
        for process in [self.gateway_process, self.understudy_process]:
            if process:
                process.stop()

    def _column(self, persona):
        return f"{self.understudy_process.url}/as/{persona}"

    def _gateway(self, folder):
        providers = [
            PROVIDER.format(name=it.name, kind=it.kind, address=self._column(it.persona), key=UPSTREAM_KEY)
            for it in UPSTREAMS
        ]
        (folder / "mynah.toml").write_text(SERVER.format(key=CLIENT_KEY) + "".join(providers))
        process = Process("MYNAH_BIN", "mynah", cwd=folder)
        # The list is complete only when the providers have been asked for their models.
        with OpenAI(base_url=f"{process.url}/v1", api_key=CLIENT_KEY, timeout=PATIENCE) as client:
            client.models.list()
        return process


def is_sealed(maker, value):
    """Whether there is a signature of this provider's in a request."""
    if isinstance(value, dict):
        return any(is_sealed(maker, item) for item in value.values())
    if isinstance(value, list):
        return any(is_sealed(maker, item) for item in value)
    return isinstance(value, str) and decoded(value).startswith(f"{maker}:".encode())


def decoded(text):
    # Google's SDK writes the alphabet for addresses.
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.urlsafe_b64decode(padded.replace("+", "-").replace("/", "_"))
    except ValueError:
        return b""

