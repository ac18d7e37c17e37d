"""The gateway and the understudy as child processes."""

import json
import os
import re
import subprocess
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Nobody listens there: what goes to other machines goes nowhere.
NOWHERE = "http://127.0.0.1:9"


def environment():
    """What children inherit: neither keys nor proxies of the machine."""
    proxies = {name: NOWHERE for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")}
    exceptions = {name: "127.0.0.1,localhost" for name in ("NO_PROXY", "no_proxy")}
    return {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", **proxies, **exceptions}


class Process:
    """A child process that says on standard output where it listens."""

    def __init__(self, variable, name, *arguments, cwd):
        binary = ROOT / (os.environ.get(variable) or f"target/debug/{name}")
        self.log = Path(cwd) / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, *arguments],
                cwd=cwd,
                env={"PATH": os.environ.get("PATH", ""), "RUST_BACKTRACE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.url = self._where_it_listens(name)
        # What it says later must not fill the pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _where_it_listens(self, name):
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                return found.group()
        raise SystemExit(f"{name} did not start:\n{self.log.read_text()}")


class Understudy:
    """The record of what came in at the provider."""

    def __init__(self, url):
        self.url = url
        # The proxies of the machine are not for this.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def received(self):
        answer = json.loads(self._ask("GET", "/__understudy/received"))
        return answer["received"] if isinstance(answer, dict) else answer

    def clear(self):
        self._ask("DELETE", "/__understudy/received")

    def _ask(self, method, path):
        request = urllib.request.Request(self.url + path, method=method)
        with self.opener.open(request, timeout=10) as response:
            return response.read()
