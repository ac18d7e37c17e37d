"""Makes tables of Markdown from the figures."""

import statistics

# What Mynah may cost: times nginx, by row, for Mynah alone and with what a shared gateway needs.
CPU_TARGETS = {"1 KB / 1 KB": (1.2, 1.4), "100 KB / 1 KB": (2.0, 2.1), "1 MB / 1 KB": (1.2, 1.3), "500 streams": (1.15, 1.25)}
LATENCY_TARGET = 1.3
MEMORY_TARGETS = {"after the start": ("MB", 15), "1,000 open streams": ("KB each", 20),
                  "64 connections with 100 KB bodies, at most": ("MB", 50)}
START_TARGET = 50

# How many microseconds of CPU time accounting may add to that of a client that is logged.
ACCOUNT_TARGETS = {"and a ledger in SQLite": 5, "and Redis": 60}


def requests(results):
    rows = []
    for row, name, rounds in results:
        rows.append([row, name, *cpu(results, row, name, "cpu_us_per_request"), f"{middle(rounds, 'throughput'):,.0f}",
                     *percentiles(rounds, "latency_ms"), memory_of(rounds)])
    head = ["request / reply", "", "CPU µs per request", "× nginx", "target", "requests/s", "p50 ms", "p99 ms", "RSS MB"]
    return table(head, rows)


def accounts(results):
    spent = {name: [figures["cpu_us_per_request"] for figures in rounds] for _, name, rounds in results}
    before = next(iter(spent.values()))
    rows = []
    for _, name, rounds in results:
        all_added = [value - other for value, other in zip(spent[name], before)]
        writing = [figures["ledger_us_per_request"] for figures in rounds]
        serving = [value - other for value, other in zip(all_added, writing)]
        added, *parts = map(statistics.median, (all_added, serving, writing))
        rows.append([name, number(statistics.median(spent[name])), number(added) + quartiles(all_added), *map(number, parts),
                     verdict(added, ACCOUNT_TARGETS.get(name), " µs"), f"{middle(rounds, 'throughput'):,.0f}",
                     *percentiles(rounds, "latency_ms"), memory_of(rounds)])
    head = ["", "CPU µs per request", "added", "by serving", "by writing", "target", "requests/s", "p50 ms", "p99 ms", "RSS MB"]
    return table(head, rows)


def streams(results):
    rows = []
    for row, name, rounds in results:
        rows.append([name, *cpu(results, row, name, "cpu_us_per_event"), f"{middle(rounds, 'event_throughput'):,.0f}",
                     *percentiles(rounds, "first_event_ms"), memory_of(rounds)])
    head = ["", "CPU µs per event", "× nginx", "target", "events/s", "first event p50 ms", "p99 ms", "RSS MB"]
    return table(head, rows)


def first_events(results):
    return table(["", "first event p50 ms", "p99 ms"],
                 [[name, *percentiles(rounds, "first_event_ms")] for _, name, rounds in results])


def latency(results):
    p50 = {name: [figures["latency_ms"]["p50"] for figures in rounds] for _, name, rounds in results}
    rows = []
    for _, name, rounds in results:
        added = ratio = None
        if name != "direct":
            added = number(statistics.median(p50[name]) - statistics.median(p50["direct"]))
        if name not in ("direct", "nginx"):
            added_by = lambda who: [a - b for a, b in zip(p50[who], p50["direct"])]
            ratio = spread(added_by(name), added_by("nginx"))
        whole = spread(p50[name], p50["nginx"])[0] if ratio else None
        rows.append([name, *percentiles(rounds, "latency_ms"), added, *against(ratio, LATENCY_TARGET), whole])
    return table(["", "p50 ms", "p99 ms", "added p50 ms", "× nginx's", "target", "whole p50 × nginx's"], rows)


def memory(results):
    rows = []
    for row, _, rounds in results:
        unit, target = MEMORY_TARGETS.get(row, ("MB", None))
        each = number(middle(rounds, "KB each")) if "KB each" in rounds[0] else None
        met = verdict(middle(rounds, unit), target, f" {unit.replace(' each', '')}")
        rows.append([row, number(middle(rounds, "MB")), each, met])
    return table(["Mynah", "RSS MB", "KB each", "target"], rows)


def start(results):
    rows = []
    for row, name, rounds in results:
        target = START_TARGET if name == "mynah" else None
        worst = max(figures["ms"] for figures in rounds)
        rows.append([name, number(middle(rounds, "ms")), number(worst), verdict(middle(rounds, "ms"), target, " ms")])
    return table(["", "median ms", "worst ms", "target"], rows)


def cpu(results, row, name, field):
    """Three cells: CPU time, its ratio to nginx's, and the target of that."""
    of = {way: [figures[field] for figures in rounds] for other, way, rounds in results if other == row}
    if None in of[name]:
        return [None, None, None]
    targets = CPU_TARGETS.get(row)
    target = targets[name != "mynah"] if targets else None
    ratio = spread(of[name], of["nginx"]) if name != "nginx" else None
    return [number(statistics.median(of[name])), *against(ratio, target)]


def spread(values, others):
    """The median of the ratios of each round, as text with their range, and as a number."""
    ratios = [value / other for value, other in zip(values, others) if other]
    if not ratios:
        return None
    middle_one = statistics.median(ratios)
    text = f"{middle_one:.2f}" + (f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else "")
    return text, middle_one


def quartiles(values):
    """The half of the values that is in the middle, as text; nothing for few values, or where all are the same."""
    if len(values) < 4 or min(values) == max(values):
        return ""
    low, _, high = statistics.quantiles(values, n=4)
    return f" ({number(low)} to {number(high)})"


def against(ratio, target):
    return [None, None] if ratio is None else [ratio[0], verdict(ratio[1], target)]


def verdict(value, target, unit=""):
    if target is None:
        return None
    return f"≤ {target}{unit}: {'met' if value <= target else '**missed**'}"


def percentiles(rounds, field):
    return [number(statistics.median(figures[field][part] for figures in rounds)) for part in ("p50", "p99")]


def memory_of(rounds):
    return number(middle(rounds, "rss_kb") / 1024) if rounds[0]["rss_kb"] else None


def middle(rounds, field):
    return statistics.median(figures[field] for figures in rounds)


def number(value):
    """With about three significant digits."""
    digits = sum(abs(value) < limit for limit in (1, 10, 100))
    return f"{value:,.{digits}f}"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join("" if cell is None else cell for cell in line) + " |" for line in lines)
