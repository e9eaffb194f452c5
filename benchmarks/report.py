"""docs/performance.md and its figures, from the results of all runs that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.curves import draw_curves
from benchmarks.derived import peak_bytes, ratio, seconds_of, share_of_floor
from benchmarks.goals import GIB, GOALS
from benchmarks.places import RESULTS, ROOT

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks begin -->", "<!-- benchmarks end -->"


def write_all() -> None:
    """Write the part of the page between its marks, and the figures beside it."""
    runs = read_runs()
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    figures = [f"![{words}]({file})\n\n" for file, words in draw_curves(runs, ROOT / "docs")]
    PAGE.write_text(f"{before}{BEGIN}\n{''.join(figures)}{page_text(runs)}{END}{after}")


def read_runs() -> list[dict[str, Any]]:
    """The kept runs, the oldest first, as told by their first case."""
    runs = [results.read(path) for path in RESULTS.glob("*.json")]
    return sorted(runs, key=lambda run: min(case["date"] for case in run["cases"].values()))


def page_text(runs: Sequence[Mapping[str, Any]]) -> str:
    """Goals with a column a run, and each run's tables."""
    parts = ["## What is to be reached\n", goals_table(runs)]
    for run in runs:
        parts += [f"## The run `{run['run']}`\n", machine_text(run)]
        parts += [case_table(case) for case in run["cases"].values() if not case["curve"]]
    return "\n".join(parts)


def goals_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Each goal, its bound, and what each run has; what is reached stands in bold."""
    head = ["| | to reach |" + "".join(f" `{run['run']}` |" for run in runs), "|---" * (2 + len(runs)) + "|"]
    rows: list[str] = []
    for goal in GOALS:
        cells: list[str] = []
        for run in runs:
            value = goal.value(run)
            text = "" if value is None else goal.text(value)
            cells.append(f"**{text}**" if value is not None and goal.reached(value) else text)
        rows.append(f"| {goal.title} | {goal.bound_text} | " + " | ".join(cells) + " |")
    return "\n".join([*head, *rows]) + "\n"


def machine_text(run: Mapping[str, Any]) -> str:
    """What a run was measured on, in one paragraph."""
    machine, cases = run["machine"], run["cases"].values()
    versions: dict[str, str] = {}
    for case in cases:
        for row in case["contestants"]:
            versions |= row.get("versions", {})
    rates = {
        name: median(rate for case in cases for rate in case["matrix_flops"][name]) / 1e9
        for name in ("float32", "bfloat16")
    }
    loads = [case["load_before"][0] for case in cases]
    dates = sorted({case["date"][:10] for case in cases})
    commits = ", ".join(sorted({case["commit"] for case in cases}))
    threads = ", ".join(sorted({str(case["matrix_threads"]) for case in cases}))
    load = f"{min(loads):.1f} to {max(loads):.1f}"
    if any(case["threads_told"]["sleep"] for case in cases):
        load += ", so that threads were told to sleep at barriers"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / GIB:.0f} GiB, "
        f"{machine['system']}, Python {machine['python']}; {', '.join(dates)}; engine at {commits}; "
        f"{', '.join(f'{name} {versions[name]}' for name in sorted(versions))}. "
        f"Matrix rate, {threads} threads, median: {rates['float32']:.0f} GFLOP/s in float32, "
        f"{rates['bfloat16']:.0f} in bfloat16. The machine's load before a case: {load}.\n"
    )


def case_table(case: Mapping[str, Any]) -> str:
    """One row a contestant: its time, that time by ours of the same work, the floor's share, memory."""
    has_floor = case["flops"] is not None
    head = ["", f"ms a {case['unit']}, median (range)", "by the first"]
    head += ["of the bfloat16 rate"] if has_floor else []
    head += ["peak memory"]
    lines = [f"**{case['title']}**{floor_text(case)}\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(_cells(case, row, has_floor, len(head)))} |" for row in case["contestants"]]
    return "\n".join(lines) + "\n"


def floor_text(case: Mapping[str, Any]) -> str:
    """The operations of the work and the time they take at the measured rate; empty where none are told."""
    if case["flops"] is None:
        return ""
    rate = median(case["matrix_flops"]["bfloat16"])
    return (
        f" ({case['flops'] / 1e9:,.0f} GFLOP, so {1e3 * case['flops'] / rate:,.0f} ms "
        f"at the {rate / 1e9:.0f} GFLOP/s of that moment)"
    )


def _cells(case: Mapping[str, Any], row: Mapping[str, Any], has_floor: bool, width: int) -> list[str]:
    name = row["name"]
    seconds = seconds_of(case, name)
    if seconds is None:
        # In one word where it could not be installed or started; the log has the rest.
        return [name, "did not run", *[""] * (width - 2)]
    first = reference(case, name)
    by_first, share, memory = ratio(case, name, first), share_of_floor(case, name), peak_bytes(case, name)
    cells = [
        name,
        f"{milliseconds(median(seconds))} ({milliseconds(min(seconds))} to {milliseconds(max(seconds))})",
    ]
    cells.append("" if by_first is None else f"{by_first:.2f}")
    if has_floor:
        cells.append("" if share is None else f"{share:.0%}")
    cells.append("" if memory is None else f"{memory / GIB:.2f} GiB")
    return cells


def reference(case: Mapping[str, Any], name: str) -> str:
    """The contestant that a row is held against: the first with as many sequences."""
    names = [row["name"] for row in case["contestants"]]
    mark = name[name.index(" x ") :] if " x " in name else ""
    return next(each for each in names if (each.endswith(mark) if mark else " x " not in each))


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, with as many digits as mean something."""
    return (
        f"{1e3 * seconds:,.0f}"
        if seconds >= 0.1
        else f"{1e3 * seconds:.2g}"
        if seconds < 0.001
        else f"{1e3 * seconds:.1f}"
    )


def case_as_text(case: Mapping[str, Any]) -> str:
    """The same table for a terminal."""
    return case_table(case).replace("**", "")
