"""`python -m benchmarks.fit_crisis_screen`: fit the learned crisis screen to the texts of data/crisis.

Two linear models are asked of a text, since one cannot do both: `topic`, whether it is about anything near
danger at all, learned from all crisis texts, the harmless ones too, against ordinary sentences; and `danger`,
whether it is danger now, learned from the true ones against those that only look so. A third names the
category. Texts that are held out set the thresholds and are learned from by none.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from symptoms.data.misspelling.vocabulary import Vocabulary
from symptoms.safety import learned
from symptoms.safety.languages import ENGLISH
from symptoms.safety.learned.features import BLOCKS, PLACES, Block, features_of
from symptoms.safety.learned.tokens_and_concepts import tokens_of
from symptoms.safety.learned.weights import SMALLEST_NORM, WEIGHTS_FILE, Thresholds, Weights, scores_of
from symptoms.safety.passages import strongest
from symptoms.safety.rulebook import Category
from symptoms.safety.rules_layer import shipped_rules

DATA = Path(__file__).parents[1] / "data" / "crisis"
SHIPPED = Path(learned.__file__).with_name(WEIGHTS_FILE)
ZIP_DATE = (2026, 1, 1, 0, 0, 0)
"""The date in the archive, so that the same weights are the same bytes."""

TEXTS = ("english", "english-pairs", "english-in-descriptions", "other-languages", "written", "hands")
ORDINARY = "ordinary.jsonl.xz"
EXAMPLES = Path("..") / "train-900.jsonl"
HELD_OUT_SENTENCES = 8
"""Every eighth ordinary sentence is held out."""

STRENGTH = {"topic": 20.0, "danger": 10.0, "category": 0.3}
"""Inverse regularisation, chosen with whole files left out."""
WEIGHT_OF_ORDINARY = 0.05
WEIGHT_OF_EXAMPLES = 1.0
"""What ordinary sentences and symptom descriptions weigh for `danger`; for `topic` sentences weigh 1."""
TOLERANCE = 1e-3

MISSPELT = "misspelling_or_no_punctuation"
"""A kind whose true texts are misspelt, so that what only they have must not pass for a word of its own."""

RECALL = 0.915
"""Share of the held-out true texts that `danger` and the rules are to find."""
ORDINARY_ALARMS = 0.008
"""Share of the held-out ordinary sentences that may be alarmed on at either level."""
CLEAR_ALARMS, CLEAR_ALARMS_BY_RULE = 0.02, 0.044
"""Share of the held-out harmless texts that may be called clear: without a rule, and where a rule has found
something, since a plain sentence may score low where harmless texts have its words as often.
"""


@dataclass(frozen=True)
class Text:
    """A text with what is known of it; `crisis` is None for an ordinary sentence or a symptom description."""

    text: str
    crisis: bool | None
    kind: str
    language: str
    source: str
    held_out: bool


def read_texts(folder: Path) -> list[Text]:
    """The labelled texts of data/crisis, in their order."""
    return [
        Text(row["input"], row["crisis"], row["kind"], row["language"], name, row["split"] == "held-out")
        for name in TEXTS
        for row in map(json.loads, (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    ]


def read_ordinary(folder: Path) -> list[Text]:
    """Ordinary sentences, and symptom descriptions of data/train-900.jsonl in which no rule finds danger."""
    lines = lzma.decompress((folder / ORDINARY).read_bytes()).decode("utf-8").splitlines()
    sentences = [
        Text(row["text"], None, row["source"], "en", "ordinary", number % HELD_OUT_SENTENCES == 0)
        for number, row in enumerate(map(json.loads, lines))
    ]
    rows = map(json.loads, (folder / EXAMPLES).read_text(encoding="utf-8").splitlines())
    examples = [
        Text(row["input"], None, row["condition"], "en", "examples", held_out=False)
        for row in rows
        if shipped_rules().screen(row["input"]) is None
    ]
    return sentences + examples


KINDS = {
    Category.COMMAND_VOICES: ("command_voices", "voices_or_paranoia", "voices_and_paranoia"),
    Category.HARM_TO_OTHERS: ("harm_to_others", "urge_to_hurt_someone", "fear_for_child"),
    Category.DANGER_AT_HOME: (
        "danger_at_home",
        "violence_at_home",
        "violence_from_another",
        "child_hurt",
        "hurt_at_home",
    ),
    Category.SELF_HARM: ("self_harm",),
    Category.SOMEONE_ELSE: ("someone_else", "worried_about_someone_else"),
}


def category_of(kind: str) -> Category:
    """The category of a kind of the data; the many ways to speak of one's own death are SUICIDE."""
    for category, names in KINDS.items():
        if any(name in kind for name in names):
            return category
    return Category.SUICIDE


