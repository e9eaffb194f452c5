"""The training loop: steps submitted ahead, evaluations, and states from which a killed run goes on.

The service works in the order of submission, so the next steps are submitted before the oldest is awaited,
and a state is saved without waiting for it. Only an evaluation waits for all, as what comes after may depend
on it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from symptoms.errors import RunError
from symptoms.runs.directory import RunDirectory
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.used_weights import CHOSEN, LAST
from symptoms.service import Service
from symptoms.service.faults import is_gone
from symptoms.service.sdk import resolved
from symptoms.settings import TrainingSettings
from symptoms.tokens import mean_loss, to_datum
from symptoms.train.optimizer_step import StepFutures, adam_of, submit_step
from symptoms.train.step_plan import Step, plan_steps
from symptoms.train.tokenized_job import Job
from symptoms.train.watching.metrics_writers import MetricsWriter

if TYPE_CHECKING:
    import tinker

Evaluator = Callable[["tinker.SamplingClient"], Mapping[str, float]]
"""Further figures of the present weights, from whoever calls for training."""


class View(Protocol):
    """Shows training as it happens."""

    def step(self, metrics: StepMetrics) -> None:
        """Show one finished step."""
        ...

    def evaluated(self, step: int, figures: Mapping[str, float], best: bool) -> None:
        """Show an evaluation on the dev data."""
        ...


class StopWish(Protocol):
    """`wanted` becomes True when training is to end after the step in hand."""

    @property
    def wanted(self) -> bool:
        """Read after every step; once True it stays so."""
        ...


@dataclass(frozen=True)
class PendingStep:
    """A step that the service has and we have not heard of yet, and the state that is saved after it."""

    step: Step
    learning_rate: float
    futures: StepFutures
    state: Any | None


class TrainingLoop:
    """Trains a job in its run directory, from `progress` on; `run` does it."""

    def __init__(
        self,
        job: Job,
        run: RunDirectory,
        service: Service,
        training: tinker.TrainingClient,
        view: View,
        writers: Sequence[MetricsWriter] = (),
        evaluator: Evaluator | None = None,
    ) -> None:
        self.progress = run.progress()
        self.stopped_early = False
        self._job = job
        self._run = run
        self._service = service
        self._training = training
        self._view = view
        self._writers = writers
        self._evaluator = evaluator
        self._last_step = self.progress.step
        self._clock = time.perf_counter()
        self._dev_datums = [to_datum(example) for example in job.dev_examples]

    def run(self, stop: StopWish) -> str | None:
        """Train what is left and save the weights; returns the checkpoint to use.

        None where it was interrupted: the last step is then done, and a state of it is saved.
        """
        pending: deque[PendingStep] = deque()
        ahead = self._job.settings.in_flight
        self._clock = time.perf_counter()
        for step in plan_steps(self._job.settings, self._job.batches.kinds, after=self.progress.step):
            pending.append(self._submit(step))
            waits = self._job.evaluates(step)
            while pending and (waits or len(pending) >= ahead):
                self._finish(pending.popleft())
            if self.stopped_early or stop.wanted:
                break
        while pending:
            self._finish(pending.popleft())
        if stop.wanted and not self.stopped_early and self._last_step < self._job.num_steps:
            if self.progress.step < self._last_step:
                self._record(self._save_state(self._last_step).result().path)
            return None
        if self.progress.kept_step == self._last_step and self.progress.kept_checkpoint:
            return self.progress.kept_checkpoint
        final = self._training.save_weights_for_sampler("final").result().path
        self._run.append_checkpoint(final, self._last_step, "sampler")
        return self.progress.kept_checkpoint or final

    def _submit(self, step: Step) -> PendingStep:
        settings = self._job.settings
        rate = settings.learning_rate_at(step.number, self._job.num_steps)
        futures = submit_step(self._training, self._job.batches.of(step), adam_of(settings, rate))
        # The state of a step that is evaluated is saved after that, since it holds what was best so far.
        saves_now = self._job.saves_state(step) and not self._job.evaluates(step)
        return PendingStep(step, rate, futures, self._save_state(step.number) if saves_now else None)

    def _finish(self, pending: PendingStep) -> None:
        step, examples = pending.step, self._job.batches.trained_on(pending.step)
        outputs = [
            output for future in pending.futures.gradients for output in future.result().loss_fn_outputs
        ]
        pending.futures.update.result()
        now = time.perf_counter()
        metrics = StepMetrics.of(
            step.number,
            step.epoch,
            mean_loss(outputs, examples),
            pending.learning_rate,
            examples,
            now - self._clock,
        )
        self._clock = now
        self._last_step = step.number
        self._run.append_metrics(metrics)
        self._view.step(metrics)
        self._write(step.number, {"loss": metrics.loss, "learning_rate": metrics.learning_rate})
        if self._job.evaluates(step):
            self._evaluate(step)
            self._clock = time.perf_counter()
        if self._job.saves_state(step) and not self.stopped_early:
            self._record((pending.state or self._save_state(step.number)).result().path)

    def _evaluate(self, step: Step) -> None:
        """The losses on the dev data; keeps the weights where the one to go by is the lowest so far.

        Where it goes by the last, it keeps them always.
        """
        started = time.perf_counter()
        outputs = self._training.forward(self._dev_datums, "cross_entropy").result().loss_fn_outputs
        figures = {"dev_loss": mean_loss(outputs, self._job.dev_examples)}
        if self._job.dev_concerns:
            figures["dev_concern_loss"] = mean_loss(outputs, self._job.dev_concerns)
        if self._evaluator is not None:
            figures |= self._evaluator(resolved(self._training.save_weights_and_get_sampling_client()))
        self._run.append_evaluation(
            {
                "step": step.number,
                "epoch": step.epoch,
                **figures,
                "seconds": round(time.perf_counter() - started, 6),
            }
        )
        self._write(step.number, figures)
        before, measure = self.progress.best_loss, figures[self._job.settings.dev_measure]
        is_best = before is None or measure < before
        self._view.evaluated(step.number, figures, is_best)
        keeps_last = self._job.settings.best_by == LAST
        if is_best or keeps_last:
            kind = LAST if keeps_last else "best"
            path = self._training.save_weights_for_sampler(f"{kind}-step-{step.number}").result().path
            self._run.append_checkpoint(path, step.number, kind)
            self.progress = replace(
                self.progress,
                kept_step=step.number,
                best_loss=measure if is_best else before,
                kept_checkpoint=path,
                evaluations_since_best=0,
            )
        else:
            since = self.progress.evaluations_since_best + 1
            self.progress = replace(self.progress, evaluations_since_best=since)
            self.stopped_early = (
                self._job.settings.patience is not None and since >= self._job.settings.patience
            )

    def _save_state(self, step: int) -> Any:
        return self._training.save_state(f"step-{step}")

    def _record(self, state: str) -> None:
        """Note that the run can be resumed after the last step, and delete what that makes needless."""
        self._run.append_checkpoint(state, self._last_step, "training")
        self.progress = replace(self.progress, step=self._last_step, state=state)
        self._run.write_progress(self.progress)
        self.delete_superseded()

    def delete_superseded(self) -> None:
        """Delete older states, and weights that are no longer to be used, from the service.

        Only after progress.json was written: until then a resumed run may need them.
        """
        saved = self._run.checkpoints()
        states = [line["path"] for line in saved if line["kind"] == "training"]
        paths = states[: -self._job.settings.keep_checkpoints]
        paths += [
            line["path"]
            for line in saved
            if line["kind"] in CHOSEN and line["path"] != self.progress.kept_checkpoint
        ]
        if paths:
            self._service.delete_checkpoints(paths)
            self._run.forget_checkpoints(paths)

    def _write(self, step: int, figures: Mapping[str, float]) -> None:
        for writer in self._writers:
            writer.write(step, figures)


def new_adapter(settings: TrainingSettings, service: Service) -> tinker.TrainingClient:
    """A fresh adapter as the configuration wants it."""
    return resolved(
        service.client.create_lora_training_client(
            base_model=service.base_model,
            rank=settings.lora_rank,
            seed=settings.seed,
            train_attn=settings.train_attn,
            train_mlp=settings.train_mlp,
            train_unembed=settings.train_unembed,
        )
    )


def resumed_adapter(settings: TrainingSettings, service: Service, run: RunDirectory) -> tinker.TrainingClient:
    """The adapter and optimizer of the state that a run goes on from, or a fresh one where it has none.

    What the run wrote after that state is forgotten, and the checkpoints it saved since are deleted.
    """
    progress = run.progress()
    service.delete_checkpoints(run.rewind(progress.step))
    if progress.state is None:
        return new_adapter(settings, service)
    try:
        return resolved(service.client.create_training_client_from_state_with_optimizer(progress.state))
    except Exception as error:
        if not is_gone(error):
            raise
        raise RunError(
            f"{service.url} no longer has {progress.state}, from which the run {run.name} goes on after step "
            f"{progress.step}; train it from the beginning with: symptoms train --repeat {run.name} --run NEW"
        ) from error
