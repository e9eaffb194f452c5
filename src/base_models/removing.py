"""Removing what was got by name and what GGUF files were converted to; nobody else's files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from base_models.conversions import Conversion, conversions, remove_conversion
from base_models.errors import BaseModelError
from base_models.files import sha256_of, size_of
from base_models.getting import held_home
from base_models.got import note_file, package_file, read_note
from base_models.places import LM_STUDIO, OLLAMA
from base_models.resolving import nearest_name
from base_models.table import known_models


@dataclass(frozen=True)
class Removed:
    """What was removed, and what was left where it belongs to others."""

    file: Path | None
    conversions: tuple[Conversion, ...]
    size: int
    """Bytes, all together."""
    left_in_hub_cache: str | None
    """The hub's repository that is still in the hub's cache."""


def remove(name: str) -> Removed:
    """Remove what was got by a name of the table, and what it was converted to.

    Raises BaseModelError for names that are not in the table, for what is part of the package, and for what
    is not there.
    """
    row = known_models().get(name)
    if row is None:
        raise BaseModelError(_not_ours(name))
    if row.is_bundled:
        raise BaseModelError(f"{name} is part of the package; uninstall that to remove it.")
    file, note = package_file(name, row), note_file(name)
    there = file is not None and file.is_file()
    if not there and not note.exists():
        raise BaseModelError(f"{name} is not on this machine, so there is nothing to remove.")
    with held_home():
        repository = _noted_repository(name)
        note.unlink(missing_ok=True)
        size = 0
        of_it: tuple[Conversion, ...] = ()
        if file is not None and there:
            # By the digest of the table, too, since the file may have changed after it was converted.
            digests = {sha256_of(file), *([] if row.package is None else [row.package.file_sha256])}
            of_it = tuple(one for one in conversions() if one.sha256 in digests)
            size = size_of(file)
            file.unlink()
        with suppress(OSError):
            note.parent.rmdir()
    _remove_all(of_it)
    size += sum(one.size for one in of_it)
    return Removed(file if there else None, of_it, size, repository)


def remove_conversions() -> tuple[Conversion, ...]:
    """Remove all conversions, whatever they were made of; raises BaseModelError where one cannot be."""
    found = tuple(conversions())
    _remove_all(found)
    return found


def _noted_repository(name: str) -> str | None:
    try:
        note = read_note(name)
    except BaseModelError:
        # A damaged note is removed like any other.
        return None
    return None if note is None else note.repository


def _remove_all(found: tuple[Conversion, ...]) -> None:
    for conversion in found:
        remove_conversion(conversion)


def _not_ours(name: str) -> str:
    if name.startswith(OLLAMA):
        return f"{name} is Ollama's; 'ollama rm {name.removeprefix(OLLAMA)}' removes it."
    if name.startswith(LM_STUDIO):
        return f"{name} is LM Studio's; remove it there."
    near = nearest_name(name)
    if near is not None:
        return f"There is no model to remove by the name {name!r}; did you mean {near}?"
    return (
        f"There is no model to remove by the name {name!r}; only what 'symptoms models get' got is removed: "
        f"{', '.join(known_models())}."
    )
