"""What a model that is being trained says so far: to the dev data, and to an experiment's test cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symptoms.classifier import TrainedModel
from symptoms.data import load_dataset
from symptoms.data.files.records import columns_called
from symptoms.data.subset import of_split
from symptoms.evaluate.measures.metrics import accuracy, macro_f1
from symptoms.evaluate.measures.scores import leading_labels
from symptoms.evaluate.scoring import asked_of, scored_labels
from symptoms.runs import TestCase
from symptoms.service import Service
from symptoms.tokens import rendered
from symptoms.train import TrainingData
from symptoms.train.open_run import OpenRun
from symptoms.train.training_loop import Evaluator

if TYPE_CHECKING:
    import tinker


def dev_accuracy(opened: OpenRun) -> Evaluator | None:
    """Classifies the dev data with the weights so far; None where that was not asked for."""
    settings = opened.settings
    if not settings.dev_accuracy or settings.dev is None:
        return None
    columns = columns_called(settings.text_column, settings.label_column)
    labels = load_dataset(Path(settings.data), columns=columns).labels
    dev = of_split(load_dataset(Path(settings.dev), labels, columns), "dev")
    asked = asked_of(dev)

    def figures(sampler: tinker.SamplingClient) -> dict[str, float]:
        model = TrainedModel(
            sampler,
            opened.tokenizer,
            opened.service.context_length,
            scorer=opened.service.path_scorer(sampler),
            sentence_case=settings.sentence_case,
        )
        logprobs = scored_labels(model, dev.examples, dev.labels, lambda _what, _count: lambda: None, "dev")
        answers = leading_labels(logprobs, asked.label_ids)
        return {
            "dev_accuracy": accuracy(asked.wanted, answers),
            "dev_macro_f1": macro_f1(asked.wanted, answers),
        }

    return figures


def written_cases(data: TrainingData, checkpoint: str, service: Service) -> list[TestCase]:
    """What the trained model writes for the test cases of an experiment's file."""
    cases = data.experiment.test_cases if data.experiment else ()
    if not cases:
        return []
    model = TrainedModel.load(service, checkpoint)
    return [TestCase(case.input, rendered(case), model.write(case.input)) for case in cases]
