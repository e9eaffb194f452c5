"""Evaluate a run or a checkpoint by its name: find what it was trained on, connect, ask, and score."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from symptoms.classifier import TrainedModel, read_calibration
from symptoms.data import Dataset
from symptoms.evaluate.baselines import LeftOut
from symptoms.evaluate.evaluation_file import (
    EVALUATION_FILE,
    PREDICTIONS_FILE,
    BaselineScores,
    Evaluation,
    Subject,
    TestSet,
    evaluation_folder,
)
from symptoms.evaluate.fitting.fitted_on_dev import NOTHING_FITTED, FittedOnDev, fit_on_dev, score_alone
from symptoms.evaluate.further_tests import score_further_test
from symptoms.evaluate.kept_in_run import folder_root, keep_evaluation, keep_fitted
from symptoms.evaluate.key_symptoms import score_key_symptoms
from symptoms.evaluate.measures.abstention import RISK
from symptoms.evaluate.measures.metrics import confusion
from symptoms.evaluate.predictions import Prediction, write_predictions
from symptoms.evaluate.request.evaluation_request import EvaluationRequest
from symptoms.evaluate.request.held_out_sets import EvaluationSets, read_sets
from symptoms.evaluate.scoring import (
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
from symptoms.settings import REPORTED_SETTINGS
from symptoms.tokens.shown_examples import shown_examples
from symptoms.words import counted

JOINED = ("ensemble", "average")
"""Beside the settings: of how many runs it is made, where it is."""
TOLD_VERSIONS = ("mental-health-symptom-classifier", "tinker", "scikit-learn", "numpy")


def evaluate_run(request: EvaluationRequest, track: Track) -> tuple[Evaluation, Path]:
    """The evaluation, and the folder that has its files.

    Raises DataError where a file has faults or a text of one part nearly repeats one of another, RunError
    where there is no such run, and ServiceError where the service cannot be used.
    """
    run = _run_of(request)
    sets = read_sets(request, run)
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
    return _evaluate(request, run, read_sets(request, run), service, track)[0]


def _run_of(request: EvaluationRequest) -> RunDirectory | None:
    return None if request.run_or_path.startswith("tinker://") else run_by_name(request.run_or_path)


def _evaluate(
    request: EvaluationRequest, run: RunDirectory | None, sets: EvaluationSets, service: Service, track: Track
) -> tuple[Evaluation, Path]:
    subject = _subject(request, run, service, sets.train)
    model = TrainedModel.load(service, subject.checkpoint) if run is None else _model_of(run, service)
    fitted = _fitted(request, run, sets, model, track)
    model, calibrator = replace(model, words=fitted.words), fitted.calibrator
    if run is not None and sets.dev is not None:
        keep_fitted(run, fitted, sets.dev, subject.checkpoint)
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
            replace(
                score_further_test(model, one, fitted, sets.classic.fitted, request.seed, folder, track),
                allowed=allowed,
            )
            for one, allowed in zip(sets.further, sets.allowed[1:], strict=True)
        ),
    )
    if run is not None:
        keep_evaluation(run, folder, evaluation)
    return evaluation, folder


def _model_of(run: RunDirectory, service: Service) -> TrainedModel:
    """What a run answers by; of an ensemble, all its members."""
    first, *others = run.answering_checkpoints()
    return TrainedModel.load(service, first, run.reads_sentence_case, others)


def _fitted(
    request: EvaluationRequest,
    run: RunDirectory | None,
    sets: EvaluationSets,
    model: TrainedModel,
    track: Track,
) -> FittedOnDev:
    """What dev decides of a model; nothing where there is none."""
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
    return replace(fitted, names_concern_alone=learnt_concern_alone)


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
    manifest, settings = run.manifest(), run.settings_told()
    return Subject(
        name=run.name,
        checkpoint=run.final_checkpoint(),
        base_model=service.base_model,
        service=service.kind,
        trained_on=manifest["data"],
        num_trained_on=manifest["num_examples"],
        final_loss=run.final_loss(),
        settings={key: settings[key] for key in (*JOINED, *REPORTED_SETTINGS) if key in settings},
    )


def _evaluation(
    request: EvaluationRequest,
    subject: Subject,
    sets: EvaluationSets,
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
        allowed=sets.allowed[0],
        versions={"python": platform.python_version(), **{name: version(name) for name in TOLD_VERSIONS}},
    )


def _baselines(
    request: EvaluationRequest,
    service: Service,
    sets: EvaluationSets,
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
        # Half of the context is left for the text that is asked about, and for the answer.
        room = None if base.context is None else base.context // 2
        shots, count = shown_examples(sets.train.examples if sets.train else (), base.tokenizer, room)
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
    name: str,
    request: EvaluationRequest,
    sets: EvaluationSets,
    predictions: Sequence[Prediction],
    track: Track,
) -> BaselineScores:
    run = run_by_name(name)
    manifest = run.manifest()
    where = manifest["service_url"] or manifest["service"]
    with connect(where, manifest["base_model"], of_run=name) as service:
        model = _model_of(run, service)
        return score_other_model(
            name, model, sets.dev, sets.test, predictions, request.risk, request.seed, track
        )
