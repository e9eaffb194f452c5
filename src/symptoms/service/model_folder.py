"""What our own server's folder of a base model tells: which weights they are, and how text becomes tokens."""

import hashlib
from functools import cache
from pathlib import Path

from base_models import is_bundled
from base_models.conversions import ConversionNote, read_conversion_note
from base_models.places import converted_home
from symptoms.tokens import is_whole_tokenizer


def tokenizer_says_all(folder: Path) -> bool:
    """Whether tokenizer.json alone is the tokenizer; others go by further files, which transformers reads."""
    return is_bundled(folder) or _conversion(folder) is not None or is_whole_tokenizer(folder)


@cache
def digest_of_weights(folder: Path) -> str | None:
    """SHA-256 over the files that make the model, or of the GGUF file that they were made of.

    Once a process, as weights can be gigabytes. None where our server found the weights elsewhere than
    beside the tokenizer.
    """
    conversion = _conversion(folder)
    if conversion is not None:
        return conversion.sha256
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    if len(files) == 1 or not files[0].exists():
        return None
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _conversion(folder: Path) -> ConversionNote | None:
    """What a conversion was made of, where it lies among the others; a copy is a folder like any other."""
    if folder.resolve().parent != converted_home().resolve():
        return None
    return read_conversion_note(folder)
