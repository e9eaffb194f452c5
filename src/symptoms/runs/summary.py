"""The summary of a finished run: its losses, what it wrote for the test cases, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from symptoms.runs.directory import RunDirectory
from symptoms.runs.final_loss import final_loss, final_loss_is, reduction, reduction_is
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.used_weights import evaluation_of_used_weights
from symptoms.service import HOSTED, Service
from symptoms.service.prices import Price, price_of
from symptoms.settings import TrainingSettings


@dataclass(frozen=True)
class TestCase:
    """A description, the assessment wanted, and what the trained model wrote."""

    __test__ = False  # not a pytest class

    input: str
    expected: str
    output: str

    @property
    def match(self) -> bool:
        """Whether the model wrote what was wanted, to the letter but for blanks at the ends."""
        return self.output.strip() == self.expected.strip()


def summarise(
    run: RunDirectory,
    settings: TrainingSettings,
    service: Service,
    checkpoint: str,
    tests: Sequence[TestCase],
) -> dict[str, Any]:
    """What summary.json is to hold, from the metrics so far."""
    metrics = run.metrics()
    initial, final = metrics[0].loss, final_loss(metrics) or 0.0
    cases = [{**asdict(test), "match": test.match} for test in tests]
    summary: dict[str, Any] = {
        "initial_loss": initial,
        "initial_loss_is": "the first step's, before any update",
        "final_loss": final,
        "final_loss_is": final_loss_is(metrics),
        "reduction": reduction(metrics),
        "reduction_is": reduction_is(metrics),
        "test_cases": cases,
        "checkpoint": checkpoint,
        "base_model": settings.base_model,
        "service": service.kind,
        "num_steps": len(metrics),
        "train_seconds": sum(line.seconds for line in metrics),
    }
    if service.kind == HOSTED:
        summary |= {"dollars": dollars_spent(run.manifest(), metrics, len(run.evaluations()))}
    if evaluations := run.evaluations():
        best = min(evaluations, key=lambda line: line[settings.dev_measure])
        summary |= {"best_dev_loss": best["dev_loss"], "best_step": best["step"], "best_by": settings.best_by}
        summary |= {"last_dev_loss": evaluations[-1]["dev_loss"]}
        used = evaluation_of_used_weights(evaluations, settings.best_by) or best
        summary |= {"used_dev_loss": used["dev_loss"], "used_step": used["step"]}
    return summary


def dollars_spent(
    manifest: Mapping[str, Any], metrics: Iterable[StepMetrics], num_evaluations: int
) -> float | None:
    """What a run on hosted Tinker has cost so far, at the price that it began with, or else today's.

    Steps that a resumed run did twice, checkpoints that are stored, and dev texts that were classified are
    not counted. None where the price is not known.
    """
    price = price_of_run(manifest)
    if price is None:
        return None
    num_dev_tokens = num_evaluations * (manifest.get("num_dev_tokens") or 0)
    return price.dollars(sum(line.num_tokens for line in metrics) + num_dev_tokens)


def price_of_run(manifest: Mapping[str, Any]) -> Price | None:
    """The price in a run's manifest; today's for one of an earlier version, that has none."""
    told = manifest.get("price")
    return price_of(manifest["base_model"]) if told is None else Price.model_validate(told)
