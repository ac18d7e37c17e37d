#!/usr/bin/env python3
"""Claude Code and Codex work through Mynah, whatever dialect the provider speaks. The README beside this says more."""

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agents import AGENTS, KNOWN_MODELS, run_agent
from processes import Process, Understudy, environment

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# By the name of the understudy's persona: what the provider is in the configuration.
COLUMNS = {
    "openai-chat": 'kind = "openai"\nbase_url = "{url}/v1"\napis = ["chat"]',
    "openai-responses": 'kind = "openai"\nbase_url = "{url}/v1"\napis = ["responses"]',
    "anthropic": 'kind = "anthropic"\nbase_url = "{url}"',
    "gemini": 'kind = "gemini"\nbase_url = "{url}"',
    "cohere": 'kind = "cohere"\nbase_url = "{url}"',
}
# The understudy's scenario, and whether the CLI knows the model. What it sends differs a lot between models.
SCENARIOS = {"run": ("run", False), "reasoning": ("reasoning-run", False), "known-model": ("reasoning-run", True)}
# The shell has to work for its answer, and leaves a trace beside it.
COMMAND = "echo mynah-$((6*7)) | tee trace"
ANSWER = "mynah-42"
PROVIDER_KEY = "sk-provider"


def main():
    arguments = parse()
    if arguments.list:
        print("\n".join("/".join(cell) for cell in cells([])))
        return 0
    chosen = cells(arguments.only)
    if not chosen:
        sys.exit(f"no cell is called {', '.join(arguments.only)}; see --list")
    install(arguments.cache)
    folder = Path(tempfile.mkdtemp(prefix="mynah-agents-"))
    try:
        failed = run(chosen, arguments, folder)
    finally:
        if arguments.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="CLI[/COLUMN[/SCENARIO]]", help="only these cells; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="name the cells and end")
    parser.add_argument("--cache", type=Path, default=ROOT / "target/agents", help="where the CLIs are installed")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for a cell")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs and the CLIs' homes")
    return parser.parse_args()


def cells(only):
    every = [(agent, column, scenario) for agent in AGENTS for column in COLUMNS for scenario in SCENARIOS]
    wanted = [tuple(name.strip("/").split("/")) for name in only]
    return [cell for cell in every if not wanted or any(cell[: len(prefix)] == prefix for prefix in wanted)]


def install(cache):
    """Installs the pinned versions, unless they are there already."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    # Binaries are installed for this machine alone.
    stamp = f"{platform.system()} {platform.machine()}\n".encode() + lock
    done = cache / "installed"
    if done.is_file() and done.read_bytes() == stamp:
        return
    done.unlink(missing_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, cache / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false", "--loglevel=error"]
    subprocess.run(command, cwd=cache, check=True, stdin=subprocess.DEVNULL)
    done.write_bytes(stamp)


def run(chosen, arguments, folder):
    """Runs the cells and returns how many failed."""
    with Process("UNDERSTUDY_BIN", "mynah-understudy", "serve", "--listen", "127.0.0.1:0", cwd=folder) as process:
        understudy = Understudy(process.url)
        (folder / "mynah.toml").write_text(configuration(understudy.url))
        with Process("MYNAH_BIN", "mynah", cwd=folder) as mynah:
            failed = 0
            for cell in chosen:
                reason = failure(cell, arguments, folder, understudy, mynah)
                failed += reason is not None
                name = "/".join(cell)
                print(f"ok      {name}" if reason is None else f"FAILED  {name}: {reason}", flush=True)
            return failed


def configuration(understudy_url):
    """One provider and one model for each column."""
    parts = ['[server]\nlisten = "127.0.0.1:0"']
    for column, lines in COLUMNS.items():
        provider = lines.format(url=f"{understudy_url}/as/{column}")
        parts.append(f'[providers.{column}]\n{provider}\napi_key = "{PROVIDER_KEY}"\nmodels = ["played"]')
        parts.append(f'[models.{model_of(column)}]\ntargets = ["{column}/played"]')
    return "\n\n".join(parts) + "\n"


def model_of(column):
    """A name that no CLI knows. They know others by what stands behind the slash: `gemini/gpt-5.5`."""
    return f"agent-{column}"


def failure(cell, arguments, folder, understudy, mynah):
    """Why a cell fails, if it does."""
    agent, column, scenario = cell
    marker, is_known = SCENARIOS[scenario]
    home = folder / "-".join(cell)
    work = home / "work"
    work.mkdir(parents=True)
    understudy.clear()
    prompt = f"[[{marker} {COMMAND}]] Then tell me what it printed."
    said, complaint = run_agent(
        agent,
        cache=arguments.cache.resolve(),
        home=home,
        work=work,
        url=mynah.url,
        model=f"{column}/{KNOWN_MODELS[agent]}" if is_known else model_of(column),
        prompt=prompt,
        environment=environment(),
        timeout=arguments.timeout,
    )
    received = understudy.received()
    trace = work / "trace"
    strays = sorted({entry["target"] for entry in received if not entry["target"].startswith(f"/as/{column}/")})
    if complaint:
        return complaint
    if not trace.is_file():
        return f"no command was run; the answer is {said!r}"
    if trace.read_text().strip() != ANSWER:
        return f"the command printed {trace.read_text()!r}"
    if "Tool said:" not in said or ANSWER not in said:
        return f"the answer does not quote the output: {said!r}"
    if strays:
        return f"other providers were asked: {', '.join(strays)}"
    if sum(entry["method"] == "POST" for entry in received) < 2:
        return "the provider was asked less than twice"
    return None


if __name__ == "__main__":
    sys.exit(main())
