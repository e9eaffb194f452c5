"""Which symptom terms fit a text, by what the training set shows of each.

Three things speak for a term, each in log-odds: how often it goes with the conditions that the text
resembles, what the text's words say (TF-IDF and logistic regression, one for each term), and whether a cue of
the term stands in the text, which tells much of some terms and little of others. One logistic regression for
all terms weighs the three; it is fitted on dev, with the probability from which on a term is named.

The model's own list, which it writes greedily after the concern, stops at what is likeliest one by one, and
was right less often (docs/log.md). So nothing is written where the run has this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symptoms.classifier.run_files.array_files import read_arrays, write_arrays
from symptoms.classifier.run_files.run_calibration import SymptomCalibration
from symptoms.classifier.word_models.spelling import Speller
from symptoms.classifier.word_models.word_vote import WordModel, single_words
from symptoms.data import cued_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SYMPTOMS_FILE = "symptoms.npz"
SHARE_EXAMPLES = 2.0
"""Examples with the term's overall share that each condition's own are smoothed with."""
CUE_EXAMPLES = 5.0
"""The same for texts with, and without, a cue of the term; between 1 and 20 dev saw no difference."""
UNCUED = 0.5
"""How often a term is expected in texts without a cue of it, as a part of its overall share."""
FEWEST_TEXTS_OF_A_WORD = 3
"""A word counts where so many of the training texts have it."""
TERM_STRENGTH = 10.0
"""Inverse regularisation of each term's logistic regression; 3 and 30 were no better on dev."""
LEAST_WEIGHT = 0.25
"""Smaller weights of words are left out, which makes the file half as large and changes no figure on dev."""
_LEAST_SHARE = 1e-5


