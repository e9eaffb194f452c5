"""Evaluate a run or a checkpoint by its name: find what it was trained on, connect, ask, and score."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from symptoms.classifier import (
    TrainedModel,
    read_calibration,
    write_accuracy,
    write_calibration,
    write_symptom_model,
    write_word_model,
)
from symptoms.data import Dataset, load_dataset
from symptoms.data.files.records import AS_OURS, Columns, columns_called
from symptoms.data.subset import of_split, part_of
from symptoms.errors import InputError
from symptoms.evaluate.baselines import Baselines, LeftOut, fit_baselines
from symptoms.evaluate.evaluation_file import (
    EVALUATION_FILE,
    PREDICTIONS_FILE,
    BaselineScores,
    Evaluation,
    Subject,
    TestSet,
    evaluation_folder,
    write_evaluation,
)
from symptoms.evaluate.external import ExternalSet, read_external, within_labels
from symptoms.evaluate.fitting.fitted_on_dev import NOTHING_FITTED, FittedOnDev, fit_on_dev, score_alone
from symptoms.evaluate.further_tests import check_held_out, further_paths, score_further_test
from symptoms.evaluate.kept_in_run import accuracy_of_run, calibration_of_run, folder_root
from symptoms.evaluate.key_symptoms import score_key_symptoms
from symptoms.evaluate.measures.abstention import RISK
from symptoms.evaluate.measures.metrics import confusion
from symptoms.evaluate.predictions import Prediction, write_predictions
from symptoms.evaluate.scoring import (
    SHOTS,
    WRITTEN_ANSWERS,
    Track,
    predict_test,
    score_classic_baselines,
    score_external,
    score_labels,
    score_other_model,
    score_predictions,
    score_robustness,
    score_written,
    worst_mistakes,
)
from symptoms.runs import SHIPPED, RunDirectory, find_run, run_by_name
from symptoms.service import Service, connect
from symptoms.tokens import completion_text, prompt_text, rendered
from symptoms.words import counted

TOLD_VERSIONS = ("mental-health-symptom-classifier", "tinker", "scikit-learn", "numpy")
REPORTED_SETTINGS = ("lora_rank", "learning_rate", "learning_rate_schedule", "epochs", "batch_size", "seed")
NO_TRAINING_SET = Baselines(
    (), (LeftOut("baselines of words", "the training set is not here; give --train"),)
)


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, on what, and beside what.

    `also` are further test sets, of which the headline is reported; None for those beside `data`. The
    columns are those of the files told here, None for what the run's own files have. `words` is whether the
    words of the training set may have a vote beside the model, `read_symptoms` whether key symptoms may be
    read from conditions, words and cues in place of what the model writes.
    """

    run_or_path: str
    data: Path
    also: tuple[Path, ...] | None = None
    dev: Path | None = None
    train: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    full: bool = False
    words: bool = True
    read_symptoms: bool = True
    baselines: bool = True
    beside: tuple[str, ...] = ()
    external: tuple[tuple[str, Path], ...] = ()
    allowed_duplicates: tuple[str, ...] = ()
    risk: float = RISK
    seed: int = 0
    service: str | None = None
    base_model: str | None = None


@dataclass(frozen=True)
class _Sets:
    """The data, and what can be made of it before any model is asked."""

    test: Dataset
    further: tuple[Dataset, ...]
    dev: Dataset | None
    train: Dataset | None
    classic: Baselines
    external: tuple[ExternalSet, ...]


def evaluate_run(request: EvaluationRequest, track: Track) -> tuple[Evaluation, Path]:
    """The evaluation, and the folder that has its files.

    Raises DataError where a file has faults or a text of one part nearly repeats one of another, RunError
    where there is no such run, and ServiceError where the service cannot be used.
    """
    run = _run_of(request)
    sets = _read_sets(request, run)
    manifest = run.manifest() if run else {}
    where = request.service or manifest.get("service_url") or manifest.get("service")
    base_model = request.base_model or manifest.get("base_model")
    of_run = run.name if run is not None and request.base_model is None else None
    with connect(where, base_model, of_run=of_run) as service:
        return _evaluate(request, run, sets, service, track)


def usual_risk(run_or_path: str) -> float:
    """The risk where none was told: what ships keeps its own, as it is calibrated for that."""
    run = run_by_name(SHIPPED) if run_or_path == SHIPPED else None
    fitted = read_calibration(run.path) if run is not None and run.is_shipped else None
    return RISK if fitted is None or fitted.risk is None else fitted.risk


