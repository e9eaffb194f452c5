"""How a label becomes tokens: those of the line that names it in an answer."""

from collections.abc import Sequence

from symptoms.data.written_assessment import CONCERN
from symptoms.tokens.example_tokens import Tokenizer


def concern_line(label: str) -> str:
    """The line itself, as it continues a prompt."""
    return f" {CONCERN}{label}\n"


def concern_tokens(tokenizer: Tokenizer, label: str) -> list[int]:
    """The first line of an answer that names this label, with its line end, as tokens that continue a prompt.

    The line end belongs to it, so that a label which begins like another is told apart from it.
    """
    return tokenizer.encode(concern_line(label), add_special_tokens=False, split_special_tokens=True)


def concern_beginnings(tokenizer: Tokenizer, labels: Sequence[str]) -> list[list[int]]:
    """For each label the first tokens of its line, up to the first that tells it from all other labels.

    What a model gives to such a beginning is what it gives to all answers that begin so. Names that are long,
    or followed by a formal one, are then at no disadvantage, and there is far less to compute.
    """
    lines = [concern_tokens(tokenizer, label) for label in labels]
    beginnings: list[list[int]] = []
    for line in lines:
        shared = max((_common_length(line, other) for other in lines if other is not line), default=0)
        beginnings.append(line[: shared + 1])
    return beginnings


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))
