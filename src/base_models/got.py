"""What `symptoms models get` left on this machine for a name of the table.

Either a file from a package, which lies in `got_home()/<name>/`, or a note there of which commit of a hub's
repository was downloaded into the hub's own cache. The file goes before the note.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base_models.errors import BaseModelError
from base_models.files import move_into_place
from base_models.origins.hub import cached
from base_models.places import got_home
from base_models.table import KnownModel


class HubNote(BaseModel):
    """A commit of a repository that was downloaded into the hub's cache."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    repository: str = Field(min_length=1)
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")


def package_file(name: str, row: KnownModel) -> Path | None:
    """Where a package's file is kept, whether it is there or not; None for a model without a package."""
    return None if row.package is None else got_home() / name / row.package.file_name


def note_file(name: str) -> Path:
    """Where it is noted which commit of a hub's repository was got."""
    return got_home() / name / "source.json"


def find_got(name: str, row: KnownModel) -> Path | None:
    """The file or folder that was got, None where nothing was.

    Raises BaseModelError where it has changed or gone since. Only its size is looked at: reading all of it
    takes longer than loading it does.
    """
    file = package_file(name, row)
    if file is not None and row.package is not None and os.path.isfile(file):
        if file.stat().st_size != row.package.file_bytes:
            raise BaseModelError(
                f"{file} is not the file that belongs there; 'symptoms models get {name}' gets it again."
            )
        return file
    note = read_note(name)
    if note is None:
        return None
    folder = cached(note.repository, note.commit)
    if folder is None:
        raise BaseModelError(
            f"{note.repository} is no longer in the model hub's cache; "
            f"'symptoms models get {name} --from hub' gets it again."
        )
    return folder


def read_note(name: str) -> HubNote | None:
    """What was got from the hub, None where nothing was; raises BaseModelError for a damaged note."""
    file = note_file(name)
    try:
        return HubNote.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BaseModelError(f"{file} cannot be read ({error.strerror}); check who may read it.") from error
    except ValidationError as error:
        raise BaseModelError(
            f"{file} is damaged; 'symptoms models get {name} --from hub' writes it again."
        ) from error


def write_note(name: str, note: HubNote, staging: Path) -> None:
    """Note what was got from the hub, by way of a temporary folder on the same disk."""
    temporary = staging / note_file(name).name
    temporary.write_text(json.dumps(note.model_dump(), indent=1) + "\n", encoding="utf-8")
    move_into_place(temporary, note_file(name))