def stored_evaluation(run_or_file: str) -> Path:
    """Where a run's latest evaluation is, or the file itself; raises RunError where there is no such run."""
    file = Path(run_or_file)
    return file if file.is_file() else find_run(run_or_file).path / EVALUATION_FILE


def evaluate_connected(request: EvaluationRequest, service: Service, track: Track) -> Evaluation:
    """The same on a service that is connected already."""
    run = _run_of(request)
    return _evaluate(request, run, _read_sets(request, run), service, track)[0]


def _run_of(request: EvaluationRequest) -> RunDirectory | None:
    return None if request.run_or_path.startswith("tinker://") else run_by_name(request.run_or_path)


def _evaluate(
    request: EvaluationRequest, run: RunDirectory | None, sets: _Sets, service: Service, track: Track
) -> tuple[Evaluation, Path]:
    subject = _subject(request, run, service, sets.train)
    model = TrainedModel.load(service, subject.checkpoint, run is not None and run.reads_sentence_case)
    fitted = NOTHING_FITTED
    if sets.dev is not None:
        fitted = fit_on_dev(
            model,
            sets.dev,
            sets.train,
            request.risk,
            track,
            words=request.words,
            read_symptoms=request.read_symptoms,
        )
    learnt_concern_alone = run is not None and bool(run.manifest().get("names_concern_alone"))
    fitted = replace(fitted, names_concern_alone=learnt_concern_alone)
    model, calibrator = replace(model, words=fitted.words), fitted.calibrator
    # What ships is left as it is.
    written_to = None if run is None or run.is_shipped else run.path
    if written_to is not None and sets.dev is not None and calibrator is not None:
        if fitted.words is not None:
            write_word_model(written_to, fitted.words.model)
        if fitted.symptoms is not None:
            write_symptom_model(written_to, fitted.symptoms.model)
        write_calibration(written_to, calibration_of_run(fitted, calibrator, sets.dev, subject.checkpoint))
    most = None if request.full else WRITTEN_ANSWERS
    predictions, seconds = predict_test(
        model, sets.test, track, most, fitted.asked_of_some, fitted.asked_of_all
    )
    evaluation = _evaluation(request, subject, sets, fitted, predictions, seconds)
    folder = evaluation_folder(folder_root(run), evaluation.test)
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder / PREDICTIONS_FILE, predictions)
    baselines, left_out = _baselines(request, service, sets, predictions, track)
    baselines = [*score_alone(fitted, model, sets.test, predictions, request.seed), *baselines]
    temperature = calibrator.temperature if calibrator else 1.0
    evaluation = replace(
        evaluation,
        symptoms=score_key_symptoms(model, predictions, fitted.symptoms, temperature, request.seed),
        baselines=tuple(baselines),
        left_out=tuple(left_out),
        robustness=score_robustness(model, sets.test, predictions, temperature, request.seed, track)
        if request.full
        else (),
        external=tuple(
            score_external(model, external, sets.test.labels, calibrator, request.seed, track)
            for external in sets.external
        ),
        further=tuple(
            score_further_test(model, one, fitted, sets.classic.fitted, request.seed, folder, track)
            for one in sets.further
        ),
    )
    if run is not None:
        write_evaluation(folder / EVALUATION_FILE, evaluation)
    if written_to is not None:
        write_evaluation(written_to / EVALUATION_FILE, evaluation)
        write_accuracy(written_to, accuracy_of_run(evaluation))
    return evaluation, folder


def _read_sets(request: EvaluationRequest, run: RunDirectory | None) -> _Sets:
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
    check_held_out(train, dev, (test, *further), request.allowed_duplicates, in_training, own)
    if train is not None and run is not None and request.train is None:
        train = _as_trained_on(train, run)
    classic = Baselines((), ())
    if request.baselines:
        classic = fit_baselines(train, dev, request.seed, request.risk) if train else NO_TRAINING_SET
    ids = {label.id for label in test.labels}
    external = tuple(within_labels(read_external(kind, path), ids) for kind, path in request.external)
    return _Sets(test, further, dev, train, classic, external)


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


def _existing(path: str | None) -> Path | None:
    return Path(path) if path and Path(path).exists() else None


