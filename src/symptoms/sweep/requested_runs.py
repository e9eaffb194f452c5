"""What each run of a sweep is to train on, all of it checked before anything is spent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from symptoms.errors import InputError, ServiceError
from symptoms.service import HOSTED, LOCAL, Service, choose_service, local_base_model, offered
from symptoms.settings import TrainingSettings
from symptoms.sweep.plan import PlannedRun
from symptoms.text_files import read_text
from symptoms.train.estimate import Work, count_work, dollars_of
from symptoms.train.request.training_request import TrainingRequest, request_of
from symptoms.train.step_plan import count_steps
from symptoms.train.tokenized_job import prepare
from symptoms.train.watching.metrics_writers import check_writers


@dataclass(frozen=True)
class RequestedRun:
    """A planned run with its data, and how much it will do."""

    planned: PlannedRun
    request: TrainingRequest
    num_steps: int
    examples_per_step: float

    @property
    def name(self) -> str:
        """Unique within its sweep, in whose folder the run has one of this name."""
        return self.planned.name


def request_runs(runs: Sequence[PlannedRun], service: str | None, evaluate: str | None) -> list[RequestedRun]:
    """The runs with their data, which those that share a file share, too.

    Raises DataError for files with faults, and InputError, which names the run, for settings that cannot be.
    """
    if evaluate is not None:
        read_text(Path(evaluate))
    read: dict[tuple[object, ...], TrainingRequest] = {}
    requested: list[RequestedRun] = []
    for run in runs:
        try:
            told = TrainingSettings.of(run.settings)
            files = (told.data, told.dev, told.text_column, told.label_column)
            if files not in read:
                read[files] = request_of(told, service)
            request = replace(read[files], told=told)
            guessed = run.base_model or (local_base_model() if _is_local(service) else None)
            settings = request.resolved(guessed).settings
            num_examples = len(request.examples(settings).examples)
            num_steps = count_steps(settings, num_examples)
        except InputError as error:
            raise InputError(f"The run {run.name} cannot be: {error}") from error
        check_writers(settings)
        per_step = min(num_examples, settings.batch_size * settings.gradient_accumulation)
        requested.append(RequestedRun(run, request, num_steps, per_step))
    return requested


def by_base_model(runs: Sequence[RequestedRun]) -> dict[str | None, list[RequestedRun]]:
    """Runs of one base model go together, so that its weights are in memory once and no others beside."""
    groups: dict[str | None, list[RequestedRun]] = {}
    for run in runs:
        groups.setdefault(run.planned.base_model, []).append(run)
    return groups


def check_offered(runs: Sequence[RequestedRun], service: Service) -> None:
    """Raises ServiceError, before the first run, for a base model that a service of others lacks."""
    # A local server loads what it is asked for, one base model after the other.
    if service.kind == LOCAL:
        return
    for name in by_base_model(runs):
        if name is not None:
            offered.check_offered(service.url, name, service.offered, option="--set base_model=NAME,NAME")


def check_named_by_user(preset: str, base_models: Sequence[str], service: str | None) -> None:
    """Raises ServiceError where a preset names base models: the local service has none but its own."""
    if base_models and _is_local(service):
        raise ServiceError(
            f"The local service offers {local_base_model()} and weights on this machine, and the preset "
            f"{preset} wants {' and '.join(base_models)}; name yours with --set base_model=PATH,PATH."
        )


def count_runs(
    runs: Sequence[RequestedRun], service: Service
) -> list[tuple[RequestedRun, Work, float | None]]:
    """Each run's work, and its price on hosted Tinker where that is known; nothing is trained."""
    tokenizer = service.tokenizer()
    counted: list[tuple[RequestedRun, Work, float | None]] = []
    for run in runs:
        settings = run.request.resolved(service.base_model, service.find_shape).settings
        data, dev = run.request.examples(settings), run.request.dev
        job = prepare(settings, data, dev, tokenizer, service.context_length)
        work = count_work(job, len(run.request.data.labels))
        counted.append((run, work, dollars_of(work, service) if service.kind == HOSTED else 0.0))
    return counted


def _is_local(service: str | None) -> bool:
    return choose_service(service) == LOCAL
