"""Data in Excel, Parquet and folders of datasets, as people have it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_data_as_people_have_it import TABLES_ARE_AN_EXTRA, THEIRS

from symptoms.data import load_dataset
from symptoms.data.dataset import read_dataset
from symptoms.errors import DataError


def test_cells_of_tables_are_read_as_text_and_lists(tmp_path: Path):
    """Symptoms between semicolons in Excel, as lists in Parquet; an empty cell is a missing field."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    rows = [
        {"id": 7, "input": "x", "condition": "ocd", "symptoms": "avoidance; fatigue"},
        {"id": 8, "input": "y", "condition": "ocd", "symptoms": None},
    ]
    pandas.DataFrame(rows).to_excel(tmp_path / "a.xlsx", index=False)
    rows[0]["symptoms"] = ["avoidance", "fatigue"]
    pandas.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    for name in ("a.xlsx", "a.parquet"):
        examples = load_dataset(tmp_path / name).examples
        assert [(one.id, one.symptoms) for one in examples] == [
            ("7", ("avoidance", "fatigue")),
            ("8", None),
        ]


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet"])
def test_numbered_labels_are_text_in_a_table_as_in_csv(tmp_path: Path, name: str):
    """Whole numbers are labels of their own, and switches are none."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    frame = pandas.DataFrame({"input": ["x", "y"], "condition": [1, 0]})
    write_table = "to_excel" if name.endswith("xlsx") else "to_parquet"
    getattr(frame, write_table)(tmp_path / name, index=False)
    assert [one.condition for one in load_dataset(tmp_path / name).examples] == ["1", "0"]
    frame["condition"] = [True, False]
    getattr(frame, write_table)(tmp_path / name, index=False)
    _, faults = read_dataset(tmp_path / name)
    assert [fault.problem for fault in faults] == ["expected text, found true or false"] * 2


def test_a_folder_that_datasets_saved_is_read_with_splits_and_label_names(tmp_path: Path):
    """Arrow streams in a folder for each split, whose numbers are names of labels in the metadata."""
    arrow = pytest.importorskip("pyarrow", reason=TABLES_ARE_AN_EXTRA)
    features = {"dx": {"names": ["ocd", "panic"], "_type": "ClassLabel"}, "body": {"dtype": "string"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split, texts in (("train", ["one two", "three"]), ("validation", ["four"])):
        table = arrow.table({"body": texts, "dx": list(range(len(texts)))}).replace_schema_metadata(metadata)
        (tmp_path / "saved" / split).mkdir(parents=True)
        with (
            arrow.OSFile(str(tmp_path / "saved" / split / "data-00000-of-00001.arrow"), "wb") as file,
            arrow.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table)
    dataset = load_dataset(tmp_path / "saved", columns=THEIRS)
    assert [(one.input, one.condition, one.split) for one in dataset.examples] == [
        ("one two", "ocd", "train"),
        ("three", "panic", "train"),
        ("four", "ocd", "dev"),
    ]


def test_without_the_extra_a_table_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither a traceback nor a guess."""
    for module in ("pandas", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("a.xlsx", "a.parquet"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(DataError, match=r"pip install '\.\[tables\]' in the checkout"):
            load_dataset(tmp_path / name)


def test_a_folder_or_a_table_that_is_none_is_told(tmp_path: Path):
    """A folder without data files and a file that is not what its name says."""
    with pytest.raises(DataError, match=r"expected files that end in \.arrow or \.parquet"):
        load_dataset(tmp_path)
    pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    for name in ("a.xlsx", "a.parquet"):
        (tmp_path / name).write_bytes(b"not a table")
        with pytest.raises(DataError, match="cannot be read as"):
            load_dataset(tmp_path / name)
