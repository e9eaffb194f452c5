"""The sentences of a text one by one, so that harmless ones beside it do not hide what one of them says.

A linear model scores what a text is like as a whole, so that each everyday sentence before or after an
explicit one makes the whole look more like everyday life.
"""

import math
import re
from collections.abc import Iterator
from itertools import pairwise

from symptoms.safety.learned import Scores, Weights, features_of, scores_of
from symptoms.safety.learned.tokens_and_concepts import within_reach
from symptoms.safety.rules_layer import shipped_rules
from symptoms.safety.text.normalising import normalised

SENTENCE_BREAK = re.compile(r"(?<=[.!?…])[\s\"')\]]*\s|\n")
FIRST_AND_LAST = 20
"""Sentences read at the beginning of a text, and as many at its end, so that any text takes little time."""
NEAR_DANGER = -1.0
"""Danger score of the whole text from which its sentences are read one by one where no rule has found danger.

The highest of -2, -1.5, -1, -0.5 and 0 at which of the held-out true texts that are clear by themselves fewer
than one in forty loses that beside an everyday sentence; at 0 it is one in eighteen.
"""


def passages(text: str) -> Iterator[str]:
    """The sentences of a text of several, and each two that follow each other."""
    sentences = [one for one in SENTENCE_BREAK.split(within_reach(normalised(text))) if one and one.strip()]
    if len(sentences) > 2 * FIRST_AND_LAST:
        sentences = sentences[:FIRST_AND_LAST] + sentences[-FIRST_AND_LAST:]
    if len(sentences) > 1:
        yield from sentences
    if len(sentences) > 2:
        yield from map(" ".join, pairwise(sentences))


def strongest(
    text: str, whole: Scores, found_by_rule: bool, weights: Weights, topic: float
) -> tuple[float, float]:
    """The highest danger scores of a text and its passages: of any, and of those that a rule finds danger in.

    `whole` are the scores of all of it, `found_by_rule` whether a rule finds danger in all of it. What scores
    below `topic` counts by a rule alone. -inf where none counts.
    """
    near = whole.topic >= topic
    best = whole.danger if near else -math.inf
    best_by_rule = whole.danger if found_by_rule else -math.inf
    read_alone = near and whole.danger >= NEAR_DANGER
    if not (read_alone or found_by_rule):
        return best, best_by_rule
    for passage in passages(text):
        # What the rest of the text excuses, it excuses here, too.
        found = shipped_rules().screen(passage) if found_by_rule else None
        category = None if found is None else found.category
        scores = scores_of(features_of(passage, category, weights.vocabulary), weights)
        if read_alone and scores.topic >= topic:
            best = max(best, scores.danger)
        if found is not None:
            best_by_rule = max(best_by_rule, scores.danger)
    return best, best_by_rule
