"""Runs the benchmark and writes its tables. Start it with `bash bench/run`, which builds what is measured."""

import argparse
import datetime
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import sections
import servers
import tables

RESULTS = pathlib.Path(__file__).parent / "results" / "latest.md"
TITLES = {
    "requests": "Requests, one after another on each of 64 connections",
    "accounts": "Accounting: requests of 1 KB, on 64 connections",
    "streams": "500 streams at the same time, an event every 50 ms in each",
    "first_events": "The first event, one stream at a time",
    "latency": "1,000 requests of 1 KB per second",
    "memory": "Memory",
    "start": "From the start to the first answer",
}


def main():
    arguments = parse()
    # So that everything is stopped whichever way this ends.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit("stopped"))
    text = [heading(arguments)]
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as name:
        directory = pathlib.Path(name)
        # The workers of nginx may be another user's.
        directory.chmod(0o755)
        with servers.Servers(arguments.binaries.resolve(), directory) as started:
            bench = sections.Bench(started, arguments.rounds, arguments.quick)
            for section in arguments.only or TITLES:
                print(TITLES[section], flush=True)
                table = getattr(tables, section)(getattr(sections, section)(bench))
                text.append(f"### {TITLES[section]}\n\n{table}")
                print(f"\n{table}\n", flush=True)
    if bench.troubles:
        text.append("### Trouble\n\n" + "\n".join(f"- {trouble}" for trouble in bench.troubles))
        print(text[-1])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n\n".join(text) + "\n")
    print(f"\n{text[0]}\n\nwritten to {os.path.relpath(RESULTS)}")
    return 1 if bench.troubles else 0


def parse():
    parser = argparse.ArgumentParser(prog="bash bench/run", description="Measures what Mynah costs beside nginx.")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (3)")
    parser.add_argument("--only", action="append", choices=TITLES, help="this section; may be given several times")
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    if arguments.rounds < 1:
        parser.error("at least one round")
    return arguments


def heading(arguments):
    """Where and when this was measured, and with what."""
    now = datetime.datetime.now(datetime.timezone.utc)
    course = f"{arguments.rounds} round{'s' if arguments.rounds > 1 else ''}" + (", quick" if arguments.quick else "")
    system = os.uname()
    nginx = said("nginx", "-v").rpartition("/")[2]
    commit = said("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    if said("git", "status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"):
        commit += " with changes"
    return "\n".join([
        f"- {now:%Y-%m-%d %H:%M} UTC, {course}; load average at the beginning: {os.getloadavg()[0]:.1f}",
        f"- {cpu_model()}, {os.cpu_count()} cores; {system.sysname} {system.release}",
        f"- nginx {nginx}; Mynah {commit}",
    ])


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def said(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