def _has_a_category(text: Text) -> bool:
    """Whether its kind tells the category; the authors of hands.jsonl gave names of their own."""
    return text.source != "hands" and not text.kind.startswith("mixed")


Matrix = Any
"""A scipy csr_matrix, which has no types."""


Counted = dict[Block, dict[int, float]]


def vocabulary_of(texts: Sequence[Text]) -> Vocabulary:
    """The words of the texts that are not held out, but for those that are misspelt on purpose.

    So are many of hands.jsonl, in both labels: a slip that three of them made must not pass for a word.
    """
    by_language: dict[bool, list[str]] = {True: [], False: []}
    for text in texts:
        if not text.held_out and text.kind != MISSPELT and text.source != "hands":
            by_language[text.language == ENGLISH.code] += tokens_of(text.text)
    return Vocabulary.counted(by_language[True], by_language[False])


def counts_of(texts: Sequence[Text], vocabulary: Vocabulary) -> list[Counted]:
    """The features of each text, with what the rules found in it; what is learned from is read as written."""
    found = [shipped_rules().screen(text.text) for text in texts]
    return [
        features_of(text.text, None if one is None else one.category, vocabulary if text.held_out else None)
        for text, one in zip(texts, found, strict=True)
    ]


def rarity_of(counted: Sequence[Counted]) -> NDArray[np.float64]:
    """log((1 + texts) / (1 + texts with it)) + 1 for each place that a text has, and 0 for the others."""
    texts_with = np.zeros(PLACES)
    for blocks in counted:
        for found in blocks.values():
            texts_with[list(found)] += 1
    rarity = np.log((1 + len(counted)) / (1 + texts_with)) + 1
    rules = BLOCKS[-1]
    rarity[rules.start :] = 1.0
    return np.where((texts_with > 0) | (np.arange(PLACES) >= rules.start), rarity, 0.0)


def matrix_of(counted: Sequence[Counted], rarity: NDArray[np.float64]) -> Matrix:
    """A row a text: values times rarity, each block of length one times its scale, as `scores_of` has it."""
    indices: list[int] = []
    values: list[float] = []
    ends = [0]
    for blocks in counted:
        for block in BLOCKS:
            found = blocks.get(block, {})
            raw = [count * rarity[place] for place, count in found.items()]
            norm = max(math.sqrt(sum(value * value for value in raw)), SMALLEST_NORM)
            indices.extend(found)
            values.extend(value * block.scale / norm for value in raw)
        ends.append(len(indices))
    return csr_matrix((values, indices, ends), shape=(len(counted), PLACES))


def fit(texts: Sequence[Text], ordinary: Sequence[Text]) -> Weights:
    """The weights from the texts that are not held out, and the thresholds from those that are."""
    every = [*texts, *ordinary]
    vocabulary = vocabulary_of(every)
    counted = counts_of(every, vocabulary)
    learned = np.array([not text.held_out for text in every])
    exact = rarity_of([blocks for blocks, used in zip(counted, learned, strict=True) if used])
    step = float(exact.max()) / 255
    rarity = np.round(exact / step).astype(np.uint8)
    matrix = matrix_of(counted, rarity.astype(np.float64) * step)

    is_true = np.array([text.crisis is True for text in every])
    is_near = np.array([text.crisis is not None for text in every])
    is_example = np.array([text.source == "examples" for text in every])
    weight = np.where(is_near, 1.0, np.where(is_example, WEIGHT_OF_EXAMPLES, WEIGHT_OF_ORDINARY))
    models = [
        _logistic("topic", matrix, is_near, np.where(is_example, 0.0, 1.0), learned & ~is_example),
        _logistic("danger", matrix, is_true, weight, learned),
    ]
    categories = np.array([list(Category).index(category_of(text.kind)) for text in every])
    named = learned & is_true & np.array([_has_a_category(text) for text in every])
    for number in range(len(Category)):
        one: NDArray[np.bool_] = np.equal(categories, number)
        # Rare categories count as much as the common one.
        share = float(np.mean(one[named]))
        models.append(
            _logistic(
                "category",
                matrix,
                one,
                np.where(one, 0.5 / share, 0.5 / (1 - share)).astype(np.float64),
                named,
            )
        )
    rows, steps = _quantised(np.stack([row for row, _ in models]))
    unset = Thresholds(math.inf, math.inf, math.inf, math.inf)
    biases = np.array([bias for _, bias in models], dtype=np.float32)
    weights = Weights(rows, steps, biases, rarity, step, unset, vocabulary)
    held_out = [(text, blocks) for text, blocks in zip(every, counted, strict=True) if text.held_out]
    return replace(weights, thresholds=fit_thresholds(held_out, weights))


