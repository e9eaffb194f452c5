"""How many labelled texts the screen finds, and how often it alarms for nothing."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symptoms.errors import InputError
from symptoms.safety.screening import Level, Screening, screen

Z = 1.959964
"""Of the standard normal distribution, for 95%."""
TEXT_FIELDS = ("input", "text")
LABEL_FIELDS = ("crisis", "label")
HELD_OUT_SPLIT = "held-out"

LEVEL_BY_LAYER: dict[str, Callable[[Screening], Level]] = {
    "rules": lambda screening: screening.by_rules,
    "learned": lambda screening: screening.by_learned,
    "together": lambda screening: screening.level,
}
MODEL, WITH_MODEL = "the model's answer", "with the model"
"""The third layer alone, and all three, where it was asked."""


@dataclass(frozen=True)
class LabelledText:
    """A text, and whether it speaks of danger now."""

    text: str
    crisis: bool
    kind: str
    language: str


@dataclass(frozen=True)
class Share:
    """`count` of `total`, with the bounds of its 95% Wilson interval (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """From 0 to 1; NaN where `total` is 0."""
        return self.count / self.total if self.total else math.nan

    @property
    def bounds(self) -> tuple[float, float]:
        """(low, high), each from 0 to 1; both NaN where `total` is 0."""
        if not self.total:
            return math.nan, math.nan
        share, weight = self.value, Z * Z / self.total
        middle = (share + weight / 2) / (1 + weight)
        half = Z * math.sqrt(share * (1 - share) / self.total + weight / (4 * self.total)) / (1 + weight)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Measure:
    """Of the true texts those found at either level and those called clear; of the harmless ones likewise."""

    found: Share
    found_clear: Share
    alarms: Share
    alarms_clear: Share


@dataclass(frozen=True)
class SafetyReport:
    """The measures of one set of texts: by layer, and of all that were asked by language and by kind."""

    by_layer: dict[str, Measure]
    by_language: dict[str, Measure]
    by_kind: dict[str, Measure]

    def to_json(self) -> dict[str, Any]:
        """Shares by grouping, group and measure, each with its bounds; null where there were no texts."""
        return {
            name: {group: _measure_to_json(measure) for group, measure in groups.items()}
            for name, groups in vars(self).items()
        }


def measure(texts: Sequence[LabelledText], by_model: Sequence[Level] | None = None) -> SafetyReport:
    """The report of labelled texts; `by_model` is what the third layer says of each, where it was asked."""
    screened = [screen(text.text) for text in texts]
    levels = {name: [level(screening) for screening in screened] for name, level in LEVEL_BY_LAYER.items()}
    shown = levels["together"]
    if by_model is not None:
        beside = [screen(text.text, beside_model=True) for text in texts]
        shown = [one.raised_to(level).level for one, level in zip(beside, by_model, strict=True)]
        levels |= {MODEL: list(by_model), WITH_MODEL: shown}
    by_language: dict[str, list[tuple[bool, Level]]] = defaultdict(list)
    by_kind: dict[str, list[tuple[bool, Level]]] = defaultdict(list)
    for text, level in zip(texts, shown, strict=True):
        by_language[text.language].append((text.crisis, level))
        by_kind[text.kind.rpartition("/")[2]].append((text.crisis, level))
    crisis = [text.crisis for text in texts]
    return SafetyReport(
        by_layer={name: _measured(zip(crisis, found, strict=True)) for name, found in levels.items()},
        by_language={language: _measured(of) for language, of in sorted(by_language.items())},
        by_kind={kind: _measured(of) for kind, of in sorted(by_kind.items())},
    )


def read_labelled(path: Path) -> list[LabelledText]:
    """The texts of a JSON Lines file: `input` or `text`, and `crisis` or `label`: true or false, or 1 or 0.

    `kind` and `language` may stand beside them. Raises InputError for a file or a line that is not so.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the path.") from error
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text; name a .jsonl file.") from error
    texts = [_read(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not texts:
        raise InputError(f"{path} has no texts; write one JSON object with 'text' and 'label' a line.")
    return texts


def read_held_out(folder: Path) -> list[LabelledText]:
    """The texts of data/crisis that set the thresholds, and that nothing was learned from.

    Raises InputError where the folder is not there.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(
            f"There is no {folder} here; name a .jsonl file with 'text' and 'label' to report on."
        )
    return [
        _read(path, number, line)
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if json.loads(line)["split"] == HELD_OUT_SPLIT
    ]


def _read(path: Path, number: int, line: str) -> LabelledText:
    where = f"Line {number} of {path}"
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON; write one object a line.") from error
    if not isinstance(row, dict):
        raise InputError(f"{where} is no object; write one with 'text' and 'label'.")
    fields: dict[str, Any] = dict(row)  # pyright: ignore[reportUnknownArgumentType]
    text = next((fields[name] for name in TEXT_FIELDS if name in fields), None)
    label = next((fields[name] for name in LABEL_FIELDS if name in fields), None)
    if not isinstance(text, str):
        raise InputError(f"{where} has no 'text' (or 'input') that is a string; add it.")
    if label not in (True, False):
        found = "no 'label' (or 'crisis')" if label is None else f"the label {label!r}"
        raise InputError(
            f"{where} has {found}, and this report counts texts by whether they speak of danger now: write "
            "true where a text does and false where not (1 and 0 will do), whatever condition it is of."
        )
    return LabelledText(text, bool(label), str(fields.get("kind", "-")), str(fields.get("language", "-")))


def _measured(outcomes: Iterable[tuple[bool, Level]]) -> Measure:
    true: list[Level] = []
    harmless: list[Level] = []
    for crisis, level in outcomes:
        (true if crisis else harmless).append(level)
    return Measure(_raised(true), _clear(true), _raised(harmless), _clear(harmless))


def _raised(levels: Sequence[Level]) -> Share:
    return Share(sum(level is not Level.NONE for level in levels), len(levels))


def _clear(levels: Sequence[Level]) -> Share:
    return Share(sum(level is Level.CLEAR for level in levels), len(levels))


def _measure_to_json(measure: Measure) -> dict[str, Any]:
    return {
        name: {
            "count": share.count,
            "total": share.total,
            "share": share.value if share.total else None,
            "low": share.bounds[0] if share.total else None,
            "high": share.bounds[1] if share.total else None,
        }
        for name, share in vars(measure).items()
    }
