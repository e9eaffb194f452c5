"""The set of labels that a data set's conditions are from."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from symptoms.errors import DataError, Fault
from symptoms.taxonomy import conditions
from symptoms.text_files import Places, kind_of, parse_json, read_text

TAXONOMY_FILE = "taxonomy.json"
AN_ENTRY = '{"id": "burnout", "name": "Burnout"}'


@dataclass(frozen=True)
class Label:
    """A condition's id and `text`, what stands after `Primary concern: ` for it.

    `names` are what people may write for it beside these two; a label is the same whatever they are.
    """

    id: str
    text: str
    names: tuple[str, ...] = field(default=(), compare=False)


def labels_of_taxonomy() -> tuple[Label, ...]:
    """The 30 conditions of the bundled taxonomy, in its order."""
    return tuple(Label(one.id, one.label, (one.name, one.formal_name)) for one in conditions())


def find_label(condition: str, labels: Iterable[Label]) -> Label | None:
    """The label that a condition is written for, by its id or by its text."""
    return next((label for label in labels if condition in (label.id, label.text)), None)


def find_label_by_name(condition: str, labels: Iterable[Label]) -> Label | None:
    """The same, or else the only one of that id, text or name when case and underscores do not matter."""
    given = tuple(labels)
    exact = find_label(condition, given)
    if exact is not None:
        return exact
    alike = [label for label in given if _plain(condition) in _all_names(label)]
    return alike[0] if len(alike) == 1 else None


def label_of_initials(short: str, labels: Iterable[Label]) -> Label | None:
    """The only label that has a name with these initials, as GAD for Generalized Anxiety Disorder."""
    meant = [
        label
        for label in labels
        if any(
            short.lower() == _initials(part) for name in label.names for part in re.split(" / | [(]", name)
        )
    ]
    return meant[0] if len(meant) == 1 else None


def _initials(name: str) -> str:
    return "".join(re.findall(r"\b[a-z]", name.lower()))


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
        found = "an empty list" if document == [] else kind_of(cast(object, document))
        raise DataError([Fault(name, 1, "file", f"expected a list such as [{AN_ENTRY}], found {found}")])
    labels: list[Label] = []
    faults: list[Fault] = []
    for line, entry in zip(Places(text).of_elements(), cast(list[object], document), strict=True):
        label = _label(name, line, entry, faults)
        if label is None:
            continue
        if any(label.id == other.id for other in labels):
            faults.append(Fault(name, line, "id", f"{label.id!r} stands twice; keep one"))
        labels.append(label)
    if faults:
        raise DataError(faults)
    return tuple(labels)


def labels_of_the_data(
    found: Iterable[str], find: Callable[[str, Iterable[Label]], Label | None] = find_label
) -> tuple[Label, ...]:
    """The bundled taxonomy where at least half of the distinct conditions are its own, else these."""
    distinct = tuple(dict.fromkeys(found))
    bundled = labels_of_taxonomy()
    known = sum(find(condition, bundled) is not None for condition in distinct)
    if 2 * known >= len(distinct):
        return bundled
    return tuple(Label(condition, condition) for condition in distinct)


def taxonomy_entry(label: Label) -> dict[str, str]:
    """What stands for a label in a `taxonomy.json`, so that it is read back as it is."""
    name, formal = (*label.names, "", "")[:2]
    if formal and label.text in (name, f"{name} ({formal})"):
        return {"id": label.id, "name": name, "formal_name": formal}
    return {"id": label.id, "name": label.text}


def _label(file: str, line: int, entry: object, faults: list[Fault]) -> Label | None:
    """One entry; classification codes and whatever else it holds is left to its owner."""
    if not isinstance(entry, dict):
        faults.append(Fault(file, line, "condition", f"expected {AN_ENTRY}, found {kind_of(entry)}"))
        return None
    fields = cast(dict[str, object], entry)
    problems = {key: _problem(fields.get(key), key in fields) for key in ("id", "name")}
    if "formal_name" in fields and fields["formal_name"] != "":
        problems["formal_name"] = _problem(fields["formal_name"], True)
    faulty = {key: problem for key, problem in problems.items() if problem}
    faults.extend(Fault(file, line, key, problem) for key, problem in faulty.items())
    if faulty:
        return None
    identifier, name, formal = (str(fields.get(key, "")) for key in ("id", "name", "formal_name"))
    text = name if formal in ("", name) else f"{name} ({formal})"
    return Label(identifier, text, tuple(one for one in (name, formal) if one))


def _problem(value: object, is_there: bool) -> str:
    if not is_there:
        return f"expected text, found no such field; write an entry as {AN_ENTRY}"
    if not isinstance(value, str):
        return f"expected text, found {kind_of(value)}"
    if not value.strip():
        return "expected text, found an empty string"
    return "expected one line without spaces around it" if value != value.strip() or "\n" in value else ""


def _all_names(label: Label) -> set[str]:
    return {_plain(name) for name in (label.id, label.text, *label.names)}


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
