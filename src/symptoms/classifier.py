"""Text to assessment with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symptoms.data import Assessment, parse_assessment
from symptoms.errors import InputError
from symptoms.service import connect
from symptoms.taxonomy import condition_of_label
from symptoms.tokens import STOP, Tokenizer, prompt_tokens
from symptoms.train import find_run, newest_run

if TYPE_CHECKING:
    import tinker

MAX_NEW_TOKENS = 200


@dataclass(frozen=True)
class ClassifiedText:
    """What a description resembles. `condition` is the taxonomy's id, or the concern as it was written."""

    condition: str
    assessment: Assessment
    text: str


class Classifier:
    """A trained checkpoint behind a service. Get one from `Classifier.load`."""

    def __init__(self, sampler: tinker.SamplingClient, tokenizer: Tokenizer, context: int | None) -> None:
        self._sampler = sampler
        self._tokenizer = tokenizer
        self._context = context

    @classmethod
    @contextmanager
    def load(
        cls, run_or_path: str | None = None, service: str | None = None, base_model: str | None = None
    ) -> Generator[Classifier, None, None]:
        """The classifier of a run, of a `tinker://` path, or by default of the newest run.

        A run knows its service and base model; a path needs them told, unless they are the local
        server and the bundled base. Use it in a `with` block, which also ends a local server.
        """
        checkpoint = run_or_path
        if run_or_path is None or not run_or_path.startswith("tinker://"):
            run = newest_run() if run_or_path is None else find_run(run_or_path)
            manifest = run.manifest()
            checkpoint = run.final_checkpoint()
            service = service or manifest["service_url"] or manifest["service"]
            base_model = base_model or manifest["base_model"]
        with connect(service, base_model) as connected:
            sampler = connected.client.create_sampling_client(model_path=checkpoint).result()
            yield cls(sampler, connected.tokenizer(sampler), connected.context_length)

    def assess(self, description: str) -> ClassifiedText:
        """The assessment of one description, written greedily.

        Raises InputError for a text that is empty or too long, and AssessmentFormatError where the
        model's answer is not an assessment; such an answer is never shown.
        """
        if not description.strip():
            raise InputError("The description is empty; tell in a sentence or two what is going on.")
        answer = generate(self._sampler, self._tokenizer, description, self._context)
        assessment = parse_assessment(answer)
        known = condition_of_label(assessment.concern)
        return ClassifiedText(known.id if known else assessment.concern, assessment, answer)


def generate(
    sampler: tinker.SamplingClient, tokenizer: Tokenizer, description: str, context: int | None
) -> str:
    """The model's greedy continuation of a description's prompt, without the stop."""
    from tinker import ModelInput, SamplingParams

    prompt = prompt_tokens(tokenizer, description)
    room = MAX_NEW_TOKENS if context is None else min(MAX_NEW_TOKENS, context - len(prompt))
    if room < 1:
        raise InputError(f"The description takes {len(prompt)} of the model's {context} tokens; shorten it.")
    params = SamplingParams(max_tokens=room, temperature=0.0, stop=[STOP])
    future = sampler.sample(ModelInput.from_ints(prompt), num_samples=1, sampling_params=params)
    written = tokenizer.decode(future.result().sequences[0].tokens, skip_special_tokens=True)
    return str(written).split(STOP)[0].strip()
