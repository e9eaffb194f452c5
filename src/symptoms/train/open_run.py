"""One run from its request to its last checkpoint, held for one process all the while."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symptoms.conformance.findings import Row
from symptoms.errors import RunError
from symptoms.runs.directory import RUNS, RunDirectory
from symptoms.service import Service
from symptoms.settings import TrainingSettings
from symptoms.tokens import Tokenizer
from symptoms.train.request.training_data import TrainingData
from symptoms.train.request.training_request import TrainingRequest
from symptoms.train.step_datums import loss_in_words
from symptoms.train.tokenized_job import Job, prepare
from symptoms.train.training_loop import (
    Evaluator,
    StopWish,
    TrainingLoop,
    View,
    new_adapter,
    resumed_adapter,
)
from symptoms.train.watching.metrics_writers import open_writers

if TYPE_CHECKING:
    import tinker


@dataclass(frozen=True)
class OpenRun:
    """A run that is ready to be trained, or to be trained further."""

    run: RunDirectory
    settings: TrainingSettings
    data: TrainingData
    job: Job
    training: tinker.TrainingClient
    tokenizer: Tokenizer
    service: Service


@contextmanager
def opened_run(
    request: TrainingRequest,
    settings: TrainingSettings,
    service: Service,
    name: str | None,
    root: Path = RUNS,
    deviations: Sequence[Row] = (),
) -> Generator[OpenRun, None, None]:
    """A new run directory of this name, or the request's own, which no other process may train meanwhile.

    `deviations` are what the server is known to do otherwise than documented, for the manifest.
    Raises DataError for examples that do not fit, and RunError for a run that is taken, finished or being
    trained.
    """
    data = request.examples(settings)
    with ExitStack() as held:
        if request.run is None:
            training = new_adapter(settings, service)
        else:
            held.enter_context(request.run.held())
            # It may have come to its end since the request was made.
            if request.run.is_finished:
                raise RunError(f"The run {request.run.name} is finished by now; there is nothing left to do.")
            training = resumed_adapter(settings, service, request.run)
        weights = service.base_model_sha256(training)
        if request.base_model_sha256 and weights and weights != request.base_model_sha256:
            raise RunError(
                f"The weights of {service.base_model} are not those that the run began with, so it cannot go "
                "on or be had again; train a new one with the same settings."
            )
        tokenizer = service.tokenizer(training)
        job = prepare(settings, data, request.dev, tokenizer, service.context_length)
        run = request.run
        if run is None:
            run = RunDirectory.create(name, root)
            held.enter_context(run.held())
            _write_start(run, request, data, job, service, weights, deviations)
        yield OpenRun(run, settings, data, job, training, tokenizer, service)


def train_opened(
    opened: OpenRun, view: View, stop: StopWish, evaluator: Evaluator | None = None
) -> tuple[TrainingLoop, str | None]:
    """Train what is left; returns the loop with what it knows, and the checkpoint to use.

    No checkpoint where it was stopped: the last step is then saved, and the run can be resumed.
    """
    run = opened.run
    writers = open_writers(opened.settings, run, run.progress().step)
    loop = TrainingLoop(opened.job, run, opened.service, opened.training, view, writers, evaluator)
    try:
        return loop, loop.run(stop)
    finally:
        for writer in writers:
            writer.close()


def _write_start(
    run: RunDirectory,
    request: TrainingRequest,
    data: TrainingData,
    job: Job,
    service: Service,
    weights: str | None,
    deviations: Sequence[Row],
) -> None:
    dev = request.dev
    run.write_start(
        data,
        job.settings,
        service,
        loss_in_words(job.settings),
        base_model_sha256=weights,
        num_steps=job.num_steps,
        dev=None if dev is None else str(dev.path),
        dev_sha256=None if dev is None else dev.digest,
        num_dev_tokens=sum(example.num_tokens for example in job.dev_examples),
        subset=data.subset,
        names_concern_alone=data.names_concern_alone,
        server_deviations=[
            {"check": row.name, "came": row.came, "consequence": row.consequence} for row in deviations
        ],
    )
