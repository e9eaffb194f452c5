"""The symptom terms that a data set may use: those of a `symptoms.json` beside it, or the bundled ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from symptoms.data.labels import Label, labels_of_taxonomy
from symptoms.errors import DataError, Fault
from symptoms.taxonomy import symptom_terms
from symptoms.text_files import kind_of, parse_json, read_text

TERMS_FILE = "symptoms.json"
AN_EXAMPLE = '["low mood", "fatigue"], or groups of them, {"mood": ["low mood"]}'


def terms_for(path: Path, labels: Sequence[Label]) -> Mapping[str, tuple[str, ...]] | None:
    """The terms by group for a data set with these labels; None where any term will do.

    Raises DataError for a faulty `symptoms.json` beside the file.
    """
    own = terms_beside(path)
    if own is not None:
        return own
    return symptom_terms() if tuple(labels) == labels_of_taxonomy() else None


def terms_beside(path: Path) -> Mapping[str, tuple[str, ...]] | None:
    """Those of the `symptoms.json` in the file's folder; None where there is no such file."""
    file = path.with_name(TERMS_FILE)
    if not file.exists():
        return None
    name = str(file)
    document: object = parse_json(name, read_text(file)[0])
    if isinstance(document, list):
        document = {"": cast(list[object], document)}
    if not isinstance(document, dict) or not document:
        what = "an empty object" if document == {} else kind_of(cast(object, document))
        raise DataError([Fault(name, 1, "file", f"expected {AN_EXAMPLE}, found {what}")])
    faults: list[Fault] = []
    groups: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for group, found in cast(dict[str, object], document).items():
        if not isinstance(found, list):
            faults.append(Fault(name, 1, group, f"expected a list of terms, found {kind_of(found)}"))
            continue
        terms: list[str] = []
        for term in cast(list[object], found):
            problem = _problem(term, seen)
            if problem:
                faults.append(Fault(name, 1, group or "term", problem))
            else:
                terms.append(cast(str, term))
                seen.add(cast(str, term))
        groups[group] = tuple(terms)
    if not faults and not any(groups.values()):
        faults.append(Fault(name, 1, "file", f"expected {AN_EXAMPLE}, found no term; add some, or remove it"))
    if faults:
        raise DataError(faults)
    return groups


def _problem(term: object, seen: set[str]) -> str:
    if not isinstance(term, str):
        return f"expected text, found {kind_of(term)}"
    if not term or term != term.strip() or "\n" in term or "," in term:
        return f"expected a term of one line without commas or spaces around it, found {term!r}"
    return f"{term!r} stands twice; keep one" if term in seen else ""