def _logistic(
    name: str, matrix: Matrix, target: NDArray[np.bool_], weight: NDArray[np.float64], used: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    model: Any = LogisticRegression(
        C=STRENGTH[name], solver="liblinear", dual=True, tol=TOLERANCE, max_iter=2000, random_state=0
    )
    model.fit(matrix[used], target[used], sample_weight=weight[used])
    return model.coef_[0], float(model.intercept_[0])


def _quantised(rows: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The rows in steps of a 127th of each block's largest weight."""
    steps = np.ones((len(rows), len(BLOCKS)), dtype=np.float32)
    small = np.zeros(rows.shape, dtype=np.int8)
    for number, block in enumerate(BLOCKS):
        part = slice(block.start, block.start + block.size)
        largest = np.abs(rows[:, part]).max(axis=1)
        steps[:, number] = np.where(largest > 0, largest / 127, 1.0)
        small[:, part] = np.round(rows[:, part] / steps[:, number : number + 1]).astype(np.int8)
    return small, steps


def fit_thresholds(held_out: Sequence[tuple[Text, Counted]], weights: Weights) -> Thresholds:
    """Thresholds for `RECALL` at either level, and at most the stated false alarms."""
    rules = BLOCKS[-1]
    scored = [(text, rules in blocks, scores_of(blocks, weights)) for text, blocks in held_out]
    true = [math.inf if rule else score.danger for text, rule, score in scored if text.crisis]
    possible = float(np.quantile(true, 1 - RECALL, method="lower"))
    ordinary = [(rule, score) for text, rule, score in scored if text.crisis is None]
    by_rule = sum(rule for rule, _ in ordinary)
    others = sorted(
        (score.topic for rule, score in ordinary if not rule and score.danger >= possible), reverse=True
    )
    allowed = max(int(ORDINARY_ALARMS * len(ordinary)) - by_rule, 0)
    topic = others[allowed] if allowed < len(others) else -math.inf
    topic = _above(topic)
    harmless = [
        (rule, *strongest(text.text, score, rule, weights, topic))
        for text, rule, score in scored
        if text.crisis is False
    ]
    with_rule = [by_rule for _, _, by_rule in harmless]
    alone = [-math.inf if rule else danger for rule, danger, _ in harmless]
    return Thresholds(
        topic=topic,
        possible=possible,
        clear=_above(float(np.quantile(alone, 1 - CLEAR_ALARMS, method="higher"))),
        clear_by_rule=_above(float(np.quantile(with_rule, 1 - CLEAR_ALARMS_BY_RULE, method="higher"))),
    )


def _above(score: float) -> float:
    return math.nextafter(score, math.inf)


def weights_archive(weights: Weights) -> bytes:
    """The weights as an .npz archive; equal weights are equal bytes."""
    settings = {"rarity_step": weights.rarity_step, "thresholds": vars(weights.thresholds)}
    arrays = {
        "rows": weights.rows,
        "steps": weights.steps,
        "biases": weights.biases,
        "rarity": weights.rarity,
        "words": np.frombuffer(weights.vocabulary.to_text().encode("utf-8"), dtype=np.uint8),
        "settings": np.array(json.dumps(settings)),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", ZIP_DATE)
            file.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return archive.getvalue()


def main() -> None:
    """Fit the weights and write them where they ship."""
    weights = fit(read_texts(DATA), read_ordinary(DATA))
    SHIPPED.write_bytes(weights_archive(weights))


if __name__ == "__main__":
    main()
