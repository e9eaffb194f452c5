"""`symptoms evaluate`: how good a run is, on texts that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from symptoms.cli.options import BaseModelOption, LabelColumnOption, ServiceOption, TextColumnOption
from symptoms.disclaimer import DISCLAIMER
from symptoms.errors import InputError
from symptoms.words import say

if TYPE_CHECKING:
    from symptoms.evaluate.evaluation_file import Evaluation

RELABELLED_SHOWN = 5
"""Of so many test texts both labels are told, where a text was trained on with another."""


def evaluate(
    run: Annotated[str, typer.Argument(help="A run by name or folder, or a tinker:// path.")],
    data: Annotated[Path, typer.Option(help="The test set, a data file of any kind.")] = Path(
        "data/test.jsonl"
    ),
    also: Annotated[
        list[Path] | None,
        typer.Option(
            help="A further test set, whose headline is told beside; may be repeated. By default the "
            "test-2.jsonl beside a test.jsonl."
        ),
    ] = None,
    dev: Annotated[
        Path | None, typer.Option(help="Fit temperature and threshold on this set; by default the run's own.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Fit the baselines on this set; by default the run's own.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write report.html and report.md here; by default to runs/NAME/evaluations, by the test set."
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also try the base model itself and small changes of the texts.")
    ] = False,
    beside: Annotated[
        list[str] | None, typer.Option(help="Another run, evaluated as a baseline; may be repeated.")
    ] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option(
            help="An evaluated run on fewer or more examples, or a file of --json, for the learning curve; "
            "may be repeated."
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(help="Texts from elsewhere as KIND=PATH, such as mentalbench=PATH; may be repeated."),
    ] = None,
    allow_duplicate: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a test or dev example that may resemble one of training or dev, or all; may be "
            "repeated."
        ),
    ] = None,
    risk: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.99,
            help="The share of given answers that may be wrong; dev has to show it. By default 0.3, and of "
            "'shipped' what it was fitted for.",
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(
            help="Give the words of the training set a vote beside the model, with a weight fitted on dev."
        ),
    ] = True,
    read_symptoms: Annotated[
        bool,
        typer.Option(
            help="Name key symptoms by conditions, words and cues, weighed on dev, where that is better than "
            "what the model writes."
        ),
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of the changed texts.")] = 0,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
) -> None:
    """Measure a run on held-out examples, next to baselines, with intervals."""
    from symptoms.evaluate.evaluate_run import evaluate_run, stored_evaluation, usual_risk
    from symptoms.evaluate.evaluation_file import read_evaluation, write_evaluation
    from symptoms.evaluate.request.evaluation_request import EvaluationRequest
    from symptoms.report.pages import write_report

    request = EvaluationRequest(
        run_or_path=run,
        data=data,
        also=None if also is None else tuple(also),
        dev=dev,
        train=train,
        text_column=text_column,
        label_column=label_column,
        full=full,
        words=words,
        read_symptoms=read_symptoms,
        beside=tuple(beside or ()),
        external=tuple(_kind_and_path(one) for one in external or ()),
        allowed_duplicates=tuple(allow_duplicate or ()),
        risk=usual_risk(run) if risk is None else risk,
        seed=seed,
        service=service,
        base_model=base_model,
    )
    others = [read_evaluation(stored_evaluation(one)) for one in curve or ()]
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:

        def track(what: str, total: int) -> Callable[[], None]:
            task = progress.add_task(what, total=total)
            return lambda: progress.advance(task)

        evaluation, folder = evaluate_run(request, track)
    if json_file is not None:
        write_evaluation(json_file, evaluation)
    page = write_report(report or folder, evaluation, others)
    print_result(evaluation, page)


def _kind_and_path(given: str) -> tuple[str, Path]:
    kind, separator, path = given.partition("=")
    if not separator or not path:
        raise InputError(f"--external {given!r} is not KIND=PATH; write for example mentalbench=FOLDER.")
    return kind, Path(path)


def print_result(evaluation: Evaluation, page: Path) -> None:
    """Write the figures as a table, with what has to be said of them, and where the report is."""
    from symptoms.report.headline import headline, name_of_model, nothing_was_read
    from symptoms.report.pages import (
        answering,
        interval_text,
        not_held_out,
        percent_text,
        two_accuracies,
        verdict,
    )

    table = Table(box=None, padding=(0, 2, 0, 0))
    beside = [f"macro-F1, {Path(one.path).stem}" for one in evaluation.further]
    for column in ("", "macro-F1", *beside, "accuracy", "surest 80%", "calibration error"):
        table.add_column(column)
    table.add_row(
        name_of_model(evaluation),
        interval_text(headline(evaluation).macro_f1),
        *(interval_text(headline(one).macro_f1) for one in evaluation.further),
        interval_text(headline(evaluation).accuracy),
        percent_text(None if nothing_was_read(evaluation) else evaluation.scores.accuracy_at_80_coverage),
        f"{evaluation.scores.calibration.ece:.3f}",
    )
    for baseline in evaluation.baselines:
        of_further = [
            next((b.scores for b in one.baselines if b.name == baseline.name), None)
            for one in evaluation.further
        ]
        table.add_row(
            baseline.name,
            interval_text(baseline.scores.macro_f1),
            *(interval_text(other.macro_f1) if other else "" for other in of_further),
            interval_text(baseline.scores.accuracy),
            percent_text(baseline.scores.accuracy_at_80_coverage),
            f"{baseline.scores.calibration.ece:.3f}",
        )
    console = Console()
    console.print(table)
    for one in evaluation.left_out:
        console.print(f"Left out: {one.name}, because {one.reason}.", highlight=False)
    for warning in not_held_out(evaluation):
        say(console, f"warning: {warning}", "yellow")
    relabelled = [told for one in (evaluation, *evaluation.further) for told in one.allowed.other_labels]
    for told in relabelled[:RELABELLED_SHOWN]:
        say(console, f"  {told}")
    if len(relabelled) > RELABELLED_SHOWN:
        say(console, f"  and {len(relabelled) - RELABELLED_SHOWN:,} more")
    symptoms = evaluation.symptoms
    console.print(
        f"\nthe likeliest label is right in {interval_text(evaluation.by_label.accuracy)}, readable answers "
        f"{percent_text(evaluation.written.parse_rate)}{_of_written(evaluation)}"
        + (f", key symptoms micro-F1 {interval_text(symptoms.named_micro_f1)}" if symptoms else "")
        + f", {evaluation.seconds:.0f} s for the test set\n"
        + (f"{why}\n" if (why := two_accuracies(evaluation)) else "")
        + f"{verdict(evaluation)}\n"
        + f"{answering(evaluation)}\n{page}\n\n{DISCLAIMER}",
        highlight=False,
    )


def _of_written(evaluation: Evaluation) -> str:
    """How many answers were written, where not all were."""
    number = evaluation.written.answers
    return "" if number in (None, evaluation.scores.n) else f" of {number} that were written"


def results(
    files: Annotated[list[Path], typer.Argument(help="Files that `symptoms evaluate --json` wrote.")],
    readme: Annotated[
        Path | None,
        typer.Option(help="Put the table between the results markers of this file instead of printing it."),
    ] = None,
) -> None:
    """Put results side by side as one table: models over their seeds, and baselines."""
    from symptoms.evaluate.evaluation_file import read_evaluation
    from symptoms.report.results_table import replace_table, results_table

    table = results_table([read_evaluation(file) for file in files])
    if readme is None:
        typer.echo(table)
    else:
        replace_table(readme, table)
