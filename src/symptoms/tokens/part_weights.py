"""Weights for a part of what an example trains towards: the line of its primary concern."""

from dataclasses import replace

from symptoms.data import Example
from symptoms.data.written_assessment import CONCERN
from symptoms.errors import InputError
from symptoms.tokens.example_tokens import TokenizedExample, Tokenizer, rendered


def emphasise_concern(
    tokenizer: Tokenizer, example: Example, tokens: TokenizedExample, weight: float
) -> TokenizedExample:
    """The tokens of an example, with this weight on its `Primary concern` line, the line break included.

    Raises InputError for an example whose text does not begin with such a line.
    """
    if weight == 1:
        return tokens
    if example.label is None:
        raise InputError(
            f"concern_weight and best_by dev_concern_loss need outputs that begin with {CONCERN.strip()!r}, "
            f"found {rendered(example)[:30]!r}; leave them out."
        )
    weights = list(tokens.weights)
    for place in range(weights.index(1.0), len(weights)):
        weights[place] = weight
        if "\n" in str(tokenizer.decode([tokens.tokens[place]], skip_special_tokens=False)):
            break
    return replace(tokens, weights=tuple(weights))


def concern_alone(tokenizer: Tokenizer, example: Example, tokens: TokenizedExample) -> TokenizedExample:
    """The tokens of an example, with weight 1 on its `Primary concern` line and 0 on all others.

    Raises InputError for an example whose text does not begin with such a line.
    """
    marked = emphasise_concern(tokenizer, example, tokens, 2)
    return replace(tokens, weights=tuple(float(weight == 2) for weight in marked.weights))
