"""What is known of a run beside its own records: small JSON files in its directory, each replaced whole."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from symptoms.errors import RunError
from symptoms.runs.files import replace_text

Kept = TypeVar("Kept", bound=BaseModel)


def write_file(file: Path, kept: BaseModel) -> None:
    """Keep it under this name, in place of what was there."""
    replace_text(file, kept.model_dump_json(indent=1) + "\n")


def read_file(file: Path, form: type[Kept]) -> Kept | None:
    """What is kept under this name, None where there is nothing; raises RunError for a file that is none."""
    try:
        return form.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise RunError(
            f"{file} cannot be read; remove it, or write it anew with 'symptoms evaluate {file.parent.name}'."
        ) from error
