"""`symptoms train`: a new run, a run taken up again, or a run repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from symptoms.cli.options import BaseModelOption, ServiceOption, with_settings
from symptoms.config import TrainingConfig
from symptoms.data import load_dataset
from symptoms.errors import InputError, RunError
from symptoms.service import Service, connect
from symptoms.tokens import Tokenizer
from symptoms.train import (
    Job,
    RunDirectory,
    TestCase,
    TrainingData,
    conclude,
    find_run,
    load_training_data,
    prepare,
    read_config_file,
    resolve_config,
)
from symptoms.train.batches import loss_in_words
from symptoms.train.estimate import count_work, describe, measure_seconds
from symptoms.train.interruption import Interruption
from symptoms.train.live_view import LiveView
from symptoms.train.loop import Evaluator, TrainingLoop, new_adapter, resumed_adapter
from symptoms.train.writers import check_writers, open_writers

if TYPE_CHECKING:
    import tinker


@dataclass(frozen=True)
class Order:
    """What is to be trained: settings as they were told, data, and the run to go on with if there is one."""

    settings: Mapping[str, Any]
    data: TrainingData
    dev: TrainingData | None
    service: str | None
    run: RunDirectory | None = None

    @property
    def base_model(self) -> str | None:
        return self.settings.get("base_model")

    def config(self, base_model: str | None) -> TrainingConfig:
        return resolve_config(self.settings, self.data.config, base_model)


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
        bool, typer.Option("--dry-run", help="Tell tokens, steps, time and cost, and train nothing.")
    ] = False,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
    *,
    settings: dict[str, Any],
) -> None:
    """Fine-tune on data of your own; every run can be resumed and repeated."""
    told = settings if base_model is None else {**settings, "base_model": base_model}
    if told.get("steps") and told.get("epochs"):
        raise InputError("--steps and --epochs say the same thing twice; give one of them.")
    if resume is not None:
        if config or run or repeat or dry_run or told:
            raise InputError("--resume goes on with the settings of its run; give it alone, or use --repeat.")
        order = _order_to_resume(resume, service)
    elif repeat is not None:
        if config:
            raise InputError("--repeat takes the settings of a run; give a file or --repeat, not both.")
        order = _order_to_repeat(repeat, told, service)
    else:
        of_the_file = read_config_file(config) if config else {}
        if told.get("epochs"):
            of_the_file.pop("steps", None)
        order = _new_order({**of_the_file, **told}, service)
    console = Console()
    # Wrong settings are told now, not after the seconds that connecting takes.
    check_writers(order.config(order.base_model))
    for note in (order.data.note, order.dev and order.dev.note):
        if note:
            console.print(note, markup=False, highlight=False)
    console.print("Connecting to the Tinker service ...")
    preferred = order.data.config.get("base_model")
    with connect(order.service, order.base_model, preferred=preferred) as connected:
        if dry_run:
            _tell_what_it_takes(order, connected, console)
        else:
            _train(order, run, connected, console)


def _new_order(settings: Mapping[str, Any], service: str | None) -> Order:
    if not isinstance(settings.get("data"), str):
        raise InputError("There is no data to train on; name a file with --data.")
    dev = settings.get("dev")
    return Order(
        settings,
        load_training_data(Path(settings["data"]), "train"),
        load_training_data(Path(dev), "dev") if dev else None,
        service,
    )


def _order_to_repeat(name: str, told: Mapping[str, Any], service: str | None) -> Order:
    run = find_run(name)
    manifest, settings = run.manifest(), {**_config_of(run), **told}
    if told.get("epochs"):
        settings["steps"] = None
    order = _new_order(settings, service or manifest["service_url"] or manifest["service"])
    for key, data in (("data", order.data), ("dev", order.dev)):
        if key not in told and data is not None and manifest[f"{key}_sha256"] != data.digest:
            raise RunError(
                f"{data.path} has changed since the run {name}, which cannot be had again from it; "
                f"restore the file, or name another with --{key}."
            )
    return order


def _order_to_resume(name: str, service: str | None) -> Order:
    run = find_run(name)
    if run.is_finished:
        raise RunError(f"The run {name} is finished; train another with --repeat {name} --run NEW.")
    order = _order_to_repeat(name, {}, service)
    return Order(order.settings, order.data, order.dev, order.service, run)


def _config_of(run: RunDirectory) -> dict[str, Any]:
    try:
        return TrainingConfig.model_validate(run.config()).model_dump()
    except (ValidationError, OSError) as error:
        raise RunError(
            f"The run {run.path.name} was not made by 'symptoms train', so it cannot be resumed or repeated."
        ) from error


def _tell_what_it_takes(order: Order, service: Service, console: Console) -> None:
    config = order.config(service.base_model)
    training = new_adapter(config, service)
    job = prepare(config, order.data, order.dev, service.tokenizer(training), service.context_length)
    work = count_work(job)
    for sentence in describe(work, service):
        console.print(sentence, highlight=False, markup=False)
    console.print("measuring a few steps on an adapter that is thrown away ...")
    seconds = measure_seconds(job, training, work)
    console.print(f"time: about {seconds / 60:.1f} minutes", highlight=False)


def _train(order: Order, run_name: str | None, service: Service, console: Console) -> None:
    config = order.config(service.base_model)
    if order.run is None:
        training = new_adapter(config, service)
    else:
        training = resumed_adapter(config, service, order.run)
    tokenizer = service.tokenizer(training)
    job = prepare(config, order.data, order.dev, tokenizer, service.context_length)
    run = order.run or _start(order, job, run_name, service)
    name = run.path.name
    console.print(
        f"{service.kind} service, base model {service.base_model}, {job.num_steps:,} steps; "
        f"if run {name} is cut short, 'symptoms train --resume {name}' goes on",
        highlight=False,
        soft_wrap=True,
    )
    done = run.progress().step
    writers = open_writers(config, run, done)
    view = LiveView(console, job.num_steps, run.metrics())
    loop = TrainingLoop(job, run, service, training, view, writers, _dev_accuracy(order, service, tokenizer))
    try:
        with Interruption(service, console) as interruption, view:
            checkpoint = loop.run(interruption)
    finally:
        for writer in writers:
            writer.close()
    if checkpoint is None:
        console.print(
            f"Stopped after step {loop.progress.step} of {job.num_steps}; "
            f"go on with: symptoms train --resume {name}",
            highlight=False,
            soft_wrap=True,
        )
        raise KeyboardInterrupt
    if loop.stopped_early:
        console.print(f"Stopped early: {config.patience} evaluations without a lower dev loss.")
    tests = _test_cases(order.data, checkpoint, service)
    conclude(run, config, service, checkpoint, tests, console)
    loop.delete_superseded()


def _start(order: Order, job: Job, name: str | None, service: Service) -> RunDirectory:
    run = RunDirectory.create(name)
    dev = order.dev
    run.write_start(
        order.data,
        job.config,
        service,
        loss_in_words(job.config),
        num_steps=job.num_steps,
        dev=None if dev is None else str(dev.path),
        dev_sha256=None if dev is None else dev.digest,
    )
    return run


def _test_cases(data: TrainingData, checkpoint: str, service: Service) -> list[TestCase]:
    """What the trained model writes for the test cases of an experiment's file."""
    if not data.test_cases:
        return []
    from symptoms.classifier import TrainedModel

    model = TrainedModel.load(service, checkpoint)
    return [TestCase(case.input, case.output, model.write(case.input)) for case in data.test_cases]


def _dev_accuracy(order: Order, service: Service, tokenizer: Tokenizer) -> Evaluator | None:
    """Classifies the dev data with the weights so far; None where that was not asked for."""
    config = order.config(service.base_model)
    if not config.dev_accuracy or config.dev is None:
        return None
    from symptoms.classifier import TrainedModel
    from symptoms.evaluate.evaluating import asked_of, scored_labels
    from symptoms.evaluate.metrics import accuracy, macro_f1
    from symptoms.evaluate.scores import leading_labels

    dev = load_dataset(Path(config.dev), load_dataset(Path(config.data)).labels)
    asked = asked_of(dev)

    def figures(sampler: tinker.SamplingClient) -> dict[str, float]:
        model = TrainedModel(sampler, tokenizer, service.context_length)
        logprobs = scored_labels(model, dev.examples, dev.labels, lambda _what, _count: lambda: None, "dev")
        answers = leading_labels(logprobs, asked.label_ids)
        return {
            "dev_accuracy": accuracy(asked.wanted, answers),
            "dev_macro_f1": macro_f1(asked.wanted, answers),
        }

    return figures
