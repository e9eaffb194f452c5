"""`symptoms data`: look at data sets, check them, split them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from symptoms.data import Dataset, LabelledExample, assessment_of, load_dataset, render_assessment
from symptoms.data.checks import check_datasets
from symptoms.data.fields import SPLITS
from symptoms.data.labels import find_label
from symptoms.data.reading import nearest
from symptoms.data.splitting import split_examples, write_splits
from symptoms.errors import DataError, Fault, InputError

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at data, check it, split it.")

FileArgument = Annotated[Path, typer.Argument(help="A data set: .jsonl, .json or .csv.")]
FREQUENT = 20


@data_app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Data sets: .jsonl, .json or .csv; the training data first.")
    ],
) -> None:
    """Tell every fault, near-duplicates within and across files, conflicting labels, and what looks odd."""
    if len({file.resolve() for file in files}) < len(files):
        raise InputError("A file is given twice, so all of it would be a duplicate; give it once.")
    datasets: list[Dataset] = []
    faults: list[Fault] = []
    for file in files:
        try:
            datasets.append(load_dataset(file))
        except DataError as error:
            faults.extend(error.faults)
    if datasets:
        findings = check_datasets(datasets)
        faults.extend(findings.errors)
        for warning in findings.warnings:
            typer.echo(f"warning: {warning}")
        for dataset in datasets:
            conditions = len({example.condition for example in dataset.examples})
            typer.echo(f"{dataset.path}: {len(dataset.examples)} examples, {conditions} conditions")
        typer.echo(f"{len(faults)} errors, {len(findings.warnings)} warnings")
    if faults:
        raise DataError(faults)


@data_app.command()
def stats(file: FileArgument) -> None:
    """Count examples by condition and split, words, and symptoms."""
    dataset = load_dataset(file)
    console = Console()
    console.print(_conditions_table(dataset))
    annotated = [example.symptoms for example in dataset.examples if example.symptoms is not None]
    if annotated:
        console.print(_symptoms_table(annotated))
    complete = sum(_can_be_trained_on(example) for example in dataset.examples)
    console.print(
        f"{len(dataset.examples)} examples; {complete} have symptoms and recommendation, as training needs.",
        highlight=False,
    )


@data_app.command()
def split(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="The folder for train.jsonl, dev.jsonl and test.jsonl.")],
    dev: Annotated[float, typer.Option(help="The share of each condition for dev.")] = 0.1,
    test: Annotated[float, typer.Option(help="The share of each condition for test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
) -> None:
    """Divide a data set into train, dev and test, by condition, near-duplicates together.

    Splits that the file itself names are not looked at.
    """
    dataset = load_dataset(file)
    splits = split_examples(dataset.examples, dev, test, seed)
    for path in write_splits(dataset, splits, out):
        typer.echo(f"{path}: {len(splits[path.stem])} examples")


@data_app.command()
def preview(
    file: FileArgument,
    condition: Annotated[str | None, typer.Option(help="Only examples of this condition.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many to show.")] = 3,
) -> None:
    """Show examples as the model sees them: the description, and the three lines it learns to write."""
    dataset = load_dataset(file)
    chosen = list(dataset.examples)
    if condition is not None:
        label = find_label(condition, dataset.labels)
        if label is None:
            known = [label.id for label in dataset.labels]
            raise InputError(f"There is no condition {condition!r}{nearest(condition, known)}")
        chosen = [example for example in chosen if example.condition == label.id]
    for example in chosen[:count]:
        typer.echo(f"{example.id} (line {example.line})\n{example.input}\n")
        typer.echo(_assessment_lines(example, dataset) + "\n")
    typer.echo(f"{min(count, len(chosen))} of {len(chosen)} examples")


def _can_be_trained_on(example: LabelledExample) -> bool:
    return example.symptoms is not None and example.recommendation is not None


def _assessment_lines(example: LabelledExample, dataset: Dataset) -> str:
    if _can_be_trained_on(example):
        return render_assessment(assessment_of(example, dataset.labels))
    text = next(label.text for label in dataset.labels if label.id == example.condition)
    return f"Primary concern: {text}\n(symptoms or recommendation are not annotated)"


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


def _counts(examples: Sequence[LabelledExample], columns: Sequence[str | None]) -> list[str]:
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
