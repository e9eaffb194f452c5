"""What GGUF files were converted to: folders that are made again when they are needed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base_models.errors import BaseModelError
from base_models.files import size_of
from base_models.places import CONVERTED, converted_home


class ConversionNote(BaseModel):
    """converted.json: what a folder was made from and by, and the sizes of its files in bytes."""

    # What another version wrote beside this is still a conversion, which can be listed and removed.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    sources: list[str]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    dtype: str
    converter: int
    gguf: str
    files: dict[str, int]


@dataclass(frozen=True)
class Conversion:
    """A folder in Hugging Face's layout that was made of the GGUF file with this SHA-256."""

    folder: Path
    sha256: str
    size: int
    """Bytes on disk."""


def read_conversion_note(folder: Path) -> ConversionNote | None:
    """What a folder of converted weights was made of; None where its files are not as they were made.

    Tidying programs take single files out of caches, and a folder that was trained and saved over is no
    conversion any more.
    """
    try:
        note = ConversionNote.model_validate_json((folder / CONVERTED).read_bytes())
        is_whole = all((folder / name).stat().st_size == size for name, size in note.files.items())
    # ValueError for what is not such JSON, and for a name that no file can have.
    except (OSError, ValueError):
        return None
    return note if is_whole else None


def conversions() -> list[Conversion]:
    """All conversions, damaged ones too: the folders with a readable `converted.json`."""
    found: list[Conversion] = []
    for file in sorted(converted_home().glob(f"*/{CONVERTED}")):
        try:
            note = ConversionNote.model_validate_json(file.read_bytes())
            found.append(Conversion(file.parent, note.sha256, size_of(file.parent)))
        except (OSError, ValidationError):
            # Being made or removed by another process just now, or not ours.
            continue
    return found


def remove_conversion(conversion: Conversion) -> None:
    """Remove one; raises BaseModelError where it cannot be removed."""
    try:
        # Without its note first, so that half of a conversion is never taken for one.
        os.unlink(conversion.folder / CONVERTED)
        shutil.rmtree(conversion.folder)
    except OSError as error:
        raise BaseModelError(
            f"{conversion.folder} cannot be removed ({error.strerror}); check who may write there."
        ) from error
