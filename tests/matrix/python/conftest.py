"""Both binaries run once for all cells. A cell is a test of a client against a provider; the matrix counts them."""

import os
from collections import Counter
from pathlib import Path

import pytest

# Keys, addresses and proxies of the machine must not reach the SDKs.
FOREIGN = ("OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "COHERE_", "CO_")
for name in list(os.environ):
    if name.startswith(FOREIGN) or name.upper().endswith("_PROXY"):
        del os.environ[name]

from expectations import UPSTREAMS  # noqa: E402
from stage import DIRECT, Stage  # noqa: E402

WAYS = ["whole", "stream", "helper"]
COUNTS = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--matrix", metavar="FILE", help="write the matrix as a Markdown table")


def pytest_configure(config):
    config.stash[COUNTS] = Counter()


def pytest_generate_tests(metafunc):
    if "upstream" in metafunc.fixturenames:
        columns = [it for it in UPSTREAMS if is_played(metafunc, it)]
        metafunc.parametrize("upstream", columns, ids=lambda it: it.name)
    if "way" in metafunc.fixturenames:
        metafunc.parametrize("way", WAYS)


def is_played(metafunc, upstream):
    only = metafunc.definition.get_closest_marker("columns")
    is_named = only is None or upstream.name in only.args
    return is_named and (not DIRECT or upstream.name == row(metafunc.definition))


def pytest_collection_modifyitems(config, items):
    unplayed = [it for it in items if not is_a_cell(it)]
    config.hook.pytest_deselected(items=unplayed)
    items[:] = [it for it in items if it not in set(unplayed)]


def is_a_cell(item):
    """What a client's protocol cannot ask is no cell."""
    if DIRECT and (item.get_closest_marker("gateway_only") or "upstream" not in item.fixturenames):
        return False
    if not hasattr(item, "callspec"):
        return not DIRECT
    if DIRECT and item.callspec.params.get("upstream") is None:
        return False
    needs = item.get_closest_marker("needs")
    return needs is None or needs.args[0] in item.cls.speaker.asks


def row(item):
    marker = item.get_closest_marker("client")
    return marker.args[0] if marker else item.cls.speaker.name


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("matrix"))
    yield stage
    stage.stop()


@pytest.fixture(scope="session")
def speakers(stage):
    """One of each client, made when it is first needed."""
    return {}


@pytest.fixture
def speaker(request, stage, speakers):
    stage.understudy.reset()
    kind = request.cls.speaker
    if kind not in speakers:
        speakers[kind] = kind(stage)
    yield speakers[kind]
    if "error" in request.node.name or "cut" in request.node.name:
        # A refusal has consequences: keys rest, and targets are left alone.
        stage.begin_anew()
        speakers.clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    upstream = getattr(item, "callspec", None) and item.callspec.params.get("upstream")
    if upstream and (report.when == "call" or report.failed):
        item.config.stash[COUNTS][row(item), upstream.name, report.outcome] += 1


def pytest_terminal_summary(terminalreporter, config):
    table = matrix(config.stash[COUNTS])
    terminalreporter.section("matrix: cells that passed, of all")
    terminalreporter.write_line(table)
    if path := config.getoption("--matrix"):
        Path(path).write_text(table + "\n")


def matrix(counts):
    rows = sorted({client for client, _, _ in counts})
    columns = [it.name for it in UPSTREAMS]
    lines = ["| client | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for client in rows:
        lines.append(f"| {client} | " + " | ".join(cell(counts, client, it) for it in columns) + " |")
    return "\n".join(lines)


def cell(counts, client, upstream):
    passed, failed = (counts[client, upstream, outcome] for outcome in ("passed", "failed"))
    return f"{passed}/{passed + failed}" if passed + failed else "–"
