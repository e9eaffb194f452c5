"""Data as people have it: other names, separators, columns, formats, labels and terms, each in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symptoms.data import Dataset, Description, Descriptions, Label, load_dataset
from symptoms.data.dataset import read_dataset
from symptoms.data.files.records import Columns
from symptoms.data.splitting import split_examples, what_was_not_split, write_splits
from symptoms.errors import DataError
from symptoms.tokens import rendered
from symptoms.train import load_training_data
from symptoms.train.request.training_request import new_request

THEIRS = Columns("body", "dx")
TWO = [{"body": "I wash, and wash", "dx": "ocd"}, {"body": "Out of the blue", "dx": "panic"}]
TABLES_ARE_AN_EXTRA = "pip install '.[tables]'"


def load_text(folder: Path, name: str, text: str, columns: Columns = THEIRS) -> Dataset:
    (folder / name).write_text(text, encoding="utf-8")
    return load_dataset(folder / name, columns=columns)


def told_of(folder: Path, name: str, text: str, columns: Columns = THEIRS) -> list[str]:
    (folder / name).write_text(text, encoding="utf-8")
    _, faults = read_dataset(folder / name, columns=columns)
    return [f"{fault.line} {fault.field}: {fault.problem}" for fault in faults]


def are_two(dataset: Dataset) -> bool:
    return [(one.input, one.condition) for one in dataset.examples] == [
        ("I wash, and wash", "ocd"),
        ("Out of the blue", "panic"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'body,dx\n"I wash, and wash",ocd\nOut of the blue,panic\n'),
        ("a.csv", "body;dx\nI wash, and wash;ocd\nOut of the blue;panic\n"),
        ("a.csv", "dx\tbody\nocd\tI wash, and wash\npanic\tOut of the blue\n"),
        ("a.tsv", "dx\tbody\nocd\tI wash, and wash\npanic\tOut of the blue\n"),
        ("a.csv", "dx|body\nocd|I wash, and wash\npanic|Out of the blue\n"),
        ("a.jsonl", "".join(json.dumps(one) + "\n" for one in TWO)),
        ("a.json", json.dumps(TWO)),
        ("a.json", "".join(json.dumps(one) + "\n" for one in TWO)),
        ("a.jsonl", json.dumps(TWO, indent=1)),
        ("a.ndjson", "".join(json.dumps(one) + "\n" for one in TWO)),
        ("a.csv", "sep=;\nbody;dx\nI wash, and wash;ocd\nOut of the blue;panic\n"),
    ],
)
def test_one_reader_reads_every_text_format_by_their_names(tmp_path: Path, name: str, text: str):
    """Separators are found, a list in .jsonl and lines in .json are read, and the columns are as told."""
    assert are_two(load_text(tmp_path, name, text))
    texts = [one.text for one in Descriptions(tmp_path / name, "body") if isinstance(one, Description)]
    assert texts == ["I wash, and wash", "Out of the blue"]


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.csv", "body;dx\nx;ocd\n", "columns are separated by semicolons"),
        ("a.json", '{"body": "x", "dx": "ocd"}\n', "holds JSON lines, which usually end in .jsonl"),
        ("a.jsonl", '[{"body": "x",\n"dx": "ocd"}]', "holds a JSON list, which usually ends in .json"),
        ("a.csv", ",body,dx\n0,x,ocd\n", "the first column has no name, like the index that pandas writes"),
        ("a.csv", "Unnamed: 0,body,dx\n0,x,ocd\n", "to_csv(..., index=False) writes none"),
        ("a.csv", "body,dx,age,ward\nx,ocd,3,B\n", "'age', 'ward' are left out"),
        ("a.jsonl", '{"body": "x", "dx": "ocd", "input": "y"}\n', "'input' is left out"),
    ],
)
def test_how_a_file_was_read_is_noted_in_one_sentence(tmp_path: Path, name: str, text: str, note: str):
    """A reader learns of what was guessed and of what was left out, once for a file."""
    [told] = load_text(tmp_path, name, text).notes
    assert note in told


def test_a_column_that_is_not_there_is_told_once_with_those_that_are(tmp_path: Path):
    """A thousand records without the field are one fault, which names the option that helps."""
    text = "".join(json.dumps({"text": f"words {n}", "condition": "ocd"}) + "\n" for n in range(1000))
    assert told_of(tmp_path, "a.jsonl", text, Columns()) == [
        "1 input: expected a field of this name, found 'text'; name yours with --text-column, "
        "perhaps --text-column text"
    ]
    assert told_of(tmp_path, "a.csv", "text,dx\nx,ocd\n", Columns(text="text")) == [
        "1 condition: expected a column of this name, found 'dx'; name yours with --label-column, "
        "perhaps --label-column dx"
    ]


def test_a_slip_in_a_name_is_a_fault_and_no_extra_column(tmp_path: Path):
    """A column that would lose the symptoms in silence is told, with the name that it nearly is."""
    assert told_of(tmp_path, "a.csv", "body,dx,symptms\nx,ocd,avoidance\n") == [
        "2 symptms: unknown name; did you mean 'symptoms'?"
    ]


def test_faults_speak_of_the_files_own_columns(tmp_path: Path):
    """Whoever calls the text body is told of body."""
    assert told_of(tmp_path, "a.csv", "body,dx\n,ocd\nx,ocdd\n") == [
        "2 body: expected text, found an empty cell; fill it in, or take the row out",
        "3 dx: unknown condition 'ocdd'; did you mean 'ocd'? "
        "(labels of your own go into a taxonomy.json beside the file)",
    ]


def test_a_labels_name_will_do_where_it_is_the_only_one(tmp_path: Path):
    """Name, formal name and id in any case are the label; a name of two labels is none."""
    names = ["Specific Phobia", "major depressive disorder", "No clinical concern", "PANIC", "adhd"]
    text = "".join(json.dumps({"body": f"words {n}", "dx": n}) + "\n" for n in names)
    assert [one.condition for one in load_text(tmp_path, "a.jsonl", text).examples] == [
        "specific_phobia",
        "depression",
        "no_clinical_concern",
        "panic",
        "adhd",
    ]
    (tmp_path / "taxonomy.json").write_text('[{"id": "a", "name": "Low"}, {"id": "b", "name": "low"}]')
    assert "unknown condition 'LOW'" in told_of(tmp_path, "a.jsonl", '{"body": "x", "dx": "LOW"}\n')[0]
    assert load_text(tmp_path, "a.jsonl", '{"body": "x", "dx": "low"}\n').examples[0].condition == "b"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", """1 file: expected a list such as [{"id": "burnout", "name": "Burnout"}], found an empty"""),
        ("{}", "1 file: expected a list such as"),
        ("[3]", """1 condition: expected {"id": "burnout", "name": "Burnout"}, found a number"""),
        ('[{"id": "a"}]', "1 name: expected text, found no such field; write an entry as"),
        ('[{"id": 3, "name": "A"}]', "1 id: expected text, found a number"),
        ('[{"id": " ", "name": "A"}]', "1 id: expected text, found an empty string"),
        ('[{"id": "a ", "name": "A"}]', "1 id: expected one line without spaces around it"),
        ('[{"id": "a", "name": "A", "formal_name": 3}]', "1 formal_name: expected text, found a number"),
    ],
)
def test_a_faulty_taxonomy_is_told_in_plain_words(tmp_path: Path, text: str, fault: str):
    """Nothing of patterns, types and validators, but what to write."""
    (tmp_path / "taxonomy.json").write_text(text)
    [told] = told_of(tmp_path, "a.jsonl", '{"body": "x", "dx": "a"}\n')
    assert told.startswith(fault)


def test_a_vocabulary_of_ones_own_is_a_file_beside_the_data(tmp_path: Path):
    """Its terms and no others are symptoms, also with the bundled conditions; a faulty one is told."""
    (tmp_path / "symptoms.json").write_text('{"mood": ["blue mood"], "body": ["cold feet"]}')
    line = '{"body": "x", "dx": "ocd", "symptoms": ["%s"]}\n'
    assert load_text(tmp_path, "a.jsonl", line % "blue mood").examples[0].symptoms == ("blue mood",)
    [fault] = told_of(tmp_path, "a.jsonl", line % "cold feat")
    assert fault.startswith("1 symptoms: unknown symptom 'cold feat'; did you mean 'cold feet'?")
    (tmp_path / "symptoms.json").write_text('["a", "a", 3, "b, c"]')
    assert told_of(tmp_path, "a.jsonl", line % "a") == [
        "1 term: 'a' stands twice; keep one",
        "1 term: expected text, found a number",
        "1 term: expected a term of one line without commas or spaces around it, found 'b, c'",
    ]


@pytest.mark.parametrize("text", ["[]", '{"mood": []}', "{}"])
def test_a_vocabulary_without_a_term_is_the_fault_and_not_each_symptom(tmp_path: Path, text: str):
    """It is told once, by its own file."""
    (tmp_path / "symptoms.json").write_text(text)
    (tmp_path / "a.csv").write_text("input,condition,symptoms\nx,ocd,avoidance\ny,ocd,fatigue\n")
    _, [fault] = read_dataset(tmp_path / "a.csv")
    assert Path(fault.file).name == "symptoms.json"
    assert fault.problem.startswith('expected ["low mood", "fatigue"], or groups of them')


@pytest.mark.parametrize(
    "terms", [["tiredness", "avoidance"], {"body": ["tiredness"], "deeds": ["avoidance"]}]
)
def test_a_split_keeps_labels_and_terms_of_ones_own(tmp_path: Path, terms: object):
    """What stands beside the data set stands beside its parts, a formal name as one."""
    own = [{"id": "burnout", "name": "Burnout", "formal_name": "ICD-11 QD85"}, {"id": "ocd", "name": "OCD"}]
    (tmp_path / "taxonomy.json").write_text(json.dumps(own))
    (tmp_path / "symptoms.json").write_text(json.dumps(terms))
    rows = "input,condition,symptoms\nEach day is too much,burnout,tiredness\nI wash and wash,OCD,avoidance\n"
    (tmp_path / "a.csv").write_text(rows)
    dataset = load_dataset(tmp_path / "a.csv")
    write_splits(dataset, split_examples(dataset.examples, 0, 0, seed=0), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "taxonomy.json").read_text()) == own
    assert json.loads((tmp_path / "out" / "symptoms.json").read_text()) == terms
    assert load_dataset(tmp_path / "out" / "train.jsonl").labels == dataset.labels
    write_splits(dataset, split_examples(dataset.examples, 0, 0, seed=0), tmp_path)
    assert json.loads((tmp_path / "taxonomy.json").read_text()) == own


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "document", [{"input": {"0": "x", "1": "y"}, "condition": {"0": "ocd", "1": "ocd"}}, {"train": TWO}]
)
@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_of_columns_or_splits_is_told_as_one(
    tmp_path: Path, name: str, document: dict[str, object], indent: int | None
):
    """What pandas writes by default is no record, and how it writes records is said."""
    first = next(iter(document))
    [told] = told_of(tmp_path, name, json.dumps(document, indent=indent))
    assert told.startswith(f"1 file: expected a list of examples, found an object of {first!r}")
    assert 'orient="records", lines=True' in told
    with pytest.raises(DataError, match="expected a list of examples"):
        load_training_data(tmp_path / name, "train")


def test_the_same_fault_in_many_rows_is_told_once_with_their_number(tmp_path: Path):
    """Each is still there to be counted, and another fault is told as before."""
    rows = "".join(f"text number {number},odd\n" for number in range(2000))
    (tmp_path / "a.csv").write_text(f"input,condition\n{rows}well,\nand, yet, more\n")
    with pytest.raises(DataError) as told:
        load_dataset(tmp_path / "a.csv", labels=(Label("ocd", "OCD"),))
    assert len(told.value.faults) == 2002
    first, *others = str(told.value).splitlines()
    assert "a.csv:2: condition: unknown condition 'odd'" in first
    assert first.endswith(", and 1,999 more rows like it")
    assert [line.split(": ")[1] for line in others] == ["condition", "row"]


def test_a_split_says_what_it_did_not_do(tmp_path: Path):
    """Of two examples of a condition none can be held out, and of one file none is written."""
    text = "".join(
        json.dumps({"body": f"{dx} words number {n} of many", "dx": dx}) + "\n"
        for dx, count in (("ocd", 2), ("panic", 10))
        for n in range(count)
    )
    examples = load_text(tmp_path, "a.jsonl", text).examples
    told = what_was_not_split(split_examples(examples[:2], 0.1, 0.2, 0), {"dev": 0.1, "test": 0.2})
    assert told[0].startswith("no dev.jsonl was written; with fewer than 3 examples")
    assert told[1].startswith("no test.jsonl was written; with fewer than 3 examples")
    distinct = [replace(one, input=" ".join(f"{word}{one.id}" for word in "abcdef")) for one in examples]
    told = what_was_not_split(split_examples(distinct, 0.1, 0.2, 0), {"dev": 0.1, "test": 0.2})
    assert told == [
        "dev.jsonl has no ocd; with fewer than 3 examples a condition stays in train",
        "test.jsonl has no ocd; with fewer than 3 examples a condition stays in train",
    ]
    assert what_was_not_split(split_examples(distinct[2:], 0.1, 0.2, 0), {"dev": 0.1, "test": 0.2}) == []


def as_excel(pandas: Any, folder: Path) -> Path:
    pandas.DataFrame(TWO).to_excel(folder / "a.xlsx", index=False)
    return folder / "a.xlsx"


def as_parquet(pandas: Any, folder: Path) -> Path:
    pandas.DataFrame(TWO, index=[7, 9]).to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


@pytest.mark.parametrize("write", [as_excel, as_parquet])
def test_excel_and_parquet_are_read_like_the_others(tmp_path: Path, write: Callable[[Any, Path], Path]):
    """The same examples, lists of symptoms and lists in cells alike, with a digest and without an index."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    dataset = load_dataset(write(pandas, tmp_path), columns=THEIRS)
    assert are_two(dataset)
    assert len(dataset.digest) == 64
    assert dataset.notes == ()


