"""Runs on the same examples as one, by their answers or by their weights.

An ensemble answers by the mean of their log-probabilities, an average has the mean of their weights. Either
is a run directory without a training of its own, so that it is measured, calibrated and asked as any run is.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from symptoms.errors import RunError
from symptoms.runs.catalogue import all_runs
from symptoms.runs.directory import AVERAGE_FILE, ENSEMBLE_FILE, Member, RunDirectory
from symptoms.runs.files import write_json
from symptoms.runs.manifest import time_of_start

SAME = {
    "base_model": "base model",
    "base_model_sha256": "weights of the base model",
    "service": "service",
    "service_url": "service",
    "data_sha256": "training data",
    "num_examples": "number of examples",
    "labels": "labels",
    "dev_sha256": "dev data",
}
"""What of their manifests has to be the same, in words."""


def join_runs(name: str, runs: Sequence[RunDirectory]) -> RunDirectory:
    """A new ensemble of finished runs in runs/; raises what `check_alike` does."""
    check_alike(runs)
    return _join(name, runs, ENSEMBLE_FILE)


def average_runs(name: str, runs: Sequence[RunDirectory], checkpoint: str) -> RunDirectory:
    """A new run in runs/ that answers by `checkpoint`, which has the mean of these runs' weights."""
    joined = _join(name, runs, AVERAGE_FILE)
    joined.append_checkpoint(checkpoint, 0, "last")
    return joined


def check_alike(runs: Sequence[RunDirectory]) -> None:
    """Raises RunError where runs are not two or more finished ones from one base and the same examples."""
    for run in runs:
        if run.members() or not (run.can_answer or run.is_shipped):
            kind = "is an ensemble" if run.members() else "is not finished"
            raise RunError(f"The run {run.name} {kind}; name finished runs.")
    # By their weights, as a run may have been copied.
    if len({run.final_checkpoint() for run in runs}) < max(2, len(runs)):
        raise RunError("It takes two runs or more, each named once; name others.")
    manifest, settings = runs[0].manifest(), runs[0].settings()
    for other in runs[1:]:
        differing = _difference(manifest, other.manifest())
        drawn = (settings.examples_per_condition, other.settings().examples_per_condition)
        if differing is None and any(drawn) and settings.seed != other.settings().seed:
            differing = "training data (examples are drawn by the seed)"
        if differing is None and runs[0].reads_sentence_case != other.reads_sentence_case:
            differing = "sentence_case"
        if differing is not None:
            raise RunError(
                f"{runs[0].name} and {other.name} are not of the same {differing}, so they cannot become "
                "one; name runs that differ in their seed, or in how they were trained."
            )


def _join(name: str, runs: Sequence[RunDirectory], file: str) -> RunDirectory:
    """A run directory with the first one's manifest and settings, of which those that differ are noted."""
    members = [Member(run.name, run.final_checkpoint()) for run in runs]
    every = [run.settings().model_dump() for run in runs]
    told_apart = [key for key, value in every[0].items() if any(other[key] != value for other in every)]
    joined = RunDirectory.create(name)
    write_json(joined.path / "config.json", every[0])
    content = {"members": [asdict(member) for member in members], "differing": told_apart}
    write_json(joined.path / file, content)
    write_json(joined.path / "manifest.json", {**runs[0].manifest(), "started": time_of_start()})
    return joined


def ensembles_with(checkpoints: Collection[str]) -> list[RunDirectory]:
    """The ensembles in runs/ in which one of these checkpoints answers."""
    return [one for one in all_runs() if any(member.checkpoint in checkpoints for member in one.members())]


def refuse_untrained(run: RunDirectory) -> None:
    """Raises RunError for an ensemble or an average, whose training cannot be had again or gone on with."""
    for kind, members in (("an ensemble", run.members()), ("an average", run.averaged())):
        if members:
            raise RunError(
                f"{run.name} is {kind}, which is not trained itself; name one of its members: "
                f"{', '.join(one.run for one in members)}."
            )


def refuse_ensemble(run: RunDirectory, reason: str) -> None:
    """Raises RunError for an ensemble, with `reason`, which ends in what to do with its members."""
    if members := run.members():
        raise RunError(f"{run.name} is an ensemble, {reason}: {', '.join(one.run for one in members)}.")


def _difference(first: dict[str, Any], other: dict[str, Any]) -> str | None:
    return next((said for key, said in SAME.items() if first.get(key) != other.get(key)), None)
