"""Starts the real binaries, and tells the understudy what to answer."""

import base64
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 20.0

UPSTREAM_KEY = "sk-upstream-secret"
CLIENT_KEY = "sk-client-of-the-gateway"
LIMITED_KEY = "sk-client-with-one-model"
ONCE_KEY = "sk-client-with-one-request-a-minute"
ALONE_KEY = "sk-client-with-one-request-at-a-time"
POOR_KEY = "sk-client-with-hardly-any-money"


class Process:
    """A child process that says on standard output where it listens."""

    def __init__(self, variable, name, *arguments, cwd):
        binary = ROOT / (os.environ.get(variable) or f"target/debug/{name}")
        # Neither keys nor proxies of the machine may change what is tested.
        environment = {"PATH": os.environ.get("PATH", ""), "RUST_BACKTRACE": "1"}
        self.log = Path(cwd) / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, *arguments],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.url = self._where_it_listens(name)
        # What it says later must not fill the pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _where_it_listens(self, name):
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                return found.group()
        raise RuntimeError(f"{name} did not start:\n{self.log.read_text()}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Received:
    """One request as it came in at the understudy."""

    def __init__(self, entry):
        self.connection = entry["connection"]
        self.method = entry["method"]
        self.target = entry["target"]
        self.outcome = entry["outcome"]
        self.headers = [(name.lower(), value) for name, value in entry["headers"]]
        self.body = (
            entry["body_text"].encode() if "body_text" in entry else base64.b64decode(entry["body_base64"])
        )

    def header(self, name):
        return next((value for present, value in self.headers if present == name), None)

    @property
    def json(self):
        return json.loads(self.body)


class Understudy:
    """The fake provider. Without rules, its persona answers as OpenAI would."""

    def __init__(self, url):
        self.url = url
        self.rules = []

    def on(self, *replies, **conditions):
        """Has it answer requests that meet the conditions (`path`, `model`, ...) with these replies in turn."""
        self.rules.append({**conditions, "replies": list(replies)})
        self._put_script()

    def reset(self):
        self.rules = []
        self._put_script()
        self._call("DELETE", "received")

    def received(self):
        return [Received(entry) for entry in json.loads(self._call("GET", "received"))]

    def only_request(self):
        (request,) = self.received()
        return request

    def _put_script(self):
        rules = ["[[rule]]\n" + "\n".join(f"{key} = {toml(value)}" for key, value in rule.items()) for rule in self.rules]
        self._call("PUT", "script", "\n".join(rules).encode())

    def _call(self, method, name, body=None):
        request = urllib.request.Request(f"{self.url}/__understudy/{name}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.read()


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    # Strings, numbers and booleans are written as in JSON.
    return json.dumps(value, ensure_ascii=False)


def json_reply(value, **more):
    """A reply with a JSON body (as text, because TOML has no null)."""
    return {"body": json.dumps(value), **more}


def error_reply(status, message="Something went wrong.", **more):
    error = {"message": message, "type": "some_type", "param": "some_param", "code": "some_code"}
    return json_reply({"error": error}, status=status, **more)


def chunk(delta=None, finish_reason=None, **members):
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    envelope = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return "data: " + json.dumps({**envelope, **members})


DONE = "data: [DONE]"
HELLO = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"})]


def eventually(condition):
    """Waits until something that happens in another process is so."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found