def test_the_index_that_pandas_writes_into_excel_is_noted(tmp_path: Path):
    """It is left out as that of a CSV file is, and so it is said, to who trains and to who asks."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    file = tmp_path / "a.xlsx"
    pandas.DataFrame(TWO).to_excel(file)
    dataset = load_dataset(file, columns=THEIRS)
    assert are_two(dataset)
    [note] = dataset.notes
    assert "a.xlsx: the first column has no name" in note
    assert "to_excel(..., index=False) writes none" in note
    descriptions = Descriptions(file, "body")
    assert len(list(descriptions)) == 2
    assert note in descriptions.notes


def test_an_empty_cell_of_a_table_is_told_by_its_row_and_column(tmp_path: Path):
    """Of Excel and Parquet as of CSV; a column that is not there is told otherwise."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    rows = [{"body": "x", "dx": "ocd"}, {"body": "y", "dx": None}]
    pandas.DataFrame(rows).to_excel(tmp_path / "a.xlsx", index=False)
    pandas.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    for name, row in (("a.xlsx", 3), ("a.parquet", 2)):
        with pytest.raises(DataError) as caught:
            load_dataset(tmp_path / name, columns=THEIRS)
        [fault] = caught.value.faults
        assert (fault.line, fault.field) == (row, "dx")
        assert fault.problem == "expected text, found an empty cell; fill it in, or take the row out"


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
def test_rows_of_a_table_without_any_text_are_told(tmp_path: Path, name: str):
    """They are left out, as spreadsheets have them between and below others."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    table = pandas.DataFrame([TWO[0], {}, {}, TWO[1]])
    (table.to_csv if name == "a.csv" else table.to_excel)(tmp_path / name, index=False)
    dataset = load_dataset(tmp_path / name, columns=THEIRS)
    assert are_two(dataset)
    assert f"{tmp_path / name} has 2 empty rows, left out" in dataset.notes


def test_further_sheets_are_left_out_with_a_note(tmp_path: Path):
    """It names the one that is read."""
    pandas = pytest.importorskip("pandas", reason=TABLES_ARE_AN_EXTRA)
    with pandas.ExcelWriter(tmp_path / "a.xlsx") as book:
        for sheet in ("main", "more"):
            pandas.DataFrame(TWO).to_excel(book, sheet_name=sheet, index=False)
    dataset = load_dataset(tmp_path / "a.xlsx", columns=THEIRS)
    assert are_two(dataset)
    assert [note for note in dataset.notes if "sheet" in note] == [
        f"{tmp_path / 'a.xlsx'}: the first sheet, 'main', is read; left out: 'more'"
    ]


def test_symptoms_as_one_text_are_divided_as_in_a_cell(tmp_path: Path):
    """A JSON file that was made from a table has them so."""
    one = {**TWO[0], "symptoms": "avoidance; fatigue"}
    [example] = load_text(tmp_path, "a.jsonl", json.dumps(one)).examples
    assert example.symptoms == ("avoidance", "fatigue")


def test_a_training_is_told_its_columns_once(tmp_path: Path):
    """What text and label are called is a setting of the run; notes on the file go with the data."""
    file = tmp_path / "mine.csv"
    file.write_text("body;dx;symptoms;recommendation;ward\nI wash all day;ocd;avoidance;Ask a GP.;B\n")
    data = load_training_data(file, "train", THEIRS)
    assert rendered(data.examples[0]).startswith("Primary concern: Obsessive-Compulsive Disorder")
    assert any("separated by semicolons" in note for note in data.notes)
    assert any("'ward' is left out" in note for note in data.notes)
    request = new_request({"data": str(file), "text_column": "body", "label_column": "dx"}, "local")
    assert request.data.examples == data.examples
    assert request.resolved("symptoms-base").settings.text_column == "body"


def test_labels_of_its_own_are_told_where_some_are_in_the_taxonomy(tmp_path: Path):
    """A file half in abbreviations would else train on MDD as a label, without a word."""
    rows = [{"input": f"I feel {named}", "condition": named} for named in ("OCD", "MDD", "GAD")]
    file = tmp_path / "short.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    [note] = load_dataset(file).notes
    assert "its 3 conditions are taken as labels of its own" in note
    assert "(OCD)" in note
    file.write_text("".join(json.dumps({**row, "condition": "mine"}) + "\n" for row in rows))
    assert load_dataset(file).notes == ()
