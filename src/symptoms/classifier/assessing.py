"""The front door: a trained checkpoint that assesses descriptions."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Self, TypeVar

from symptoms.classifier.answers import TrainedModel, Writing
from symptoms.classifier.assessment import Assessment, language_notice_of, notice_for, notice_of
from symptoms.classifier.composing import Chooser, assessment_without_model
from symptoms.classifier.continuation import named_symptoms
from symptoms.classifier.introduction import introduction
from symptoms.classifier.run_files.run_accuracy import read_accuracy
from symptoms.classifier.run_files.run_calibration import read_calibration
from symptoms.classifier.shipped_crisis_layer import ShippedCrisisLayer
from symptoms.classifier.word_models.spelling import Speller
from symptoms.classifier.word_models.symptom_reading import SYMPTOMS_FILE, SymptomReader, read_symptom_model
from symptoms.classifier.word_models.word_vote import WORDS_FILE, WordVote, read_word_model
from symptoms.data import labels_of_taxonomy
from symptoms.errors import InputError, RunError, ServiceError
from symptoms.runs import TOGETHER, RunDirectory, run_of_checkpoint, run_to_ask
from symptoms.safety import Level, ModelLayer, check_country, screen
from symptoms.service import LOCAL, Service
from symptoms.service.completions import OPENAI, connect_to_ask
from symptoms.words import without_surrogates

Waited = TypeVar("Waited")
Asking = Generator[None, None, Assessment]
"""An assessment in the making, which pauses wherever it is about to wait for the model."""

READABLE = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "So"})
"""Categories of characters of which a description needs one: letters, and symbols such as emoji."""


class Classifier:
    """A trained checkpoint behind a service. Get one from `Classifier.load`, and close it when done.

    with Classifier.load() as classifier:
        print(classifier.assess("I have not slept properly for weeks").condition)
    """

    def __init__(
        self,
        checkpoint: str,
        chooser: Chooser,
        service: str | None,
        base_model: str | None,
        country: str | None,
        sentence_case: bool = False,
        words: WordVote | None = None,
        symptoms: SymptomReader | None = None,
        of_run: str | None = None,
        writes_symptoms: bool = True,
        beside: Sequence[str] = (),
    ) -> None:
        # Of an ensemble all, so that no file of answers goes on with another that begins with the same.
        self.checkpoint = TOGETHER.join((checkpoint, *beside))
        self.country = country
        self.model_layer: ModelLayer | None = None
        """The crisis screen's third layer, asked beside the labels; None where there is none to ask."""
        self._chooser = chooser
        self._symptoms = symptoms
        self._writes_symptoms = writes_symptoms
        self._speller = Speller.of(chooser.terms) if symptoms is None else symptoms.model.speller
        self._held = ExitStack()
        try:
            self._service = self._held.enter_context(connect_to_ask(service, base_model, of_run))
            if beside and self._service.kind == OPENAI:
                raise RunError(
                    "An exported model is one run, not an ensemble; name the member that it is of."
                )
            alone = TrainedModel.load(self._service, checkpoint, sentence_case, beside)
            self._model = replace(alone, words=words)
            self.model_layer = _crisis_layer(self._service, alone)
        except BaseException:
            self._held.close()
            raise

    @classmethod
    def load(
        cls,
        run_or_path: str | None = None,
        service: str | None = None,
        base_model: str | None = None,
        country: str | None = None,
    ) -> Classifier:
        """The classifier of a run, of a `tinker://` path, or by default the one that `run_to_ask` tells.

        A run knows its service, base model and labels; so does a path that one of the runs here saved. Of
        other paths service and base model need to be told, unless they are the local server and its
        default base, and their labels are taken to be the bundled taxonomy's. `country` is an ISO 3166 code
        for the helplines of crisis notices, by default that of the locale.

        Raises InputError for what is no country code, RunError where there is no such run, and ServiceError
        where the service cannot be used.

        `openai+http://host:port/v1` as the service asks the run's exported model there, and `base_model` is
        the exported folder (`connect_to_ask`).
        """
        check_country(country)
        checkpoint = run_or_path if run_or_path and run_or_path.startswith("tinker://") else None
        run: RunDirectory | None
        if checkpoint is not None:
            run = run_of_checkpoint(checkpoint)
            if run is None and TOGETHER in checkpoint:
                raise RunError("The ensemble of these checkpoints is not here any more; name another run.")
        else:
            run = run_to_ask(run_or_path, service, base_model)
            checkpoint = run.final_checkpoint()
        if run is None:
            about = introduction(None, None, None, None)
            return cls(checkpoint, Chooser(labels_of_taxonomy(), about=about), service, base_model, country)
        first, *others = run.answering_checkpoints()
        # A path that was told may be of any step of its run; an ensemble is named by all of its paths.
        checkpoint = first if others else checkpoint
        manifest = run.manifest()
        chooser = Chooser(
            run.labels(),
            frozenset(manifest.get("symptoms", ())),
            read_calibration(run.path),
            languages=frozenset(manifest.get("languages", ())),
        ).for_checkpoint(checkpoint)
        accuracy = read_accuracy(run.path, checkpoint)
        about = introduction(
            run.name,
            manifest.get("num_examples"),
            chooser.calibration,
            accuracy,
            members=1 + len(others),
        )
        chooser = replace(chooser, about=about)
        where = service or manifest["service_url"] or manifest["service"]
        return cls(
            checkpoint,
            chooser,
            where,
            base_model or manifest["base_model"],
            country,
            sentence_case=run.reads_sentence_case,
            words=_word_vote(run, chooser),
            symptoms=_symptom_reader(run, chooser),
            of_run=run.name if base_model is None and not run.is_shipped else None,
            writes_symptoms=not manifest.get("names_concern_alone"),
            beside=others,
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether probabilities, and when to abstain, were fitted on held-out examples."""
        return self._chooser.calibration is not None

    @property
    def about(self) -> str:
        """What the model is and how often it was right, in a few sentences."""
        return self._chooser.about

    @property
    def base_model(self) -> str:
        """The model that the checkpoint adapts, by the name that the service knows it by."""
        return self._service.base_model

    @property
    def service(self) -> str:
        """`local`, `hosted`, `url` or `openai`."""
        return self._service.kind

    def prepare(self) -> None:
        """Spend a second or two so that single answers come sooner, for whoever will ask one by one."""
        # Other services guess by other means, and take money for what they read.
        if self._service.kind == LOCAL and self._symptoms is None and self._writes_symptoms:
            self._model.show_terms(sorted(self._chooser.terms))

    @property
    def is_lost(self) -> bool:
        """Whether its local server ended while it was in use; then it can only be closed."""
        return self._service.is_lost

    def close(self) -> None:
        """Leave the service; a local server ends."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def assess(self, text: str, country: str | None = None) -> Assessment:
        """The assessment of one description.

        Raises InputError for a text that is empty or too long, and ServiceError or the SDK's TinkerError
        where the service fails. A text that speaks of danger now never ends so: its assessment has the
        crisis notice, and abstains with the reason. `country` is for this text's notice alone.
        """
        [outcome] = self.outcomes([text], country)
        if isinstance(outcome, InputError):
            raise outcome
        return outcome

    def assess_many(
        self, texts: Iterable[str], progress: Callable[[], None] | None = None, country: str | None = None
    ) -> list[Assessment]:
        """The assessments of descriptions, in their order; several are asked at once.

        `progress` is called after each. Raises what `assess` raises, for the first text that it concerns.
        """
        assessments: list[Assessment] = []
        for number, outcome in enumerate(self.outcomes(texts, country), start=1):
            if isinstance(outcome, InputError):
                raise InputError(f"Description {number}: {outcome}") from outcome
            assessments.append(outcome)
            if progress is not None:
                progress()
        return assessments

    def outcomes(
        self, texts: Iterable[str | InputError], country: str | None = None
    ) -> Generator[Assessment | InputError, None, None]:
        """As `assess_many`, one by one as they come, and with the error in place of what cannot be read.

        An error among the texts comes out in its place. However many there are, some dozens are in memory.
        """
        at_once = self._model.descriptions_in_flight
        scoring: deque[_Task] = deque()
        writing: deque[_Task] = deque()
        for text in texts:
            refused = isinstance(text, InputError)
            scoring.append(_Task(text if refused else self._screened(text, country or self.country)))
            if len(scoring) == at_once:
                writing.append(scoring.popleft().advanced())
            if len(writing) == at_once:
                yield writing.popleft().outcome()
        while scoring or writing:
            if scoring:
                writing.append(scoring.popleft().advanced())
            if not scoring or len(writing) == at_once:
                yield writing.popleft().outcome()

    def _screened(self, text: str, country: str | None) -> Asking:
        """Screens the text for danger, then asks the model; yields wherever it is about to wait for it."""
        try:
            return (yield from self._asked(text, country))
        except (Exception, KeyboardInterrupt) as error:
            failure = self._lost_server() or error
            # Whatever has failed, the notice must not be lost with it. It is looked up anew, as the end of
            # the local server may have come in the middle of the first time.
            notice = notice_for(text, country)
            if notice is not None and isinstance(failure, Exception):
                return assessment_without_model(notice, failure)
            if failure is not error:
                raise failure from None
            raise

    def _asked(self, text: str, country: str | None) -> Asking:
        screening = screen(text, beside_model=self.model_layer is not None)
        check_description(text)
        # One character for one, so that places in the text stay what they are.
        readable = without_surrogates(text)
        read = self._model.mended(readable)
        scores = self._model.submit(read, self._chooser.labels, Writing.NOTHING)
        seen = self._ask_layer(readable)
        yield
        choice = self._chooser.choose(self._waited(scores).logprobs)
        spelt = self._speller.spelt(read)
        if self._symptoms is not None:
            named = self._symptoms.named(choice.probabilities, spelt.text)
        elif self._writes_symptoms:
            continuation = self._model.submit_continuation(read, choice.best)
            yield
            named = named_symptoms(*self._waited(continuation), self._chooser.terms)
        else:
            named = ()
        found = self._level_of(seen)
        if found is not None:
            screening = screening.raised_to(found)
        elif self.model_layer is not None:
            # It has failed, so that the first two layers say all they see.
            screening = screen(text)
        notice = notice_of(screening, country)
        assessment = self._chooser.compose(readable, choice, named, notice, spelt)
        unread = language_notice_of(screening, country, self._chooser.unlearnt(readable))
        return replace(assessment, language_notice=unread)

    def _ask_layer(self, text: str) -> Callable[[], Level] | None:
        if self.model_layer is None:
            return None
        try:
            return self.model_layer.submit(text)
        except Exception:  # noqa: BLE001 - see _level_of
            return None

    def _level_of(self, seen: Callable[[], Level] | None) -> Level | None:
        """What the third layer found; None where it was not asked or failed, so that two speak alone."""
        if seen is None:
            return None
        try:
            return self._waited(seen)
        except Exception:  # noqa: BLE001 - a failure here must not take the notice of the others away
            return None

    def _waited(self, result: Callable[[], Waited]) -> Waited:
        # The SDK would go on asking a dead server for minutes.
        if lost := self._lost_server():
            raise lost
        return result()

    def _lost_server(self) -> ServiceError | None:
        """The local server's end, which reaches this thread as a KeyboardInterrupt."""
        server = self._service.server
        return ServiceError(server.died) if server is not None and server.died else None


def _word_vote(run: RunDirectory, chooser: Chooser) -> WordVote | None:
    """The vote that the calibration in use counts on; None where it counts on none."""
    fitted = chooser.calibration
    if fitted is None or not fitted.word_weight:
        return None
    model = read_word_model(run.path)
    if model is None:
        raise _lacks(run, WORDS_FILE)
    return WordVote(model, fitted.word_weight)


def _symptom_reader(run: RunDirectory, chooser: Chooser) -> SymptomReader | None:
    """The reader that the calibration in use has weights for; None where the model writes the symptoms."""
    fitted = chooser.calibration
    if fitted is None or fitted.symptoms is None:
        return None
    model = read_symptom_model(run.path)
    if model is None:
        raise _lacks(run, SYMPTOMS_FILE)
    return SymptomReader(model, fitted.symptoms)


def _lacks(run: RunDirectory, file: str) -> RunError:
    return RunError(
        f"{run.path} has no {file}, which its calibration counts on; write it anew with "
        f"'symptoms evaluate {run.name}'."
    )


def _crisis_layer(service: Service, model: TrainedModel) -> ModelLayer | None:
    try:
        return ShippedCrisisLayer.load(service, model)
    except Exception:  # noqa: BLE001 - without it, the other layers speak for themselves
        return None


def check_description(text: str) -> None:
    """Raises InputError for a description without anything to read: no letter, and no pictogram either."""
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise InputError("The description is empty; tell in a sentence or two what is going on.")
    if not any(unicodedata.category(character) in READABLE for character in text):
        raise InputError("The description has no words; tell in a sentence or two what is going on.")


class _Task:
    """The assessment of one text in the making, or the InputError that it ended in."""

    def __init__(self, asking: Asking | InputError) -> None:
        self._asking = asking
        self._outcome: Assessment | InputError | None = asking if isinstance(asking, InputError) else None
        self.advanced()

    def advanced(self) -> Self:
        """The same task at its next pause: waits for what it asked, and asks the next."""
        if self._outcome is None and not isinstance(self._asking, InputError):
            try:
                next(self._asking)
            except StopIteration as finished:
                self._outcome = finished.value
            except InputError as error:
                self._outcome = error
        return self

    def outcome(self) -> Assessment | InputError:
        """How it ended; waits for that."""
        while self._outcome is None:
            self.advanced()
        return self._outcome