def _subject(
    request: EvaluationRequest, run: RunDirectory | None, service: Service, train: Dataset | None
) -> Subject:
    if run is None:
        return Subject(
            name=request.run_or_path.rsplit("/", 1)[-1],
            checkpoint=request.run_or_path,
            base_model=service.base_model,
            service=service.kind,
            trained_on=str(train.path) if train else None,
            num_trained_on=len(train.examples) if train else None,
            final_loss=None,
            settings={},
        )
    manifest, settings = run.manifest(), run.settings()
    return Subject(
        name=run.name,
        checkpoint=run.final_checkpoint(),
        base_model=service.base_model,
        service=service.kind,
        trained_on=manifest["data"],
        num_trained_on=manifest["num_examples"],
        final_loss=run.final_loss(),
        settings={key: getattr(settings, key) for key in REPORTED_SETTINGS},
    )


def _evaluation(
    request: EvaluationRequest,
    subject: Subject,
    sets: _Sets,
    fitted: FittedOnDev,
    predictions: Sequence[Prediction],
    seconds: float,
) -> Evaluation:
    calibrator = fitted.calibrator
    ids = tuple(label.id for label in sets.test.labels)
    wanted = [prediction.condition for prediction in predictions]
    answered = [prediction.answered for prediction in predictions]
    return Evaluation(
        subject=subject,
        test=TestSet(
            path=str(sets.test.path),
            sha256=sets.test.digest,
            n=len(sets.test.examples),
            label_ids=ids,
            label_texts=tuple(label.text for label in sets.test.labels),
        ),
        seed=request.seed,
        temperature=calibrator.temperature if calibrator else None,
        threshold=calibrator.threshold if calibrator else None,
        risk=calibrator.risk if calibrator else None,
        word_weight=fitted.words.weight if fitted.words else 0.0,
        dev=str(sets.dev.path) if sets.dev else None,
        scores=score_predictions(sets.test, predictions, calibrator, request.seed),
        written=score_written(predictions, request.seed),
        by_label=score_labels(predictions, request.seed),
        confusion=tuple(tuple(row) for row in confusion(wanted, answered, ids)),
        mistakes=worst_mistakes(sets.test, predictions, calibrator.temperature if calibrator else 1.0),
        seconds=seconds,
        versions={"python": platform.python_version(), **{name: version(name) for name in TOLD_VERSIONS}},
    )


def _baselines(
    request: EvaluationRequest,
    service: Service,
    sets: _Sets,
    predictions: Sequence[Prediction],
    track: Track,
) -> tuple[list[BaselineScores], list[LeftOut]]:
    results = score_classic_baselines(sets.classic.fitted, sets.test, predictions, request.seed)
    left_out = list(sets.classic.left_out)
    if not request.baselines:
        return results, left_out
    others: list[tuple[str, TrainedModel]] = []
    if request.full:
        base = TrainedModel.load(service, None)
        others.append(("base model, zero-shot", base))
        shots, count = _shots(base, sets.train) if sets.train is not None else ("", 0)
        if count:
            others.append((f"base model, {counted(count, 'example')} shown", replace(base, shots=shots)))
        else:
            left_out.append(LeftOut("base model, examples shown", "no training example fits its context"))
    for name, other in others:
        results.append(
            score_other_model(
                name, other, sets.dev, sets.test, predictions, request.risk, request.seed, track
            )
        )
    for name in request.beside:
        results.append(_run_beside(name, request, sets, predictions, track))
    return results, left_out


def _run_beside(
    name: str, request: EvaluationRequest, sets: _Sets, predictions: Sequence[Prediction], track: Track
) -> BaselineScores:
    run = run_by_name(name)
    manifest = run.manifest()
    where = manifest["service_url"] or manifest["service"]
    with connect(where, manifest["base_model"], of_run=name) as service:
        model = TrainedModel.load(service, run.final_checkpoint(), run.reads_sentence_case)
        return score_other_model(
            name, model, sets.dev, sets.test, predictions, request.risk, request.seed, track
        )


def _shots(base: TrainedModel, train: Dataset) -> tuple[str, int]:
    """Solved examples of different conditions, and how many: as leave half of the context for the rest."""
    room = None if base.context is None else base.context // 2
    shots: list[str] = []
    seen: set[str] = set()
    for example in train.examples:
        if example.condition in seen or not example.is_assessed:
            continue
        shot = prompt_text(example.input) + completion_text(rendered(example))
        tokens = base.tokenizer.encode(
            "".join([*shots, shot]), add_special_tokens=True, split_special_tokens=True
        )
        if len(shots) == SHOTS or (room is not None and len(tokens) > room):
            break
        shots.append(shot)
        seen.add(example.condition)
    return "".join(shots), len(shots)
