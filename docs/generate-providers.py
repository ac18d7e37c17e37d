#!/usr/bin/env python3
"""Writes docs/reference/providers.md from the catalog of providers.

    python3 docs/generate-providers.py > docs/reference/providers.md
    python3 docs/generate-providers.py --check      exit status 1 when the page is not what would be written
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOG = ROOT / "crates/gateway/src/catalog/providers.toml"
PAGE = ROOT / "docs/reference/providers.md"

HEAD = """\
# Providers

<!-- Written by docs/generate-providers.py from crates/gateway/src/catalog/providers.toml. Change the catalog, not this page. -->

These providers are known by name: `[providers.NAME]` in the configuration needs nothing else but a key, and without a
configuration file the key in the environment is enough. Any other server that speaks OpenAI's dialect, or one of the other three,
is a [`base_url`](configuration.md#base-urls) away.

- **Called at**: the base URL, which the paths of the provider's dialect are appended to. It is called with `Authorization: Bearer
  KEY` unless the notes say otherwise.
- **Dialect**: what is spoken there. A client of the same dialect is relayed, any other is [translated](translation.md).
- **APIs**: of OpenAI's two APIs for conversations, those that are known to be served, the preferred one first
  ([`apis`](configuration.md#apis)). Where nothing stands here, chat completions are, and Responses is tried.
- **Also**: a second address, in another dialect, called with `Authorization: Bearer KEY`. Anthropic's serves `/v1/messages`, relayed.
  OpenAI's serves those of OpenAI's routes that are not translated, and never conversations.
- **Key**: the variables that may hold the key. Each may also be numbered (`NAME_1`, `NAME_2`, …). A provider that
  the configuration names also reads `NAME_API_KEY`, after its own name.
- **Notes** also say which parts of a request the provider is known not to understand. A request that is translated for it does
  without them, and says so. One that is relayed goes as it is, but for `stream_options.include_usage`, which is then not added
  ([quirks](configuration.md#quirks)).

What a provider serves is its own affair: Mynah puts the [routes](http.md#routes) of its dialect to it, and the provider answers those
that it has. APIs of another shape cannot be reached by these routes, but for what the notes say.
"""

LOCAL = """\
## Servers on this machine

Without a configuration file, those that answer are used, a key or not. A port that Mynah itself listens on is not asked: to find a
llama.cpp on 8080 by itself, Mynah has to listen elsewhere.
"""

# What a false quirk means, in words.
REFUSED = {
    "stream_usage": "`stream_options.include_usage`",
    "developer_role": "role `developer`",
    "parallel_tool_calls": "`parallel_tool_calls`",
    "multiple_choices": "`n` above 1",
    "logprobs": "`logprobs`",
    "json_schema": "`response_format` of type `json_schema`",
    "strict_tools": "`strict` tools",
    "seed": "`seed`",
    "tool_choice_required": "`tool_choice` of `required`",
}


def comments(text):
    """The comment above the table of each provider, in one line."""
    found = {}
    block = []
    seen_a_row = False
    for line in text.splitlines():
        header = re.fullmatch(r"\[([\w-]+)\]", line)
        if header:
            # The comment above the first table explains the file.
            if seen_a_row and block:
                found[header[1]] = " ".join(block)
            seen_a_row = True
            block = []
        elif line.startswith("#"):
            block.append(line.removeprefix("#").strip())
        else:
            block = []
    return found


def deviations(quirks):
    parts = []
    refused = [REFUSED[name] for name, value in quirks.items() if value is False]
    refused += [f"`{field}`" for field in quirks.get("unsupported", [])]
    if refused:
        parts.append("Not understood: " + ", ".join(refused) + ".")
    if "max_tokens" in quirks:
        parts.append(f"Of the limits on the answer, only `{quirks['max_tokens']}` is understood.")
    if "prefill" in quirks:
        parts.append("Goes on with an answer that was cut ([`on_cut`](configuration.md#answers-that-are-cut)).")
    if "error_prefix" in quirks:
        parts.append(f"Status 200 with a text that begins with `{quirks['error_prefix'].strip()}` is a failure.")
    if "images" in quirks:
        parts.append("Pictures are asked for [in its own form](configuration.md#pictures-in-other-forms).")
    if "envelope" in quirks:
        parts.append(f"Its answers come in an envelope, `{quirks['envelope']}`.")
    if quirks.get("rerank_top_k"):
        parts.append("Ranks documents in Voyage's form; requests are translated to it.")
    return parts


def notes(row, comment):
    parts = [comment] if comment else []
    auth = row.get("auth", "bearer")
    if isinstance(auth, dict):
        place, name = next(iter(auth.items()))
        parts.append(f"Key in the {'header' if place == 'header' else 'query parameter'} `{name}`.")
    if "base_url_env" in row:
        parts.append("Base URL also from " + code(row["base_url_env"]) + ".")
    if is_on_this_machine(row) and not row.get("local"):
        parts.append("Name it in the configuration to use it.")
    if auth == "oauth":
        parts.append("Key sent as `Authorization: OAuth KEY`.")
    if row.get("discovery") == "none":
        parts.append("Its models are not listed.")
    return " ".join(parts + deviations(row.get("quirks", {})))


def also(row):
    """The addresses of other dialects."""
    addresses = [("Anthropic", row.get("anthropic_base_url")), ("OpenAI", row.get("openai_base_url"))]
    return ", ".join(f"{dialect}: `{url}`" for dialect, url in addresses if url)


def code(names):
    return ", ".join(f"`{name}`" for name in names)


def is_on_this_machine(row):
    return "//localhost" in row.get("base_url", "")


def table(columns, rows):
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def cells(name, row, comment):
    base = row.get("base_url")
    return [
        f"`{name}`",
        row["title"],
        f"`{base}`" if base else "your resource",
        row.get("dialect", "openai"),
        ", ".join(row.get("apis", [])),
        also(row),
        code(row.get("env", [])) or "-",
        notes(row, comment),
    ]


def page():
    text = CATALOG.read_text()
    catalog = tomllib.loads(text)
    said = comments(text)
    columns = ["Name", "Title", "Called at", "Dialect", "APIs", "Also", "Key", "Notes"]
    remote = [cells(name, row, said.get(name)) for name, row in catalog.items() if not is_on_this_machine(row)]
    local = [cells(name, row, said.get(name)) for name, row in catalog.items() if is_on_this_machine(row)]
    return "\n".join(
        [
            HEAD,
            f"## Services\n\n{table(columns, remote)}",
            LOCAL,
            table(columns, local),
        ]
    )


def main():
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit(f"{PAGE.relative_to(ROOT)} is not up to date: run python3 docs/generate-providers.py > {PAGE.relative_to(ROOT)}")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main()
