"""How each CLI is run without a person, a login or a network."""

import json
import platform
import subprocess
import sys

CLIENT_KEY = "sk-client"
LONGEST_COMPLAINT = 400


def run_agent(name, *, cache, home, work, url, model, prompt, environment, timeout):
    """Runs a CLI until it is done; returns its final answer, and what is wrong if it failed."""
    command, variables, final = AGENTS[name](cache, home, url, model)
    log = home / "log"
    try:
        with log.open("wb") as errors:
            done = subprocess.run(
                [*command, prompt],
                cwd=work,
                env={**environment, "HOME": str(home), **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=timeout,
            )
    except subprocess.TimeoutExpired as expired:
        return "", f"not done after {timeout:g} s: {tail((expired.stdout or b'') + log.read_bytes())}"
    output = done.stdout + log.read_bytes()
    (home / "output").write_bytes(done.stdout)
    if done.returncode != 0:
        return "", f"exit code {done.returncode}: {complaint_in(done.stdout) or tail(output)}"
    return final(done.stdout), None


def claude_code(cache, home, url, model):
    variables = {
        "CLAUDE_CONFIG_DIR": str(home / "config"),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": CLIENT_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        # As root it refuses to go without asking, unless it believes to be in a sandbox.
        "IS_SANDBOX": "1",
        # A model that is retired one day is asked for all the same.
        "CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP": "1",
        # Else it tries ten times.
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }
    command = [claude_binary(cache), "-p", "--output-format", "json", "--model", model, "--allowedTools", "Bash", "--"]
    return command, variables, lambda output: json.loads(output)["result"]


def claude_binary(cache):
    """The executable itself: what npm puts into its place is done by a script that need not run."""
    system = {"linux": "linux", "darwin": "darwin"}[sys.platform]
    machine = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}[platform.machine().lower()]
    folder = cache / "node_modules/@anthropic-ai"
    plain, musl = (folder / f"claude-code-{system}-{machine}{libc}/claude" for libc in ("", "-musl"))
    is_musl = sys.platform == "linux" and not platform.libc_ver()[0] and musl.is_file()
    return str(musl if is_musl or not plain.is_file() else plain)


def codex(cache, home, url, model):
    folder = home / "codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""\
model = "{model}"
model_provider = "mynah"
check_for_update_on_startup = false

[model_providers.mynah]
name = "Mynah"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "MYNAH_KEY"
# Else it tries thirty times.
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false

# They are fetched from elsewhere.
[features]
apps = false
plugins = false
"""
    )
    answer = home / "answer"
    command = [
        "node",
        str(cache / "node_modules/@openai/codex/bin/codex.js"),
        *("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--output-last-message", str(answer)),
        "--",
    ]
    variables = {"CODEX_HOME": str(folder), "MYNAH_KEY": CLIENT_KEY}
    return command, variables, lambda _: answer.read_text() if answer.is_file() else ""


AGENTS = {"claude-code": claude_code, "codex": codex}
# With this one Claude Code asks for thinking with a budget; with this one Codex offers tools that take no JSON.
KNOWN_MODELS = {"claude-code": "claude-haiku-4-5", "codex": "gpt-5.5"}


def complaint_in(output):
    """What Claude Code reports of an error, if this is its report."""
    try:
        return json.loads(output)["result"]
    except (ValueError, KeyError, TypeError):
        return None


def tail(output):
    """The end of what was printed, in one line."""
    text = " ".join(output.decode(errors="replace").split())
    return text if len(text) <= LONGEST_COMPLAINT else "…" + text[-LONGEST_COMPLAINT:]
