"""Watches the memory of Mynah under a steady load. Start it with `bash bench/soak`, which builds what is measured."""

import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import servers

# How often memory is looked at, in seconds.
PAUSE = 5

# By how much the last third may be above the middle one: what the allocator keeps varies.
FLAT = 1.05

# Everything that keeps something of each request: clients with limits, and a ledger that is full after some minutes, so
# that rows are deleted while others are written.
SETTINGS = f"""
[log]
requests = true
[store]
url = "sqlite://soak.db"
max_size = "32MiB"
[[clients]]
name = "soak"
key = "{servers.CLIENT_KEY}"
requests_per_minute = 1_000_000
tokens_per_minute = 1_000_000_000
budget = {{ usd = 1_000_000, per = "month" }}
"""


def main():
    arguments = parse()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit("stopped"))
    servers.VARIANTS["soak"] = (SETTINGS, servers.FULL[1])
    with tempfile.TemporaryDirectory(prefix="mynah-soak-") as name:
        with servers.Servers(arguments.binaries.resolve(), pathlib.Path(name)) as started:
            started.start_understudies()
            way = started.start_mynah("soak")
            loads = [start(arguments, way, *load) for load in loads_of(arguments.rate)]
            samples = watch(way, loads)
            results = [json.loads(load.communicate()[0]) for load in loads]
    return report(samples, results)


def parse():
    parser = argparse.ArgumentParser(prog="bash bench/soak", description="Watches Mynah's memory under a steady load.")
    parser.add_argument("--minutes", type=float, default=30, help="how long (30)")
    parser.add_argument("--rate", type=int, default=200, help="small requests per second (200)")
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where they were built, if not just now")
    return parser.parse_args()


def loads_of(rate):
    """What is asked: small and large answers at a fixed rate, and streams."""
    yield "small", ["open", "--rate", rate, "--connections", 32]
    yield "large", ["open", "--rate", max(rate // 20, 1), "--connections", 8, "--body-bytes", 102400]
    yield "events", ["streams", "--streams", 20]


def start(arguments, way, kind, command):
    command = [arguments.binaries / "mynah-load", *command, "--duration", f"{round(arguments.minutes * 60)}s"]
    return subprocess.Popen(list(map(str, command)) + way.arguments(kind), stdout=subprocess.PIPE, text=True)


def watch(way, loads):
    """Kilobytes of memory, every few seconds, for as long as there is load."""
    samples = []
    while all(load.poll() is None for load in loads):
        time.sleep(PAUSE)
        samples.append(way.memory())
    return samples


def report(samples, results):
    requests, errors = (sum(result[what] for result in results) for what in ("requests", "errors"))
    print(f"{len(samples) * PAUSE / 60:.0f} minutes; {requests:,} requests, {errors} failed\n")
    print("| part | memory, median | at most |\n|---|---:|---:|")
    medians = []
    for number in range(6):
        part = samples[len(samples) * number // 6 : len(samples) * (number + 1) // 6]
        medians.append(statistics.median(part))
        print(f"| {number + 1} of 6 | {medians[-1] / 1024:.1f} MB | {max(part) / 1024:.1f} MB |")
    grows = max(medians[4:]) > FLAT * max(medians[2:4])
    print("\nMemory grows." if grows else "\nMemory is flat.")
    return 1 if grows or errors else 0


if __name__ == "__main__":
    sys.exit(main())
