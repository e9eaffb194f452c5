"""The data of an evaluation: test, dev and training set, as told or as the run names them, held apart."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symptoms.data import Dataset, check_leakage, load_dataset
from symptoms.data.checking.duplicates import ALL, Leak, ids_as_now
from symptoms.data.files.records import AS_OURS, Columns, columns_called
from symptoms.data.subset import of_split, part_of
from symptoms.errors import InputError
from symptoms.evaluate.baselines import Baselines, LeftOut, fit_baselines
from symptoms.evaluate.evaluation_file import AllowedDuplicates
from symptoms.evaluate.external import ExternalSet, read_external, within_labels
from symptoms.evaluate.request.evaluation_request import EvaluationRequest
from symptoms.runs import RunDirectory

SECOND = "-2"
"""What the name of a second test set ends in that is taken without being told."""
NO_TRAINING_SET = Baselines(
    (), (LeftOut("baselines of words", "the training set is not here; give --train"),)
)


@dataclass(frozen=True)
class EvaluationSets:
    """The data, and what can be made of it before any model is asked.

    `allowed` has for `test`, and then each of `further`, what of it was trained on.
    """

    test: Dataset
    further: tuple[Dataset, ...]
    dev: Dataset | None
    train: Dataset | None
    classic: Baselines
    external: tuple[ExternalSet, ...]
    allowed: tuple[AllowedDuplicates, ...]


def read_sets(request: EvaluationRequest, run: RunDirectory | None) -> EvaluationSets:
    """Test, dev and training set; the latter two as told, or as the run's manifest names them.

    What can be wrong with them, or with a baseline, is found here, before the model is asked.
    Of a file with several splits each takes its own.
    """
    manifest = run.manifest() if run else {}
    train_path = request.train or _existing(manifest.get("data"))
    dev_path = request.dev or _existing(manifest.get("dev"))
    trained_with = run.settings() if run else None
    of_the_run = AS_OURS
    if trained_with is not None:
        of_the_run = columns_called(trained_with.text_column, trained_with.label_column)
    told = Columns(request.text_column or of_the_run.text, request.label_column or of_the_run.label)
    of_train, of_dev = (told if path else of_the_run for path in (request.train, request.dev))
    train = None if train_path is None else of_split(load_dataset(train_path, columns=of_train), "train")
    if train is not None and request.train is None:
        _check_unchanged(train, manifest)
    labels = train.labels if train else None
    test = of_split(load_dataset(request.data, labels, told), "test")
    further = tuple(
        of_split(load_dataset(path, test.labels, told), "test")
        for path in further_paths(request.data, request.also)
    )
    dev = None if dev_path is None else of_split(load_dataset(dev_path, test.labels, of_dev), "dev")
    # What was allowed when it was trained is not asked again.
    in_training = trained_with.allow_duplicate if trained_with and request.dev is None else ()
    own, own_path = None, _existing(manifest.get("data"))
    if request.train is not None and own_path is not None and own_path != request.train:
        own = of_split(load_dataset(own_path, columns=of_the_run), "train")
    tests = (test, *further)
    passed = check_held_out(train, dev, tests, request.allowed_duplicates, in_training, own)
    if train is not None and run is not None and request.train is None:
        train = _as_trained_on(train, run)
    learned = _as_trained_on(own, run) if own is not None and run is not None else train
    allowed = tuple(_trained_on(one, leaks, learned) for one, leaks in zip(tests, passed, strict=True))
    classic = Baselines((), ())
    if request.baselines:
        classic = fit_baselines(train, dev, request.seed, request.risk) if train else NO_TRAINING_SET
    ids = {label.id for label in test.labels}
    external = tuple(within_labels(read_external(kind, path), ids) for kind, path in request.external)
    return EvaluationSets(test, further, dev, train, classic, external, allowed)


def _check_unchanged(train: Dataset, manifest: dict[str, Any]) -> None:
    """Raise InputError where the file at the run's path is not the one that it was trained on."""
    digest = manifest.get("data_sha256")
    if digest in (None, train.digest):
        return
    siblings = sorted(train.path.parent.glob(f"*{train.path.suffix}"))
    same = [one for one in siblings if hashlib.sha256(one.read_bytes()).hexdigest() == digest]
    named = f"that is {same[0]} now: add --train {same[0]}" if same else "name that file with --train"
    raise InputError(f"{train.path} is not what the run was trained on, it has changed since; {named}.")


def _as_trained_on(train: Dataset, run: RunDirectory) -> Dataset:
    """The part of its training file that a run drew, so that baselines learn from no more than it did."""
    count, seed = run.settings().examples_per_condition, run.settings().seed
    return train if count is None else part_of(train, count, seed)


def _trained_on(test: Dataset, leaks: Sequence[Leak], learned: Dataset | None) -> AllowedDuplicates:
    """Those of the pairs whose training text the model has learned from: a run may have drawn a part."""
    texts = {example.input for example in learned.examples} if learned else set[str]()
    known = [leak for leak in leaks if leak.train.input in texts]
    # A test text may repeat several; one sentence is enough.
    others = {
        leak.test: f"{test.path}:{leak.test.line} ({leak.test.id}) has another label: {leak.other_labels}"
        for leak in known
        if leak.other_labels
    }
    return AllowedDuplicates(len({leak.test for leak in known}), tuple(others.values()))


def _existing(path: str | None) -> Path | None:
    return Path(path) if path and Path(path).exists() else None


def further_paths(data: Path, told: Sequence[Path] | None) -> tuple[Path, ...]:
    """Those that were told, or where none were the `test-2.jsonl` beside a `test.jsonl`, if there is one."""
    if told is not None:
        return tuple(told)
    second = data.with_name(f"{data.stem}{SECOND}{data.suffix}")
    return (second,) if second.is_file() else ()


def check_held_out(
    train: Dataset | None,
    dev: Dataset | None,
    tests: Sequence[Dataset],
    allowed: Sequence[str],
    allowed_in_training: Sequence[str] = (),
    own: Dataset | None = None,
) -> tuple[tuple[Leak, ...], ...]:
    """`check_leakage` from train into dev and each test set, and from dev into each test set.

    What is fitted on dev would otherwise be fitted on what was trained on, or told of what it was fitted on.
    An allowed id has to be of a test set or of dev. Those allowed in training are of dev alone, beside train:
    a test set may have the same ids. `own` is what the run itself learned from, where that is not `train`.
    Of each test set the pairs with train or `own` that were allowed are given back.
    """
    passed: list[tuple[Leak, ...]] = []
    held_out = [*tests] if dev is None else [*tests, dev]
    known = [{example.id for example in part.examples} for part in held_out]
    for number, part in enumerate(held_out):
        elsewhere = set[str]().union(*known[:number], *known[number + 1 :])
        of_this = [one for one in allowed if one in known[number] or one not in elsewhere]
        as_now = ids_as_now(part, allowed_in_training)
        of_dev = [one for one in as_now if one in known[number] or one == ALL]
        of_part: tuple[Leak, ...] = ()
        for earlier in (train, dev, own):
            if earlier is not None and earlier is not part:
                leaks = check_leakage(earlier, part, [*of_this, *of_dev] if part is dev else of_this)
                of_part += () if earlier is dev else leaks
        passed.append(of_part)
    return tuple(passed[: len(tests)])
