"""`symptoms data`: look at data sets, check them, split them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from symptoms.cli.options import LabelColumnOption, TextColumnOption
from symptoms.data import (
    Dataset,
    Example,
    assessment_of,
    labels_of_taxonomy,
    load_dataset,
    render_assessment,
)
from symptoms.data.checking.checks import check_datasets
from symptoms.data.checking.duplicates import known_ids
from symptoms.data.dataset import read_dataset
from symptoms.data.files.fields import SPLITS
from symptoms.data.files.records import columns_called
from symptoms.data.labels import find_label_by_name
from symptoms.data.splitting import split_examples, what_was_not_split, write_splits
from symptoms.data.terms import terms_for
from symptoms.data.written_assessment import CONCERN
from symptoms.errors import DataError, Fault, InputError, in_lines
from symptoms.taxonomy import symptom_terms
from symptoms.text_files import nearest
from symptoms.words import counted, say

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at data, check it, split it.")

KINDS = ".jsonl, .ndjson, .json, .csv, .tsv, .xlsx, .parquet, or a folder of datasets"
FileArgument = Annotated[Path, typer.Argument(help=f"A data set: {KINDS}.")]
AllowDuplicateOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Id of an example that may resemble others in another part, or all; may be repeated.",
    ),
]
FREQUENT = 20


@data_app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help=f"Data sets: {KINDS}; the training data first.")],
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    allow_duplicate: AllowDuplicateOption = None,
) -> None:
    """Tell every fault, near-duplicates within and across files, conflicting labels, and what looks odd."""
    if len({file.resolve() for file in files}) < len(files):
        raise InputError("A file is given twice, so all of it would be a duplicate; give it once.")
    datasets: list[Dataset] = []
    faults: list[Fault] = []
    for file in files:
        dataset, found = read_dataset(file, columns=columns_called(text_column, label_column))
        datasets.append(dataset)
        faults.extend(found)
    allowed = allow_duplicate or ()
    # What could not be read may have the ids.
    if all(dataset.examples for dataset in datasets):
        allowed = known_ids(datasets, allowed)
    findings = check_datasets(datasets, allowed)
    faults.extend(findings.errors)
    for note in (note for dataset in datasets for note in dataset.notes):
        typer.echo(f"note: {note}")
    for warning in in_lines(findings.warnings):
        typer.echo(f"warning: {warning}")
    for dataset in datasets:
        if dataset.examples:
            conditions = len({one.condition for one in dataset.examples if one.condition})
            counts = f"{counted(len(dataset.examples), 'example')}, {counted(conditions, 'condition')}"
            unread = sum(not one.condition for one in dataset.examples)
            without = f"; {counted(unread, 'example')} without a condition that can be read" if unread else ""
            typer.echo(f"{dataset.path}: {counts}{without}")
    typer.echo(f"{counted(len(faults), 'error')}, {counted(len(findings.warnings), 'warning')}")
    if faults:
        order = {str(file): number for number, file in enumerate(files)}
        faults.sort(key=lambda fault: (order.get(fault.file, -1), fault.line))
        raise DataError(faults)


@data_app.command()
def stats(
    file: FileArgument, text_column: TextColumnOption = None, label_column: LabelColumnOption = None
) -> None:
    """Count examples by condition and split, words, and symptoms."""
    dataset = _loaded(file, text_column, label_column)
    console = Console()
    console.print(_conditions_table(dataset))
    annotated = [example.symptoms for example in dataset.examples if example.symptoms is not None]
    if annotated:
        console.print(_symptoms_table(annotated))
    console.print(f"{counted(len(dataset.examples), 'example')}; {_of_training(dataset)}", highlight=False)


@data_app.command()
def split(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="The folder for train.jsonl, dev.jsonl and test.jsonl.")],
    dev: Annotated[float, typer.Option(help="The share of each condition for dev.")] = 0.1,
    test: Annotated[float, typer.Option(help="The share of each condition for test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    allow_duplicate: AllowDuplicateOption = None,
) -> None:
    """Divide a data set into train, dev and test, by condition, near-duplicates together.

    Splits that the file itself names are not looked at.
    """
    dataset = _loaded(file, text_column, label_column)
    allowed = known_ids([dataset], allow_duplicate or ())
    splits = split_examples(dataset.examples, dev, test, seed, allowed)
    for path in write_splits(dataset, splits, out):
        typer.echo(f"{path}: {counted(len(splits[path.stem]), 'example')}")
    for sentence in what_was_not_split(splits, {"dev": dev, "test": test}):
        typer.echo(f"note: {sentence}")


@data_app.command()
def preview(
    file: FileArgument,
    condition: Annotated[str | None, typer.Option(help="Only examples of this condition.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many to show.")] = 3,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
) -> None:
    """Show examples as the model sees them: the description, and the three lines it learns to write."""
    dataset = _loaded(file, text_column, label_column)
    chosen = list(dataset.examples)
    if condition is not None:
        label = find_label_by_name(condition, dataset.labels)
        if label is None:
            known = [label.id for label in dataset.labels]
            hint = nearest(condition, known) or "; 'symptoms data labels' lists them."
            raise InputError(f"There is no condition {condition!r}{hint}")
        chosen = [example for example in chosen if example.condition == label.id]
        if not chosen:
            raise InputError(
                f"{file} has no example of {label.id}; 'symptoms data stats {file}' counts those it has."
            )
    for example in chosen[:count]:
        typer.echo(f"{example.id} (line {example.line})\n{example.input}\n")
        typer.echo(_assessment_lines(example) + "\n")
    typer.echo(f"{min(count, len(chosen)):,} of {counted(len(chosen), 'example')}")


@data_app.command()
def labels(
    file: Annotated[
        Path | None, typer.Argument(help="A data set, for its own labels; the bundled ones without it.")
    ] = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
) -> None:
    """List the ids that a condition may be, what each is written as, and the symptom terms."""
    chosen, path = labels_of_taxonomy(), Path()
    if file is not None:
        chosen, path = _loaded(file, text_column, label_column).labels, file
    table = Table("id", "written as", box=None, padding=(0, 2, 0, 0))
    for label in chosen:
        table.add_row(label.id, label.text)
    console = Console()
    console.print(table)
    terms = symptom_terms() if file is None else terms_for(path, chosen)
    if terms is None:
        console.print("\nAny symptom term will do; a symptoms.json beside the file would say which.")
        return
    for group, listed in terms.items():
        say(console, f"\n{group or 'symptoms'}: {', '.join(listed)}")


def _loaded(file: Path, text_column: str | None, label_column: str | None) -> Dataset:
    dataset = load_dataset(file, columns=columns_called(text_column, label_column))
    for note in dataset.notes:
        typer.echo(f"note: {note}", err=True)
    return dataset


def _of_training(dataset: Dataset) -> str:
    if all(one.symptoms is None and one.recommendation is None for one in dataset.examples):
        return "none with symptoms or a recommendation, so training is on the concern's line alone."
    complete = sum(example.is_assessed for example in dataset.examples)
    return f"{complete:,} with symptoms and recommendation, as training needs."


def _assessment_lines(example: Example) -> str:
    if example.is_assessed:
        return render_assessment(assessment_of(example))
    named = example.label.text if example.label else ""
    return f"{CONCERN}{named}\n(symptoms or recommendation are not annotated)"


def _conditions_table(dataset: Dataset) -> Table:
    columns = [name for name in (*SPLITS, None) if any(one.split == name for one in dataset.examples)]
    table = Table("condition", title=str(dataset.path), title_justify="left")
    for column in columns:
        table.add_column(column or "no split", justify="right")
    for heading in ("all", "words, median", "least", "most"):
        table.add_column(heading, justify="right")
    for label in dataset.labels:
        own = [example for example in dataset.examples if example.condition == label.id]
        if own:
            table.add_row(label.id, *_counts(own, columns))
    table.add_section()
    table.add_row("all", *_counts(dataset.examples, columns))
    return table


def _counts(examples: Sequence[Example], columns: Sequence[str | None]) -> list[str]:
    words = [len(example.input.split()) for example in examples]
    by_split = [sum(example.split == column for example in examples) for column in columns]
    figures = [*by_split, len(examples), median(words), min(words), max(words)]
    return [f"{figure:g}" for figure in figures]


def _symptoms_table(annotated: Sequence[tuple[str, ...]]) -> Table:
    counts = Counter(symptom for symptoms in annotated for symptom in symptoms)
    table = Table("symptom", title=f"{len(counts)} symptoms, the most frequent", title_justify="left")
    table.add_column("examples", justify="right")
    for symptom, count in counts.most_common(FREQUENT):
        table.add_row(symptom, str(count))
    table.add_section()
    table.add_row("on average, for an example", f"{sum(counts.values()) / len(annotated):.1f}")
    return table
