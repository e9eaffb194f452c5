"""`symptoms train`: a new run, a run taken up again, or a run repeated."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from symptoms.cli.options import BaseModelOption, ServiceOption, with_settings
from symptoms.cli.outcome import going_on_with
from symptoms.conformance import Row, deviations_at_first_meeting
from symptoms.data.checking.repeated_texts import repeated_texts
from symptoms.data.files.records import columns_called
from symptoms.errors import InputError
from symptoms.runs.directory import RunDirectory
from symptoms.runs.summary import price_of_run
from symptoms.service import HOSTED, LOCAL, Service, connect
from symptoms.settings import TrainingSettings
from symptoms.train import conclude, prepare, read_settings_file
from symptoms.train.estimate import count_work, describe, measure_seconds, price_of_measuring
from symptoms.train.leaving import leaving_in_words
from symptoms.train.open_run import opened_run, train_opened
from symptoms.train.request.settings_file import left_beside
from symptoms.train.request.training_request import (
    TrainingRequest,
    new_request,
    request_to_repeat,
    request_to_resume,
)
from symptoms.train.training_loop import new_adapter
from symptoms.train.watching.interruption import Interruption
from symptoms.train.watching.live_view import LiveView, Paid
from symptoms.train.watching.metrics_writers import check_writers
from symptoms.words import counted, say


@with_settings
def train(
    config: Annotated[
        Path | None, typer.Argument(help="A TOML file with settings; options win over it.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the run directory in runs/ (default: the time).")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with this run, which was interrupted or killed.")
    ] = None,
    repeat: Annotated[
        str | None, typer.Option(help="Take the settings of this run; other options win over them.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Tell tokens, steps, cost and time, and make no run; spends nothing on hosted Tinker.",
        ),
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="With --dry-run, tell the time on hosted Tinker, too; trains a few steps for it.",
        ),
    ] = False,
    server_check: Annotated[
        bool,
        typer.Option(
            "--server-check/--no-server-check",
            help="On a server by its address, measure first what a training rests on; once for each server.",
        ),
    ] = True,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
    *,
    settings: dict[str, Any],
) -> None:
    """Fine-tune on data of your own; every run can be resumed and repeated."""
    told = settings if base_model is None else {**settings, "base_model": base_model}
    if measure and not dry_run:
        raise InputError("--measure is a part of --dry-run; give both, or leave it out.")
    if resume is not None:
        if config or run or repeat or dry_run or told:
            raise InputError("--resume goes on with the settings of its run; give it alone, or use --repeat.")
        request = request_to_resume(resume, service)
    elif repeat is not None:
        if config:
            raise InputError("--repeat takes the settings of a run; give a file or --repeat, not both.")
        request = request_to_repeat(repeat, told, service)
    else:
        of_the_file = read_settings_file(config) if config else {}
        request = new_request({**left_beside(told, of_the_file), **told}, service)
    console = Console()
    if run is not None and not dry_run:
        RunDirectory.check_name(run)
    # Wrong settings are told now, not after the seconds that connecting takes.
    as_told = request.resolved(request.base_model).settings
    check_writers(as_told)
    data = request.examples(as_told)
    for note in (*data.notes, *(request.dev.notes if request.dev else ())):
        console.print(note, markup=False, highlight=False)
    repetition = repeated_texts(data, columns_called(as_told.text_column, as_told.label_column))
    if repetition is not None:
        say(console, f"warning: {repetition}", "yellow")
    console.print("Connecting to the Tinker service ...")
    preferred = request.preferred_base_model
    of_run = resume or (repeat if "base_model" not in told else None)
    with connect(request.service, request.base_model, preferred, of_run) as connected:
        resolved = request.resolved(connected.base_model, connected.find_shape)
        if resolved.recommended:
            say(console, resolved.recommended)
        if dry_run:
            _tell_what_it_takes(request, resolved.settings, connected, measure, console)
        else:
            deviations = _known_deviations(resolved.settings, connected, console) if server_check else ()
            _train(request, resolved.settings, run, connected, console, deviations)


def _known_deviations(settings: TrainingSettings, service: Service, console: Console) -> tuple[Row, ...]:
    """What this server does otherwise than documented, which is told, too."""

    def meet() -> None:
        say(
            console,
            f"Measuring what {service.url} does with weights, layers and alpha, as it was not met before "
            "(--no-server-check leaves it out) ...",
        )

    flags = ("train_attn", "train_mlp", "train_unembed")
    left_out = [flag for flag in flags if not getattr(settings, flag)]
    deviations = deviations_at_first_meeting(service, left_out, meet)
    for row in deviations:
        sentence = f"not as documented: {row.name}: {row.came}; {row.consequence}"
        say(console, sentence, "yellow")
    return deviations


def _tell_what_it_takes(
    request: TrainingRequest, settings: TrainingSettings, service: Service, measure: bool, console: Console
) -> None:
    # Steps cost money on hosted Tinker, which is spent only when that was asked for.
    training = new_adapter(settings, service) if measure or service.kind != HOSTED else None
    data, tokenizer = request.examples(settings), service.tokenizer(training)
    job = prepare(settings, data, request.dev, tokenizer, service.context_length)
    work = count_work(job, len(request.data.labels))
    for sentence in describe(work, service):
        say(console, sentence)
    if service.kind != LOCAL:
        for sentence in leaving_in_words(service.url):
            say(console, sentence)
    if training is None:
        measuring = price_of_measuring(job, service)
        say(console, f"time: not measured; --measure {measuring}")
        return
    console.print("measuring a few steps on an adapter that is thrown away ...")
    seconds = measure_seconds(job, training, work)
    without = ", without classifying dev texts" if settings.dev_accuracy else ""
    console.print(f"time: about {seconds / 60:.1f} minutes{without}", highlight=False)


def _paid(run: RunDirectory) -> Paid | None:
    """What its tokens cost, for a run on hosted Tinker at a price that is known."""
    manifest = run.manifest()
    price = price_of_run(manifest) if manifest["service"] == HOSTED else None
    if price is None:
        return None
    return Paid(price, manifest.get("num_dev_tokens") or 0, len(run.evaluations()))


def _train(
    request: TrainingRequest,
    settings: TrainingSettings,
    run_name: str | None,
    service: Service,
    console: Console,
    deviations: Sequence[Row],
) -> None:
    from symptoms.evaluate.during_training import dev_accuracy, written_cases

    with ExitStack() as held:
        # What was not begun yet is begun by the same command.
        if request.run is not None:
            held.enter_context(going_on_with(f"symptoms train --resume {request.run.name}"))
        opened = held.enter_context(opened_run(request, settings, service, run_name, deviations=deviations))
        run, name = opened.run, opened.run.name
        if request.run is None:
            held.enter_context(going_on_with(f"symptoms train --resume {name}"))
        begins = f"{service.kind} service, base model {service.base_model}"
        steps = counted(opened.job.num_steps, "step")
        goes_on = f"if run {name} is cut short, 'symptoms train --resume {name}' goes on"
        say(console, f"{begins}, {steps}; {goes_on}")
        view = LiveView(console, opened.job.num_steps, run.metrics(), _paid(run))
        if service.watch is not None:
            service.watch.say = view.say
        evaluator = dev_accuracy(opened)
        with Interruption(service, console) as interruption, view:
            loop, checkpoint = train_opened(opened, view, interruption, evaluator)
        if checkpoint is None:
            stopped = f"Stopped after step {loop.progress.step} of {opened.job.num_steps}"
            say(console, f"{stopped}; go on with: symptoms train --resume {name}")
            raise KeyboardInterrupt
        if loop.stopped_early:
            console.print(f"Stopped early: {settings.patience} evaluations without a lower dev loss.")
        cases = written_cases(opened.data, checkpoint, service)
        conclude(run, settings, service, checkpoint, cases, console)
        loop.delete_superseded()
