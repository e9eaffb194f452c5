"""What GGUF files were converted to: folders that are made again when they are needed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from base_models.errors import BaseModelError
from base_models.files import size_of
from base_models.places import CONVERTED, converted_home


class _Note(BaseModel):
    model_config = ConfigDict(extra="ignore")

    sha256: str


@dataclass(frozen=True)
class Conversion:
    """A folder in Hugging Face's layout that was made of the GGUF file with this SHA-256."""

    folder: Path
    sha256: str
    size: int
    """Bytes on disk."""


def conversions() -> list[Conversion]:
    """All conversions: the folders with a readable `converted.json`, whatever else lies beside them."""
    found: list[Conversion] = []
    for note in sorted(converted_home().glob(f"*/{CONVERTED}")):
        try:
            sha256 = _Note.model_validate_json(note.read_bytes()).sha256
            found.append(Conversion(note.parent, sha256, size_of(note.parent)))
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
