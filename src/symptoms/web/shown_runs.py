"""Training runs as the API shows them: at a glance, and step by step."""

from pathlib import Path
from typing import Any, Literal

from symptoms.errors import RunError
from symptoms.runs import RunDirectory, all_runs
from symptoms.web.bodies import DevPoint, RunAnswer, RunOutline, RunsAnswer, StepPoint
from symptoms.web.problems import ApiError

MOST_RUNS = 50


def shown_runs(answering: Path | None) -> RunsAnswer:
    """The newest runs in runs/; `answering` is the directory of the one that answers here."""
    newest = list(reversed(all_runs()))[:MOST_RUNS]
    return RunsAnswer(runs=[_outline(run, answering) for run in newest])


def shown_run(name: str, after: int, answering: Path | None) -> RunAnswer:
    """A run with its steps after step `after`; raises ApiError where there is none of that name."""
    # Looked for among those there are, so that no name leads out of runs/.
    run = next((run for run in all_runs() if run.name == name), None)
    if run is None:
        raise ApiError(404, "There is no run of this name; GET /api/runs lists those there are.")
    try:
        steps = [line for line in run.metrics() if line.step > after]
        evaluations = [line for line in run.evaluations() if line["step"] > after]
    except (RunError, ValueError, KeyError, TypeError, OSError):
        steps, evaluations = [], []
    return RunAnswer(
        run=_outline(run, answering),
        metrics=[StepPoint.model_validate(line, from_attributes=True) for line in steps],
        dev=[DevPoint(step=line["step"], loss=line["dev_loss"]) for line in evaluations],
    )


def _outline(run: RunDirectory, answering: Path | None) -> RunOutline:
    try:
        return _read_outline(run, answering)
    except (RunError, ValueError, KeyError, TypeError, OSError):
        # A run that was removed or damaged by hand must not hide the others.
        return RunOutline(
            name=run.name,
            state="unreadable",
            started=None,
            base_model=None,
            data=None,
            steps=0,
            num_steps=None,
            learning_rate=None,
            batch_size=None,
            loss=None,
            final_loss=None,
            dev_loss=None,
            train_seconds=0.0,
            answers=False,
        )


def _read_outline(run: RunDirectory, answering: Path | None) -> RunOutline:
    manifest, settings, metrics = run.manifest(), run.settings(), run.metrics()
    return RunOutline(
        name=run.name,
        state=_state(run),
        started=manifest.get("started"),
        base_model=manifest.get("base_model"),
        data=_file_name(manifest.get("data")),
        steps=len(metrics),
        num_steps=len(metrics) if run.is_finished else manifest.get("num_steps"),
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        loss=metrics[-1].loss if metrics else None,
        final_loss=run.final_loss(),
        dev_loss=run.used_dev_loss(),
        train_seconds=sum(line.seconds for line in metrics),
        answers=answering is not None and run.path.resolve() == answering.resolve(),
    )


def _file_name(path: Any) -> str | None:
    # Where a person keeps their files is nobody else's business.
    return Path(path).name if isinstance(path, str) else None


def _state(run: RunDirectory) -> Literal["training", "finished", "stopped"]:
    if run.is_finished:
        return "finished"
    return "training" if run.is_held else "stopped"
