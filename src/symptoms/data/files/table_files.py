"""Excel and Parquet files, and folders that Hugging Face's `datasets` wrote, through pandas and pyarrow.

Both are an extra that is not installed by itself: `pip install '.[tables]'` in the checkout.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from symptoms.data.example import SPLIT_NAMES
from symptoms.data.files.delimited import OF_PANDAS, index_note, terms_of_cell
from symptoms.errors import DataError, Fault
from symptoms.words import counted

EXCEL, PARQUET, ARROW = ".xlsx", ".parquet", ".arrow"
TABLES = (EXCEL, PARQUET)
OF_FOLDERS = (ARROW, PARQUET)
INDEX = "__index_level_"
BATCH = 1024
"""Rows of a Parquet file that are in memory at once."""
EXTRA = "install it with: pip install '.[tables]' in the checkout"


def rows_of_table(path: Path, notes: list[str]) -> Iterator[tuple[int, object]]:
    """The rows of the first sheet, or of a Parquet file, counted as they are seen: Excel's header is row 1.

    A column without a name is left out, which is noted of Excel's first. Raises DataError where pandas is not
    installed or cannot read the file.
    """
    if path.suffix.lower() == PARQUET:
        yield from enumerate(_rows_of_arrow(path), start=1)
        return
    pandas = _module("pandas", path)
    book = _read(path, lambda: pandas.ExcelFile(path))
    with book:
        # As text, so that an id of 007 stays one; nothing is a missing value but an empty cell.
        as_text = {"dtype": object, "keep_default_na": False, "na_values": [""]}
        frame = _read(path, lambda: pandas.read_excel(book, **as_text))
        first, *others = book.sheet_names
    if others:
        sheets = ", ".join(map(repr, others))
        notes.append(f"{path}: the first sheet, {first!r}, is read; left out: {sheets}")
    if len(frame.columns) and str(frame.columns[0]).startswith(OF_PANDAS):
        notes.append(index_note(path, "to_excel"))
    num_empty = 0
    for number, row in enumerate(frame.to_dict("records"), start=2):
        if any(not _is_missing(cell) for cell in row.values()):
            yield number, _fields(row)
        else:
            num_empty += 1
    if num_empty:
        notes.append(f"{path} has {counted(num_empty, 'empty row')}, left out")


def rows_of_folder(path: Path) -> Iterator[tuple[int, object]]:
    """The rows of a folder's Arrow or Parquet files, with the split that a file's name or folder says."""
    for file in _files(path):
        split = _split_of(file.relative_to(path))
        for number, row in enumerate(_rows_of_arrow(file), start=1):
            yield number, {**({"split": split} if split else {}), **row}


def digest_of_folder(path: Path) -> str:
    """The SHA-256 of the names and bytes of the files that are read."""
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.rglob("*") if file.suffix in OF_FOLDERS and file.is_file())
    if not found:
        endings = " or ".join(OF_FOLDERS)
        problem = f"expected files that end in {endings}, as datasets writes them, found none; name a file"
        raise DataError([Fault(str(folder), 1, "file", problem)])
    return found


def _split_of(file: Path) -> str | None:
    """By the folder, as `save_to_disk` has it, or by the name, as on the hub: `train-00000-of-00001`."""
    names = [*(part.lower() for part in file.parts[:-1]), file.stem.lower().split("-")[0]]
    return next((SPLIT_NAMES[name] for name in reversed(names) if name in SPLIT_NAMES), None)


def _rows_of_arrow(file: Path) -> Iterator[dict[str, object]]:
    """The rows, a batch at a time in memory."""
    arrow = _module("pyarrow", file)
    with ExitStack() as held:
        if file.suffix.lower() == PARQUET:
            table = _read(file, lambda: _module("pyarrow.parquet", file).ParquetFile(file))
            schema, batches = table.schema_arrow, table.iter_batches(BATCH)
        else:
            source = _read(file, lambda: held.enter_context(arrow.memory_map(str(file))))
            batches = _read(file, lambda: arrow.ipc.open_stream(source))
            schema = batches.schema
        names = _label_names(schema)
        batches = iter(batches)
        while (batch := _read(file, lambda: next(batches, None))) is not None:
            for row in batch.to_pylist():
                for column, of_label in names.items():
                    if isinstance(row.get(column), int) and 0 <= row[column] < len(of_label):
                        row[column] = of_label[row[column]]
                yield _fields(row)


def rows_in_parquet(path: Path) -> int:
    """How many rows a Parquet file says it has; raises DataError where it cannot be read."""
    return _read(path, lambda: _module("pyarrow.parquet", path).read_metadata(path)).num_rows


def _label_names(schema: Any) -> dict[str, list[str]]:
    """The names of the labels that `datasets` stores as numbers (ClassLabel), by column."""
    metadata: dict[bytes, bytes] = schema.metadata or {}
    stored = metadata.get(b"huggingface")
    if stored is None:
        return {}
    features: dict[str, Any] = json.loads(stored).get("info", {}).get("features", {})
    return {
        column: feature["names"]
        for column, feature in features.items()
        if isinstance(feature, dict) and "names" in feature
    }


def _fields(row: dict[Any, Any]) -> dict[str, object]:
    """Cells as JSON would have them; an index of pandas and columns without a name are left out.

    Whole numbers are text, as a CSV file has them: labels are often numbered.
    """
    fields: dict[str, object] = {}
    for column, value in row.items():
        name = str(column).strip()
        if name and not name.startswith((INDEX, OF_PANDAS)):
            plain = None if _is_missing(value) else value
            is_text = name == "id" or (isinstance(plain, int) and not isinstance(plain, bool))
            fields[name] = str(plain) if is_text and plain is not None else plain
    if isinstance(symptoms := fields.get("symptoms"), str):
        fields["symptoms"] = terms_of_cell(symptoms)
    return fields


def _is_missing(value: object) -> bool:
    # A NaN is the one value that is not itself.
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _read(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ImportError as error:  # pandas reads Excel with openpyxl, which it has not by itself
        raise DataError([Fault(str(path), 1, "file", f"reading it needs {error.name}; {EXTRA}")]) from error
    except (OSError, ValueError, KeyError) as error:
        kind = path.suffix.lower()
        problem = f"cannot be read as {kind}; save it anew, or as CSV"
        raise DataError([Fault(str(path), 1, "file", problem)]) from error


def _module(name: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        needed = name.split(".")[0]
        raise DataError([Fault(str(path), 1, "file", f"reading it needs {needed}; {EXTRA}")]) from error
