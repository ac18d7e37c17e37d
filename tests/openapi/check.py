#!/usr/bin/env python3
"""Both descriptions of the real binary are OpenAPI 3.1."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[server]
listen = "127.0.0.1:0"
docs = true
[admin]
listen = "127.0.0.1:0"
"""


def main():
    binary = ROOT / os.environ.get("MYNAH_BIN", "target/debug/mynah")
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "mynah.toml").write_text(CONFIG)
        gateway = subprocess.Popen([binary], cwd=directory, stdout=subprocess.PIPE, text=True, env={})
        try:
            addresses = {"public": address(gateway), "admin": address(gateway)}
            for name, host in addresses.items():
                failed += check(name, f"http://{host}/openapi.json")
        finally:
            gateway.kill()
    print(f"{len(addresses) - failed} passed, {failed} failed")
    return 1 if failed else 0


def address(gateway):
    """The next one that it prints."""
    for line in gateway.stdout:
        if "http://" in line:
            return line.split("http://")[1].split("/")[0].strip()
    raise SystemExit("the gateway did not start")


def check(name, url):
    """The number of descriptions that are wrong."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        document = json.load(answer)
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    for error in errors:
        print(f"{name}: {error.message} at {'/'.join(map(str, error.absolute_path))}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
