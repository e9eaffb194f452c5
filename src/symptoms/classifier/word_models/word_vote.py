"""What the words alone say: TF-IDF and logistic regression, beside a language model.

The two err on different texts, so that their probabilities together are better than either's: the labels'
log-probabilities by the model, plus a weight times those by the words (a logarithmic opinion pool, as in
Heskes 1998, "Selecting weighting factors in logarithmic opinion pools"). `symptoms evaluate` fits the words
on what the run was trained on, and the weight on dev. Plain arrays, so that answering needs no scikit-learn.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symptoms.classifier.run_files.array_files import read_arrays, write_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS_FILE = "words.npz"
FEWEST_TEXTS_OF_A_TERM = 2
"""A word, or two that stand side by side, counts where so many of the training texts have it."""
WORD_STRENGTH = 30.0
"""Inverse regularisation, chosen on dev among 10 and 30."""

_SINGLE_WORD = re.compile(r"\b\w+\b")


@dataclass(frozen=True)
class WordModel:
    """A linear classifier of TF-IDF vectors: one row of the arrays for each term.

    `weights` float16 [terms, labels], `offsets` float32 [labels], `rarity` float32 [terms], the inverse
    document frequencies. `labels` are ids, in the order of the columns.
    """

    labels: tuple[str, ...]
    terms: tuple[str, ...]
    rarity: NDArray[np.float32]
    weights: NDArray[np.float16]
    offsets: NDArray[np.float32]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    def scores(self, text: str) -> NDArray[np.float64]:
        """What a text's words add up to for each label, float64 [labels], in nats."""
        import numpy as np

        known = [
            (self._places[term], 1.0 + math.log(count))
            for term, count in Counter(_terms_of(text)).items()
            if term in self._places
        ]
        scores = self.offsets.astype(np.float64)
        if known:
            places = [place for place, _ in known]
            values = np.array([value for _, value in known]) * self.rarity[places]
            scores = scores + (values / np.linalg.norm(values)) @ self.weights[places].astype(np.float64)
        return scores

    def log_probabilities(self, text: str) -> NDArray[np.float64]:
        """Of each label, float64 [labels], in nats; they add up to one as probabilities."""
        import numpy as np

        scores = self.scores(text)
        shifted = scores - scores.max()
        return shifted - np.log(np.exp(shifted).sum())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it by name, as a file keeps it."""
        import numpy as np

        return {
            "labels": np.array(self.labels),
            "terms": np.array("\n".join(self.terms)),
            "rarity": self.rarity,
            "weights": self.weights,
            "offsets": self.offsets,
        }

    @classmethod
    def of_arrays(cls, stored: Mapping[str, NDArray[Any]]) -> WordModel:
        """What `arrays` made; raises KeyError where something is missing."""
        return cls(
            labels=tuple(str(label) for label in stored["labels"]),
            terms=tuple(str(stored["terms"]).split("\n")),
            rarity=stored["rarity"],
            weights=stored["weights"],
            offsets=stored["offsets"],
        )


@dataclass(frozen=True)
class WordVote:
    """A model of words and how much it counts beside the language model, which counts 1."""

    model: WordModel
    weight: float

    def added_to(self, logprobs: NDArray[np.float64], text: str) -> NDArray[np.float64]:
        """The language model's log-probabilities of the labels [labels] with the words' own beside them."""
        return logprobs + self.weight * self.model.log_probabilities(text)


def fit_word_model(
    texts: Sequence[str], conditions: Sequence[str], labels: Sequence[str]
) -> WordModel | None:
    """Fitted on texts and the ids of their conditions; None where a label has no text, or no word recurs."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(labels) < 2 or set(conditions) != set(labels):
        return None
    terms = [list(_terms_of(text)) for text in texts]
    if (
        max(Counter(term for each in terms for term in set(each)).values(), default=0)
        < FEWEST_TEXTS_OF_A_TERM
    ):
        return None
    vectorizer = TfidfVectorizer(analyzer=_terms_of, sublinear_tf=True, min_df=FEWEST_TEXTS_OF_A_TERM)
    vectors = vectorizer.fit_transform(texts)
    fitted = LogisticRegression(C=WORD_STRENGTH, max_iter=1000).fit(vectors, list(conditions))
    order = [list(fitted.classes_).index(label) for label in labels]
    coefficients, offsets = fitted.coef_, fitted.intercept_
    if len(labels) == 2:  # scikit-learn keeps one column for two classes
        coefficients, offsets = np.vstack([-coefficients, coefficients]) / 2, np.array([-1, 1]) * offsets / 2
    return WordModel(
        labels=tuple(labels),
        terms=tuple(str(term) for term in vectorizer.get_feature_names_out()),
        rarity=vectorizer.idf_.astype(np.float32),
        weights=coefficients[order].T.astype(np.float16),
        offsets=offsets[order].astype(np.float32),
    )


def write_word_model(folder: Path, model: WordModel) -> None:
    """Keep it in a folder, in place of an earlier one."""
    write_arrays(folder / WORDS_FILE, model.arrays())


def read_word_model(folder: Path) -> WordModel | None:
    """That of a folder, None where there is none; raises RunError for a file that is none."""
    return read_arrays(folder / WORDS_FILE, WordModel.of_arrays)


def _terms_of(text: str) -> Iterable[str]:
    words = single_words(text)
    yield from words
    for first, second in pairwise(words):
        yield f"{first} {second}"


def single_words(text: str) -> list[str]:
    """The words of a text in small letters, one by one."""
    return _SINGLE_WORD.findall(text.lower())