@dataclass(frozen=True)
class SymptomModel:
    """What a training set shows of each term.

    `shares` float32 [labels, terms], how often each goes with each label. `cues` float32 [2, terms], what the
    log-odds of a term change by where no cue of it is in the text, and where one is. `words` has the terms as
    its labels. `labels` are ids, in the order of the rows.
    """

    labels: tuple[str, ...]
    shares: NDArray[np.float32]
    cues: NDArray[np.float32]
    words: WordModel

    @property
    def terms(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return self.words.labels

    @cached_property
    def speller(self) -> Speller:
        """What reads misspelt words as those that the model knows; texts go through it first."""
        return Speller.of(self.terms, self.words.terms)

    def figures(self, probabilities: NDArray[np.float64], text: str) -> NDArray[np.float64]:
        """What conditions, words and cues say of each term, float64 [terms, 3], in log-odds.

        `probabilities` [labels] are those of the labels for this text.
        """
        import numpy as np

        found = cued_terms(text, self.terms)
        cued = np.array([term in found for term in self.terms], dtype=np.int64)
        by_conditions = log_odds(probabilities @ self.shares.astype(np.float64))
        by_cues = self.cues.astype(np.float64)[cued, np.arange(len(cued))]
        return np.stack([by_conditions, self.words.scores(text), by_cues], axis=1)


@dataclass(frozen=True)
class SymptomReader:
    """Names the terms that fit a text."""

    model: SymptomModel
    fitted: SymptomCalibration

    def probabilities(self, probabilities: NDArray[np.float64], text: str) -> NDArray[np.float64]:
        """Of each term, float64 [terms], for a text with these probabilities of the labels."""
        import numpy as np

        figures = self.model.figures(probabilities, text)
        return 1.0 / (1.0 + np.exp(-(figures @ np.array(self.fitted.weights) + self.fitted.offset)))

    def named(self, probabilities: NDArray[np.float64], text: str) -> tuple[str, ...]:
        """The terms at or above the threshold, the likeliest first."""
        found = self.probabilities(probabilities, text)
        order: list[int] = (-found).argsort(kind="stable").tolist()
        return tuple(self.model.terms[place] for place in order if found[place] >= self.fitted.threshold)


def fit_symptom_model(
    texts: Sequence[str], conditions: Sequence[str], annotated: Sequence[Sequence[str]], labels: Sequence[str]
) -> SymptomModel | None:
    """Fitted on texts, the ids of their conditions and their terms.

    None where no term stands in some texts and not in others, a label has no text, or no word recurs.
    """
    import numpy as np

    counts = {term: sum(term in one for one in annotated) for group in annotated for term in group}
    terms = tuple(sorted(term for term, count in counts.items() if count < len(texts)))
    if not terms or set(conditions) != set(labels):
        return None
    has = np.array([[term in one for term in terms] for one in annotated])
    words = _word_model(texts, has, terms)
    if words is None:
        return None
    overall = has.mean(axis=0)
    places = np.array([list(labels).index(condition) for condition in conditions])
    shares = np.stack(
        [_smoothed(has[places == place], overall, SHARE_EXAMPLES) for place in range(len(labels))]
    )
    cued = np.array([[term in found for term in terms] for found in (cued_terms(t, terms) for t in texts)])
    precision = (has & cued).sum() / max(1, cued.sum())
    with_cue = _share((has & cued).sum(axis=0), cued.sum(axis=0), precision, CUE_EXAMPLES)
    without = _share((has & ~cued).sum(axis=0), (~cued).sum(axis=0), UNCUED * overall, CUE_EXAMPLES)
    cues = np.stack([log_odds(without), log_odds(with_cue)]) - log_odds(overall)
    return SymptomModel(tuple(labels), shares.astype(np.float32), cues.astype(np.float32), words)


def log_odds(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of probabilities, none of them nearer to 0 or 1 than 0.00001."""
    import numpy as np

    kept = np.clip(shares, _LEAST_SHARE, 1 - _LEAST_SHARE)
    return np.log(kept / (1 - kept))


def write_symptom_model(folder: Path, model: SymptomModel) -> None:
    """Keep it in a folder, in place of an earlier one."""
    import numpy as np

    own = {"conditions": np.array(model.labels), "shares": model.shares, "cues": model.cues}
    write_arrays(folder / SYMPTOMS_FILE, own | model.words.arrays())


def read_symptom_model(folder: Path) -> SymptomModel | None:
    """That of a folder, None where there is none; raises RunError for a file that is none."""
    return read_arrays(folder / SYMPTOMS_FILE, _of_arrays)


def _of_arrays(stored: Mapping[str, NDArray[Any]]) -> SymptomModel:
    labels = tuple(str(label) for label in stored["conditions"])
    return SymptomModel(labels, stored["shares"], stored["cues"], WordModel.of_arrays(stored))


def _smoothed(has: NDArray[np.bool_], overall: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    return _share(has.sum(axis=0), len(has), overall, weight)


def _share(found: Any, of: Any, expected: Any, weight: float) -> NDArray[np.float64]:
    """The share of `found` among `of`, with so many examples more of what is expected."""
    return (found + weight * expected) / (of + weight)


def _word_model(texts: Sequence[str], has: NDArray[np.bool_], terms: tuple[str, ...]) -> WordModel | None:
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    try:
        vectorizer = TfidfVectorizer(analyzer=single_words, sublinear_tf=True, min_df=FEWEST_TEXTS_OF_A_WORD)
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # no word is left
        return None
    fitted = [
        LogisticRegression(C=TERM_STRENGTH, solver="liblinear", random_state=0).fit(vectors, has[:, place])
        for place in range(len(terms))
    ]
    weights = np.stack([one.coef_[0] for one in fitted], axis=1)
    return WordModel(
        labels=terms,
        terms=tuple(str(word) for word in vectorizer.get_feature_names_out()),
        rarity=vectorizer.idf_.astype(np.float32),
        weights=np.where(np.abs(weights) < LEAST_WEIGHT, 0.0, weights).astype(np.float16),
        offsets=np.array([one.intercept_[0] for one in fitted], dtype=np.float32),
    )
