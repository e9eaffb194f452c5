"""Examples that a model which was not trained is shown, solved, before the one that it is asked about."""

from collections.abc import Iterable

from symptoms.data import Example
from symptoms.tokens.example_tokens import Tokenizer, completion_text, prompt_text, rendered

SHOTS = 5
"""The most that are shown."""


def shown_examples(examples: Iterable[Example], tokenizer: Tokenizer, room: int | None) -> tuple[str, int]:
    """The text of solved examples of different conditions, and how many: as many as fit `room` tokens.

    They are taken in their order, `SHOTS` at most. None is room for any.
    """
    shots: list[str] = []
    seen: set[str] = set()
    for example in examples:
        if example.condition in seen or not example.is_assessed:
            continue
        shot = prompt_text(example.input) + completion_text(rendered(example))
        tokens = tokenizer.encode("".join([*shots, shot]), add_special_tokens=True, split_special_tokens=True)
        if len(shots) == SHOTS or (room is not None and len(tokens) > room):
            break
        shots.append(shot)
        seen.add(example.condition)
    return "".join(shots), len(shots)
