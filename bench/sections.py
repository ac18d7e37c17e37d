"""What is measured. Each section returns its figures as (row, way, figures of each round)."""

import json
import socket
import subprocess
import time

import servers

# Size of the request, and kind of the reply.
REQUESTS = [("1 KB", 1024, "small"), ("100 KB", 102_400, "small"), ("1 MB", 1_048_576, "small"), ("1 KB", 1024, "large")]
IDLE_CONNECTIONS = 1000
SLOW_STREAMS = 1000
STARTS = 10
ACCOUNT_STARTS = 4
ACCOUNT_TURNS = 2


class Bench:
    """One run: who takes part, for how long, and what went wrong."""

    def __init__(self, started, rounds, quick):
        self.servers, self.rounds, self.quick = started, rounds, quick
        self.troubles = []
        direct, nginx = started.start_understudies(), started.start_nginx()
        self.ways = [direct, nginx] + [started.start_mynah(variant) for variant in servers.VARIANTS]

    def load(self, way, kind, *course, seconds, warmup=1.0):
        """Runs `mynah-load`, and returns what it reports."""
        if self.quick:
            seconds, warmup = min(seconds, 2), min(warmup, 1)
        course = [*course, "--duration", f"{int(seconds * 1000)}ms", "--warmup", f"{int(warmup * 1000)}ms"]
        command = [self.servers.binaries / "mynah-load", *course, *way.arguments(kind)]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
        report = json.loads(done.stdout)
        told = {key: report[key] for key in ("errors_status", "errors_io", "unsent") if report[key]}
        if told or not report["requests"] + report["events"]:
            self.troubles.append(f"{way.name}, `{' '.join(course)}`: {told or 'nothing came back'}")
        return report

    def in_turn(self, row, ways, measure, turns=None):
        """Every turn measures all ways, one after another, so that they are compared under the same conditions. There are as many
        as there are rounds, unless it is said."""
        results = {way.name: [] for way in ways}
        for number in range(turns or self.rounds):
            for way in ways:
                say(f"{row}: {way.name}, turn {number + 1}")
                results[way.name].append(measure(way))
        return [(row, name, figures) for name, figures in results.items()]


def requests(bench):
    results = []
    for size, length, kind in REQUESTS:
        course = ["closed", "--connections", "64", "--body-bytes", str(length)]
        row = f"{size} / {'1 KB' if kind == 'small' else '100 KB'}"
        results += bench.in_turn(row, bench.ways, lambda way: bench.load(way, kind, *course, seconds=5))
    return results


def accounts(bench):
    """What is added to a small request of a client that is logged."""
    bench.servers.start_redis()
    course = ["closed", "--connections", "64", "--body-bytes", "1024"]

    def measure(way):
        before = way.ticks()
        figures = bench.load(way, "small", *course, seconds=1, warmup=0.5)
        spent = way.ticks() - before
        share = spent["ledger"] / spent.total()
        return figures | {"ledger_us_per_request": figures["cpu_us_per_request"] * share}

    # A difference of a few microseconds is less than what the neighbours change from one second to the next, and two processes
    # with the same settings may differ by one for as long as they run. So there are many of both, turns and processes.
    figures = {variant: [] for variant in servers.ACCOUNTS}
    for number in range(bench.rounds * (1 if bench.quick else ACCOUNT_STARTS)):
        ways = [bench.servers.start_mynah(variant) for variant in servers.ACCOUNTS]
        for _, name, turns in bench.in_turn(f"accounts, processes {number + 1}", ways, measure, ACCOUNT_TURNS):
            figures[name] += turns
        for way in ways:
            servers.stop(way.process)
    return [("accounts", name, turns) for name, turns in figures.items()]


def streams(bench):
    many = ["streams", "--streams", "500"]
    return bench.in_turn("500 streams", bench.ways, lambda way: bench.load(way, "events", *many, seconds=6, warmup=2))


def first_events(bench):
    one = ["streams", "--streams", "1"]
    return bench.in_turn("one stream", bench.ways, lambda way: bench.load(way, "one-event", *one, seconds=3))


def latency(bench):
    course = ["open", "--rate", "1000", "--connections", "64"]
    return bench.in_turn("1,000 requests/s", bench.ways, lambda way: bench.load(way, "small", *course, seconds=6))


def memory(bench):
    """Megabytes, and kilobytes for each connection or stream. Each figure is of a fresh process."""

    def idle(way):
        return {"MB": way.memory() / 1024}

    def connections(way):
        with Connections(way, IDLE_CONNECTIONS):
            time.sleep(0.5)
            return since_start(way, way.memory(), IDLE_CONNECTIONS)

    def slow(way):
        course = ["streams", "--streams", str(SLOW_STREAMS)]
        return since_start(way, bench.load(way, "slow", *course, seconds=3, warmup=3)["rss_kb"], SLOW_STREAMS)

    def saturated(way):
        bench.load(way, "small", "closed", "--connections", "64", "--body-bytes", "102400", seconds=5)
        return {"MB": way.memory("VmHWM") / 1024}

    def since_start(way, kilobytes, count):
        return {"MB": kilobytes / 1024, "KB each": (kilobytes - way.idle) / count}

    cases = {
        "after the start": idle,
        f"{IDLE_CONNECTIONS:,} idle connections": connections,
        f"{SLOW_STREAMS:,} open streams": slow,
        "64 connections with 100 KB bodies, at most": saturated,
    }
    results = []
    for row, measure in cases.items():
        figures = []
        for number in range(bench.rounds):
            say(f"memory {row}, round {number + 1}")
            way = bench.servers.start_mynah()
            time.sleep(1)
            way.idle = way.memory()
            figures.append(measure(way))
            servers.stop(way.process)
        results.append((row, way.name, figures))
    return results


class Connections:
    """Connections that have each had one answer."""

    def __init__(self, way, count):
        self.sockets = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", way.ports["small"]), timeout=5)
            self.sockets.append(connection)
            assert ask(connection, way.model("small")), "no answer"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.sockets:
            connection.close()


def start(bench):
    """Milliseconds from the start of the process to the first answer."""

    def measure(begin, model):
        before = time.perf_counter()
        way = begin(wait=False)
        end = before + 10
        while time.perf_counter() < end:
            try:
                with socket.create_connection(("127.0.0.1", way.ports["small"]), timeout=5) as connection:
                    answered = ask(connection, model)
                after = time.perf_counter()
                if answered:
                    servers.stop(way.process)
                    return {"ms": (after - before) * 1000}
            except OSError:
                time.sleep(0.0002)
        raise SystemExit("no answer ten seconds after the start")

    results = []
    for name, begin, model in [
        ("nginx", bench.servers.start_nginx, "bench"), ("mynah", bench.servers.start_mynah, "mynah/echo"),
    ]:
        say(f"start: {name}")
        results.append((f"median of {STARTS}", name, [measure(begin, model) for _ in range(STARTS)]))
    return results


def ask(connection, model):
    """Makes a small request; whether it was answered with 200. Reads the whole answer."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello!"}], "model": model})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    connection.sendall(f"{head}\r\n\r\n{body}".encode())
    with connection.makefile("rb") as answer:
        status = answer.readline()
        length = 0
        while (line := answer.readline().strip().lower()):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        answer.read(length)
    return status.startswith(b"HTTP/1.1 200")


def say(text):
    print(f"  {text}", flush=True)
