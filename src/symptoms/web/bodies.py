"""Bodies of requests and answers, as the API document shows them."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from symptoms.classifier import Certainty, CrisisNotice, KeySymptom, LabelProbability, LanguageNotice
from symptoms.classifier.assessment import Probability
from symptoms.words import without_surrogates

MAX_BODY_BYTES = 256 * 1024
MAX_BATCH = 50


def _readable(value: object) -> object:
    """Halves of surrogate pairs, which JSON can escape, become U+FFFD one for one: places stay."""
    return without_surrogates(value) if isinstance(value, str) else value


Text = Annotated[
    str,
    BeforeValidator(_readable),
    Field(description="A description in the person's own words.", examples=["I have not slept for weeks."]),
]
Country = Annotated[
    str | None,
    Field(
        default=None,
        pattern="^[A-Za-z]{2}$",
        description="ISO 3166 code of the country whose helplines a crisis notice has.",
        examples=["GB"],
    ),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AssessRequest(_Request):
    """One description."""

    text: Text
    country: Country


class ScreenRequest(AssessRequest):
    """One description for the crisis screen."""

    before_model: bool = Field(
        default=False,
        description="Whether an assessment is asked for as well; then only what stands whatever the model "
        "says is told.",
    )


class BatchRequest(_Request):
    """Several descriptions."""

    texts: list[Text] = Field(min_length=1, max_length=MAX_BATCH)
    country: Country


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssessmentAnswer(_Answer):
    """What a description resembles. It is for learning, and not a diagnosis."""

    condition: str | None
    primary_concern: str | None
    probability: Probability
    certainty: Certainty
    alternatives: list[LabelProbability]
    leading: list[LabelProbability]
    key_symptoms: list[KeySymptom]
    recommendation: str | None = Field(description="None for what resembles everyday life.")
    abstained: bool
    abstained_because: str | None
    unread: bool = Field(description="Whether the model has learnt from no texts in this language.")
    calibrated: bool
    about_the_model: str = Field(description="What the model is, and how often it was right on which texts.")
    crisis: bool
    crisis_level: Literal["none", "possible", "clear"]
    crisis_notice: CrisisNotice | None
    language_notice: LanguageNotice | None
    text: str
    disclaimer: str


class ScreenAnswer(_Answer):
    """What the crisis screen finds; no model is asked."""

    crisis: bool
    crisis_level: Literal["none", "possible", "clear"]
    crisis_notice: CrisisNotice | None
    language_notice: LanguageNotice | None
    disclaimer: str


class BatchItem(_Answer):
    """The assessment of one description, or the sentence that says why there is none."""

    assessment: AssessmentAnswer | None
    error: str | None
    language_notice: LanguageNotice | None = Field(
        default=None, description="Beside an error of a text in a language that is not read."
    )


class BatchAnswer(_Answer):
    """One item for each description, in their order."""

    results: list[BatchItem]


class ModelAnswer(_Answer):
    """What answers. `run` is None for a checkpoint that no run here saved."""

    run: str | None
    checkpoint: str
    base_model: str
    service: str
    calibrated: bool
    country: str | None = Field(description="Whose helplines are shown where a request names none.")
    countries: list[str] = Field(description="Countries whose emergency number is known.")
    screen_languages: list[str] = Field(description="Languages that the crisis screen reads.")
    disclaimer: str
    version: str


class RunOutline(_Answer):
    """A training run at a glance; losses are means per trained token in nats."""

    name: str
    state: Literal["training", "finished", "stopped", "unreadable"]
    started: str | None
    base_model: str | None
    data: str | None
    steps: int
    num_steps: int | None
    learning_rate: float | None
    batch_size: int | None
    loss: float | None = Field(description="Of the newest step.")
    final_loss: float | None = Field(description="Of a finished run: the mean over its last epoch.")
    dev_loss: float | None = Field(description="On held-out data, of the weights that are used.")
    train_seconds: float
    answers: bool = Field(description="Whether this is the run that answers here.")


class RunsAnswer(_Answer):
    """Runs, the newest first."""

    runs: list[RunOutline]


class StepPoint(_Answer):
    """One training step."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    seconds: float


class DevPoint(_Answer):
    """One evaluation on held-out data."""

    step: int
    loss: float


class RunAnswer(_Answer):
    """A run with its curve after the step that was asked for."""

    run: RunOutline
    metrics: list[StepPoint]
    dev: list[DevPoint]


class HealthAnswer(_Answer):
    """That the server answers, and how many descriptions wait."""

    status: Literal["ok"]
    waiting: int
