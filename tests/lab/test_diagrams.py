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


def arrows(heading: str) -> list[tuple[str, str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("```")[1]
    found = ARROW.findall(section)
    assert len(found) == section.count("-->"), "an arrow is written in a way that this test cannot read"
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


def test_each_step_of_an_example_takes_from_the_one_before():
    """The walk from file to datum to metric is that of the imports."""
    missing = [
        (giver, taker)
        for giver, taker in arrows("From file to datum to metric")
        if f"symptoms.{giver}" not in imported(taker)
    ]
    assert missing == []


def test_each_step_of_a_description_asks_the_next():
    """The walk from page to answer is that of the imports."""
    missing = [
        (asks, asked)
        for asks, asked in arrows("From page to answer")
        if f"symptoms.{asked}" not in imported(asks)
    ]
    assert missing == []


@pytest.mark.parametrize("module", re.findall(r"^\| .*\|$", PAGE.split("| where ... |")[1], re.MULTILINE)[:6])
def test_where_things_are_is_true(module: str):
    """Each module that the table names exists."""
    names = re.findall(r"`([\w.]+)`", module)
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
