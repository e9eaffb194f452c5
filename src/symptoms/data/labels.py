"""The set of labels that a data set's conditions are from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from symptoms.data.reading import Places, kind_of, parse_json, read_text
from symptoms.errors import DataError, Fault
from symptoms.taxonomy import conditions

TAXONOMY_FILE = "taxonomy.json"


@dataclass(frozen=True)
class Label:
    """A condition's id and `text`, what stands after `Primary concern: ` for it."""

    id: str
    text: str


class _Entry(BaseModel):
    # Classification codes and whatever else a taxonomy holds is left to its owner.
    model_config = ConfigDict(extra="ignore", strict=True)

    id: str = Field(pattern=r"^\S(.*\S)?$")
    name: str = Field(pattern=r"^\S(.*\S)?$")
    formal_name: str = Field(default="", pattern=r"^(\S(.*\S)?)?$")


def labels_of_taxonomy() -> tuple[Label, ...]:
    """The 30 conditions of the bundled taxonomy, in its order."""
    return tuple(Label(condition.id, condition.label) for condition in conditions())


def find_label(condition: str, labels: Iterable[Label]) -> Label | None:
    """The label that a condition is written for, by its id or by its text."""
    return next((label for label in labels if condition in (label.id, label.text)), None)


def labels_beside(path: Path) -> tuple[Label, ...] | None:
    """The labels of the `taxonomy.json` in the file's folder, a list of {id, name, formal_name}.

    None where there is no such file; raises DataError with all its faults.
    """
    file = path.with_name(TAXONOMY_FILE)
    if not file.exists():
        return None
    name = str(file)
    text, _ = read_text(file)
    document: object = parse_json(name, text)
    if not isinstance(document, list) or document == []:
        found = kind_of(cast(object, document))
        raise DataError([Fault(name, 1, "file", f"expected a list of id and name, found {found}")])
    labels: list[Label] = []
    faults: list[Fault] = []
    for line, found in zip(Places(text).of_elements(), cast(list[object], document), strict=True):
        try:
            entry = _Entry.model_validate(found)
        except ValidationError as error:
            for problem in error.errors():
                field = str(problem["loc"][0]) if problem["loc"] else "condition"
                faults.append(Fault(name, line, field, problem["msg"].lower()))
            continue
        if any(entry.id == label.id for label in labels):
            faults.append(Fault(name, line, "id", f"{entry.id!r} stands twice; keep one"))
        formal = "" if entry.formal_name in ("", entry.name) else f" ({entry.formal_name})"
        labels.append(Label(entry.id, entry.name + formal))
    if faults:
        raise DataError(faults)
    return tuple(labels)


def labels_of_the_data(found: Iterable[str]) -> tuple[Label, ...]:
    """The bundled taxonomy where at least half of the distinct conditions are its own, else these."""
    distinct = tuple(dict.fromkeys(found))
    bundled = labels_of_taxonomy()
    known = sum(find_label(condition, bundled) is not None for condition in distinct)
    if 2 * known >= len(distinct):
        return bundled
    return tuple(Label(condition, condition) for condition in distinct)
