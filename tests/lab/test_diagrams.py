"""What CONTRIBUTING.md draws of the code is true of it, and no package or file is larger than it says."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ARROW = re.compile(r"^  ([\w.]+) (?:-- \".*\" )?--> ([\w.]+)$", re.MULTILINE)
THROUGH_FILES = re.compile(r"^  ([\w.]+) -\. \".*\" \.-> ([\w.]+)$", re.MULTILINE)
HEADINGS = ("From file to datum to metric", "From page to answer")
ROWS = PAGE.split("| where ... | module |\n|---|---|\n")[1].split("\n\n")[0].splitlines()


def diagram(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("```")[1]


def arrows(heading: str) -> list[tuple[str, str]]:
    section = diagram(heading)
    found, dotted = ARROW.findall(section), THROUGH_FILES.findall(section)
    assert len(found) + len(dotted) == section.count("->"), (
        "an arrow is written in a way that this test cannot read"
    )
    return found


def imported(module: str) -> set[str]:
    """The modules that one imports from, and those that names imported from a package are made in."""
    spec = find_spec(f"symptoms.{module}")
    assert spec is not None, f"symptoms.{module} is in a diagram and not in the code"
    assert spec.origin is not None
    found: set[str] = set()
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("symptoms"):
            found.add(node.module)
            package = importlib.import_module(node.module)
            found |= {str(getattr(getattr(package, one.name), "__module__", "")) for one in node.names}
    return found


@pytest.mark.parametrize("heading", HEADINGS)
def test_an_arrow_leads_from_what_gives_to_what_takes(heading: str):
    """The taker imports the giver, in either diagram."""
    missing = [
        (giver, taker) for giver, taker in arrows(heading) if f"symptoms.{giver}" not in imported(taker)
    ]
    assert missing == []


def test_a_dotted_arrow_leads_through_the_files_of_a_run():
    """Both of its ends know the run's directory."""
    ends = {end for arrow in THROUGH_FILES.findall(diagram(HEADINGS[0])) for end in arrow}
    assert ends
    assert {end for end in ends if "symptoms.runs.directory" not in imported(end)} == set()


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_diagram_is_in_one_piece(heading: str):
    """No module or group of them stands in it apart from the others."""
    pairs = [*arrows(heading), *THROUGH_FILES.findall(diagram(heading))]
    reached, left = set(pairs[0]), pairs
    while joined := [pair for pair in left if reached & set(pair)]:
        reached.update(*joined)
        left = [pair for pair in left if pair not in joined]
    assert left == []


@pytest.mark.parametrize("row", ROWS)
def test_where_things_are_is_true(row: str):
    """Each module that the table names exists."""
    names = re.findall(r"`([\w.]+)`", row)
    assert names
    assert all(find_spec(name) is not None for name in names)


def test_no_package_has_more_files_than_one_sees_at_a_glance():
    """At most a dozen modules in a package."""
    folders = [folder for folder in (ROOT / "src").rglob("*") if folder.is_dir()]
    counts = {str(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > 12} == {}


def test_no_file_is_longer_than_one_reads_at_once():
    """At most 400 lines, also in tests and benchmarks."""
    files = [file for folder in ("src", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    lengths = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {file: length for file, length in lengths.items() if length > 400} == {}
