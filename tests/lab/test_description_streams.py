"""Files of descriptions of any size: what is told up front, what of single rows, and what stays in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections import deque
from pathlib import Path

import pytest

from symptoms.data import Description, Descriptions
from symptoms.errors import DataError, Fault

GOOD = 1500


def told(path: Path) -> list[str | int]:
    """The text of each description, and the line of each row without one."""
    return [one.text if isinstance(one, Description) else one.line for one in Descriptions(path)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"input": "a"}\n{"input": 3}\n{"input": "b"\n[]\n{"input": "c"}', ["a", 2, 3, 4, "c"]),
        ("a.csv", 'id,input\n1,a\n2,b,x\n3,"c\nd"\n4,e\n', ["a", 3, "c\nd", "e"]),
        # The quotation that is never closed would swallow all that follows.
        ("a.csv", 'input\na\n"b\nc\nd\n', ["a", 3, "c", "d"]),
        ("a.csv", 'input\na\n"b" c\n"d\ne"\nf\n', ["a", 3, "d\ne", "f"]),
        ("a.csv", "input;mood\r\na;1\r\rb;2\r\n", ["a", "b"]),
        ("a.json", '[{"input": "a"},\n{"mood": 1}]', ["a", 2]),
    ],
)
def test_a_row_at_fault_has_its_place_among_the_others(
    tmp_path: Path, name: str, content: str, expected: list[str | int]
):
    """The rows before and after it are read, in their order."""
    (tmp_path / name).write_bytes(content.encode())
    assert told(tmp_path / name) == expected


def test_empty_lines_of_a_text_file_are_told_once_they_are_read(tmp_path: Path):
    """What is left out of a file is never left out in silence."""
    (tmp_path / "a.txt").write_text("one text\n\n  \nanother\n")
    rows = Descriptions(tmp_path / "a.txt")
    assert [row.line for row in rows if isinstance(row, Description)] == [1, 4]
    assert rows.notes == (f"{tmp_path / 'a.txt'} has 2 empty lines, left out",)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_an_empty_cell_of_a_file_of_one_column_is_a_row_like_any_other(tmp_path: Path, ends: str):
    """Quoted or not, since spreadsheets write it as an empty line; lines at the end are no rows, and told."""
    path = tmp_path / "a.csv"
    path.write_bytes(ends.join(["input", "one", '""', "two", "", "", "three", "", ""]).encode())
    rows = Descriptions(path)
    found = [(row.line, row.text) for row in rows if isinstance(row, Description)]
    assert found == [(2, "one"), (3, ""), (4, "two"), (5, ""), (6, ""), (7, "three")]
    assert rows.notes == (f"{path} has 1 empty row, left out",)


def test_empty_rows_of_several_columns_are_told(tmp_path: Path):
    """Spreadsheets write them below a table; an empty cell beside a full one is a row."""
    path = tmp_path / "a.csv"
    path.write_text("id,input\n1,one\n2,\n,\n\n3,two\n,\n")
    rows = Descriptions(path)
    found = [(row.line, row.text) for row in rows if isinstance(row, Description)]
    assert found == [(2, "one"), (3, ""), (6, "two")]
    assert rows.notes == (f"{path} has 3 empty rows, left out",)


@pytest.mark.parametrize(("name", "header"), [("a.csv", b"input\n"), ("a.txt", b""), ("a.jsonl", b"")])
def test_what_is_no_utf_8_stops_at_the_beginning_and_is_a_fault_later(
    tmp_path: Path, name: str, header: bytes
):
    """A whole file in another encoding is told before anything is asked; one row far down is that row's."""
    good, bad = (b'{"input": "x"}\n', b'{"input": "\xe4"}\n') if name == "a.jsonl" else (b"x\n", b"\xe4\n")
    (tmp_path / name).write_bytes(header + good + bad + good * GOOD)
    with pytest.raises(DataError, match="expected UTF-8"):
        Descriptions(tmp_path / name)
    (tmp_path / name).write_bytes(header + good * GOOD + bad + good)
    rows = list(Descriptions(tmp_path / name))
    assert [number for number, row in enumerate(rows) if isinstance(row, Fault)] == [GOOD]
    assert isinstance(rows[-1], Description)


@pytest.mark.parametrize(
    ("name", "header", "row", "fault"),
    [
        ("a.csv", "text\n", "x\n", "1: input: expected a column of this name, found 'text'"),
        ("a.csv", "input,input\n", "x,y\n", "1: input: the column stands twice"),
        ("a.jsonl", "", '{"inptu": "x"}\n', "1: inptu: unknown name; did you mean 'input'?"),
        (
            "a.jsonl",
            "",
            '{"input": 3}\n',
            "1: input: expected text, found a number, and 999 more rows like it",
        ),
    ],
)
def test_what_is_the_matter_with_the_whole_file_is_told_before_anything_is_asked(
    tmp_path: Path, name: str, header: str, row: str, fault: str
):
    """Columns, names, and rows of which none can be read; in a screen full of lines at most."""
    (tmp_path / name).write_text(header + row * GOOD)
    with pytest.raises(DataError) as caught:
        Descriptions(tmp_path / name)
    assert fault in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 21


def test_a_line_of_many_megabytes_is_that_rows_fault_alone(tmp_path: Path):
    """It is never in memory as a whole, and the row after it is read."""
    long = '{"input": "' + "x" * 3_000_000 + '"}\n'
    (tmp_path / "a.jsonl").write_text('{"input": "a"}\n' + long + '{"input": "b"}\n')
    assert told(tmp_path / "a.jsonl") == ["a", 2, "b"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    """Reading ten times the rows takes the same memory."""
    row = {"input": "I lie awake until three. " * 8, "id": "row"}

    def peak(count: int, name: str) -> int:
        path = tmp_path / name
        header, line = (
            ("id,input\n", f"1,{row['input']}\n") if ".csv" in name else ("", json.dumps(row) + "\n")
        )
        path.write_text(header + line * count)
        tracemalloc.start()
        deque(Descriptions(path), maxlen=0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for name in ("a.jsonl", "a.csv", "a.txt"):
        few = peak(1_000, name)
        assert peak(10_000, name) < 1.2 * few + 100_000, name


def test_how_many_rows_there_are_is_estimated_and_then_counted(tmp_path: Path):
    """By the bytes of what was read, so that nothing is read twice for it."""
    (tmp_path / "a.txt").write_text("".join(f"text {number:06}\n" for number in range(20_000)))
    rows = Descriptions(tmp_path / "a.txt")
    assert rows.total is not None
    assert not rows.total_is_counted
    assert abs(rows.total - 20_000) < 8_000
    for _ in range(15_000):
        next(rows)
    assert abs(rows.total - 20_000) < 1_500
    deque(rows, maxlen=0)
    assert (rows.total, rows.total_is_counted) == (20_000, True)


def test_parquet_is_read_batch_by_batch_and_knows_its_length(tmp_path: Path):
    """Empty cells are descriptions without words, other types are the row's fault."""
    pyarrow = pytest.importorskip("pyarrow", reason="pip install '.[tables]'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install '.[tables]'")
    texts = [f"text {number}" if number != 1500 else None for number in range(5_000)]
    table = pyarrow.table({"id": list(range(5_000)), "input": texts})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=500)
    rows = Descriptions(tmp_path / "a.parquet")
    assert (rows.total, rows.total_is_counted) == (5_000, True)
    read = list(rows)
    assert read[0] == Description("text 0", 1, "0")
    assert read[1500] == Description("", 1501, "1500")
    assert read[-1] == Description("text 4999", 5000, "4999")
