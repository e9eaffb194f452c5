"""The front door: a trained checkpoint that assesses descriptions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from symptoms.classifier.answers import TrainedModel
from symptoms.data import Assessment, parse_assessment
from symptoms.errors import InputError
from symptoms.service import connect
from symptoms.taxonomy import condition_of_label
from symptoms.train import find_run, newest_run


@dataclass(frozen=True)
class ClassifiedText:
    """What a description resembles. `condition` is the taxonomy's id, or the concern as it was written."""

    condition: str
    assessment: Assessment
    text: str


class Classifier:
    """A trained checkpoint behind a service. Get one from `Classifier.load`, and close it when done.

    with Classifier.load() as classifier:
        print(classifier.assess("I have not slept properly for weeks").condition)
    """

    def __init__(self, checkpoint: str, service: str | None, base_model: str | None) -> None:
        self._held = ExitStack()
        try:
            connected = self._held.enter_context(connect(service, base_model))
            self._model = TrainedModel.load(connected, checkpoint)
        except BaseException:
            self._held.close()
            raise

    @classmethod
    def load(
        cls, run_or_path: str | None = None, service: str | None = None, base_model: str | None = None
    ) -> Classifier:
        """The classifier of a run, of a `tinker://` path, or by default of the newest run.

        A run knows its service and base model; a path needs them told, unless they are the local
        server and the bundled base.
        """
        if run_or_path is not None and run_or_path.startswith("tinker://"):
            return cls(run_or_path, service, base_model)
        run = newest_run() if run_or_path is None else find_run(run_or_path)
        manifest = run.manifest()
        where = service or manifest["service_url"] or manifest["service"]
        return cls(run.final_checkpoint(), where, base_model or manifest["base_model"])

    def close(self) -> None:
        """Leave the service; a local server ends."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def assess(self, description: str) -> ClassifiedText:
        """The assessment of one description, written greedily.

        Raises InputError for a text that is empty or too long, and AssessmentFormatError where the
        model's answer is not an assessment; such an answer is never shown.
        """
        if not description.strip():
            raise InputError("The description is empty; tell in a sentence or two what is going on.")
        answer = self._model.write(description)
        assessment = parse_assessment(answer)
        known = condition_of_label(assessment.concern)
        return ClassifiedText(known.id if known else assessment.concern, assessment, answer)
