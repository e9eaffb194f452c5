"""docs/conformance.md from the tables that `symptoms conformance --json` wrote into benchmarks/conformance.

python -m benchmarks.conformance_page
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TABLES = Path(__file__).parent / "conformance"
PAGE = ROOT / "docs" / "conformance.md"
ORDER = ("tinker_local", "SkyRL", "TuFT", "open-rl", "hatchery")
MARKS = {"as documented": "ok", "differs": "**differs**", "refused": "*refused*", "not measured": "-"}
LONGEST = 160
NOT_MEASURED = "- (not measured)"
LATER = "the row is younger than this measurement"


def tables() -> list[dict[str, Any]]:
    """The measured tables, ours first."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(TABLES.glob("*.json"))]
    return sorted(found, key=lambda table: [table["server"].startswith(name) for name in ORDER].index(True))


def page(measured: list[dict[str, Any]], around: str) -> str:
    """The page: `around` with the table of all servers and what deviates in each put into it."""
    return around.replace("{summary}", summary(measured)).replace("{deviations}", deviations(measured))


def summary(measured: list[dict[str, Any]]) -> str:
    """One line a check, one column a server."""
    by_name = [{row["name"]: row for row in table["rows"]} for table in measured]
    names = list(dict.fromkeys(name for rows in by_name for name in rows))
    lines = [
        "| what is asked | " + " | ".join(table["server"] for table in measured) + " |",
        "|---|" + "---|" * len(measured),
        "| *base model* | " + " | ".join(table["base_model"] for table in measured) + " |",
        "| *driven by* | " + " | ".join(f"SDK {table['sdk']}" for table in measured) + " |",
        "| *measured* | " + " | ".join(table["measured"] for table in measured) + " |",
    ]
    for name in names:
        cells = [MARKS[rows[name]["verdict"]] if name in rows else "-" for rows in by_name]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    counts = [sum(row["verdict"] == "as documented" for row in table["rows"]) for table in measured]
    whole = [len(table["rows"]) for table in measured]
    ends = [f"{count} of {all_rows}" for count, all_rows in zip(counts, whole, strict=True)]
    lines.append("| **as documented** | " + " | ".join(ends) + " |")
    return "\n".join(lines)


def deviations(measured: list[dict[str, Any]]) -> str:
    """For each server what came where that is not as documented, what follows, and why a row is a dash."""
    names = list(dict.fromkeys(row["name"] for table in measured for row in table["rows"]))
    parts: list[str] = []
    for table in measured:
        rows = [row for row in table["rows"] if row["verdict"] != "as documented"]
        parts.append(f"### {table['server']}\n")
        if not any(row["verdict"] in ("differs", "refused") for row in rows):
            parts.append("All that was measured is as documented.\n")
        lines = [
            f"| **{row['name']}**: {plain(row['asked'])} | {plain(row['came'])} | "
            f"{plain(row['consequence']) or NOT_MEASURED} |"
            for row in rows
        ]
        there = {row["name"] for row in table["rows"]}
        lines += [f"| **{name}** | {LATER} | {NOT_MEASURED} |" for name in names if name not in there]
        if lines:
            parts += ["| asked | came | what it does to a run |\n|---|---|---|", *lines, ""]
    return "\n".join(parts).rstrip()


def plain(text: str) -> str:
    """Text that may stand in a cell; what a server says at length is cut."""
    text = text.replace("|", "/").replace("<", "(").replace(">", ")").replace("`", "'").replace("_", r"\_")
    text = (
        text.replace("*", r"\*")
        .replace("[", r"\[")
        .replace("]", r"\]")
        .replace("http://", "")
        .replace("https://", "")
    )
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " ..."


def main() -> None:
    """Write the page anew."""
    around = (TABLES / "page.md").read_text(encoding="utf-8")
    PAGE.write_text(page(tables(), around), encoding="utf-8")


if __name__ == "__main__":
    main()
