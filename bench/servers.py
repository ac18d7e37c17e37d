"""Starts and stops what takes part: fake providers, nginx, and Mynah."""

import collections
import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

# The fake providers, one for each kind of reply. `events` has a pace that leaves two cores some air: events that pile up
# are passed on several at a time, and cost less than they would in earnest.
UNDERSTUDIES = {
    "small": ["--bench-reply-bytes", "1024"],
    "large": ["--bench-reply-bytes", "102400"],
    "events": ["--bench-stream", "40", "--bench-pace", "50ms"],
    "one-event": ["--bench-stream", "1", "--bench-pace", "0ms"],
    "slow": ["--bench-stream", "60", "--bench-pace", "1s"],
}
STREAMS = ("events", "one-event", "slow")

CLIENT_KEY = "sk-bench-0123456789abcdef"

# Mynah as it is measured, by name: what its configuration says, and which headers a client sends.
BARE = ("[log]\nrequests = false\n", [])
FULL = (
    f'[log]\nrequests = true\n[[clients]]\nname = "bench"\nkey = "{CLIENT_KEY}"\nmodels = ["smart-*"]\n',
    ["--header", f"authorization: Bearer {CLIENT_KEY}"],
)
VARIANTS = {"mynah": BARE, "mynah, clients and log": FULL}

# What is measured of accounting: each one has what the one before has, and more. `{redis}` is a port.
LIMITS = """requests_per_minute = 1_000_000_000
tokens_per_minute = 1_000_000_000_000
budget = { usd = 1_000_000, per = "month" }
"""
LEDGER = '[store]\nurl = "sqlite://{database}"\n'
REDIS = '[cluster]\nredis = "redis://127.0.0.1:{redis}"\n'
ACCOUNTS = {
    "clients and log": FULL,
    "and a ledger in SQLite": (FULL[0] + LEDGER, FULL[1]),
    "and limits and a budget": (FULL[0] + LIMITS + LEDGER, FULL[1]),
    "and Redis": (FULL[0] + LIMITS + LEDGER + REDIS, FULL[1]),
}

NGINX = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
worker_processes 2;
worker_rlimit_nofile 4096;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 64m;
    client_body_buffer_size 2m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 16 64k;
    proxy_busy_buffers_size 128k;
    {temporary}
    {servers}
}}
"""
NGINX_SERVER = """
    upstream {kind} {{ server 127.0.0.1:{to}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://{kind}; proxy_buffering {buffering}; }}
    }}
"""
NGINX_TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]


class Way:
    """A way from the load to the fake providers: straight, or through a proxy."""

    def __init__(self, name, ports, process=None, headers=(), renames=False):
        self.name, self.ports, self.process, self.headers, self.renames = name, ports, process, headers, renames

    def arguments(self, kind):
        """What `mynah-load` has to be told."""
        arguments = ["--url", f"http://127.0.0.1:{self.ports[kind]}", "--model", self.model(kind), *self.headers]
        return arguments + (["--pid", str(self.process.pid)] if self.process else [])

    def model(self, kind):
        return f"smart-{kind}" if self.renames else "bench"

    def memory(self, field="VmRSS"):
        """Kilobytes of memory: `VmRSS` now, `VmHWM` at most."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))

    def ticks(self):
        """CPU time so far, by the names of threads."""
        spent = collections.Counter()
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
            user, system = rest.split()[11:13]
            spent[name] += int(user) + int(system)
        return spent


class Servers(contextlib.ExitStack):
    """Starts processes, and stops those that run when it is left."""

    def __init__(self, binaries, directory):
        super().__init__()
        self.binaries, self.directory = binaries, directory
        self.upstream = {}
        self.redis = None

    def start_understudies(self):
        """Returns the way straight to them."""
        for kind, arguments in UNDERSTUDIES.items():
            port = free_port()
            listen = f"127.0.0.1:{port}"
            self._start("understudy", [self.binaries / "mynah-understudy", "serve", "--listen", listen, *arguments], port)
            self.upstream[kind] = port
        return Way("direct", self.upstream)

    def start_nginx(self, wait=True):
        ports = {kind: free_port() for kind in self.upstream}
        servers = [
            NGINX_SERVER.format(kind=kind, to=to, port=ports[kind], buffering="off" if kind in STREAMS else "on")
            for kind, to in self.upstream.items()
        ]
        temporary = [f"{name}_temp_path {self.directory}/nginx-{name};" for name in NGINX_TEMPORARY]
        file = self.directory / "nginx.conf"
        file.write_text(NGINX.format(directory=self.directory, servers="".join(servers), temporary=" ".join(temporary)))
        process = self._start("nginx", ["nginx", "-c", file, "-e", "stderr"], ports["small"] if wait else None)
        return Way("nginx", ports, process)

    def start_redis(self):
        self.redis = free_port()
        self._start("redis", ["redis-server", "--port", self.redis, "--save", "", "--appendonly", "no"], self.redis)

    def start_mynah(self, variant="mynah", wait=True):
        settings, headers = (VARIANTS | ACCOUNTS)[variant]
        port = free_port()
        settings = settings.replace("{database}", str(self.directory / f"mynah-{port}.db"))
        settings = settings.replace("{redis}", str(self.redis))
        lines = [f'[server]\nlisten = "127.0.0.1:{port}"\n', settings]
        for kind, to in self.upstream.items():
            lines.append(f'[providers.{kind}]\nbase_url = "http://127.0.0.1:{to}/v1"\n')
            lines.append(f'[models.smart-{kind}]\ntargets = ["{kind}/bench-model"]\n')
        # A file of its own: Mynah reads it again when it changes.
        file = self.directory / f"mynah-{port}.toml"
        file.write_text("".join(lines))
        process = self._start("mynah", [self.binaries / "mynah", "--config", file], port if wait else None)
        return Way(variant, dict.fromkeys(self.upstream, port), process, headers, renames=True)

    def _start(self, name, command, port):
        log = tempfile.NamedTemporaryFile("w", prefix=f"{name}-", suffix=".err", dir=self.directory, delete=False)
        # Neither keys nor proxies of the caller's environment, and no `.env`.
        process = subprocess.Popen(
            list(map(str, command)), cwd=self.directory, env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
        )
        log.close()
        self.callback(stop, process)
        if port is not None:
            wait_for(name, process, port, pathlib.Path(log.name))
        return process


def stop(process):
    """Ends a process that may have ended already."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(name, process, port, log):
    """Waits until something listens there."""
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise SystemExit(f"{name} does not listen:\n" + log.read_text()[-2000:])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
