"""Files of descriptions: what is read, and what is told of faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from symptoms.data import Description, Descriptions
from symptoms.errors import DataError


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "sleep\n\n  fear \r\n", [Description("sleep", 1), Description("fear", 3)]),
        (
            "a.jsonl",
            '{"input": "sleep", "id": 7, "mood": 1}\n\n{"input": ""}\n',
            [Description("sleep", 1, "7"), Description("", 3)],
        ),
        ("a.csv", 'id,input\nx,"two\nlines"\n,b\n', [Description("two\nlines", 2, "x"), Description("b", 4)]),
    ],
)
def test_each_kind_of_file_is_read(tmp_path: Path, name: str, content: str, expected: list[Description]):
    """Texts with their lines and ids; empty lines are skipped."""
    (tmp_path / name).write_bytes(content.encode())
    assert list(Descriptions(tmp_path / name)) == expected


@pytest.mark.parametrize(
    ("name", "content", "faults"),
    [
        (
            "a.pdf",
            "x",
            [
                "a.pdf:1: file: expected a file that ends in .jsonl, .ndjson, .json, .csv, .tsv, .xlsx, "
                ".parquet, .txt"
            ],
        ),
        ("a.txt", "\n", ["a.txt:1: file: expected at least one description"]),
        (
            "a.jsonl",
            '{"input": 3}\n{"text": "x"}\n[]\n{\n',
            [
                "a.jsonl:1: input: expected text, found a number",
                "a.jsonl:2: input: expected text, found nothing",
                "a.jsonl:3: example: expected",
                "a.jsonl:4: file: not valid JSON",
            ],
        ),
        ("a.csv", "text\nx\n", ["a.csv:1: input: expected a column of this name"]),
        ("a.csv", "input\na, b\n", ["a.csv:2: row: expected 1 column, found 2"]),
        ("a.csv", 'input\n"a\n', ["a.csv:2: row: not valid CSV"]),
    ],
)
def test_every_fault_is_told_with_its_line(tmp_path: Path, name: str, content: str, faults: list[str]):
    """All at once, each with file, line and field."""
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        Descriptions(tmp_path / name)
    told = str(caught.value).splitlines()
    assert len(told) == len(faults)
    assert all(fault in line for fault, line in zip(faults, told, strict=True))
