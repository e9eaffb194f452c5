"""From a model's name, as a user gives it, to where it lies on this machine."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from base_models.errors import BaseModelError
from base_models.files import size_in_words
from base_models.got import find_got, package_file
from base_models.origins.hub import download, is_hub_name
from base_models.places import LM_STUDIO, OLLAMA
from base_models.table import BUNDLED_BASE, KnownModel, known_models

BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class ResolvedModel:
    """A model that is on this machine: a folder in Hugging Face's layout, or a GGUF file."""

    name: str
    path: Path
    sha256: str | None = None
    """What the digest of the file has to be, in hexadecimal; None where the table does not know it."""

    def check_digest(self, sha256: str) -> None:
        """Raises BaseModelError where the file, whose digest this is, is not the one of the table.

        For whoever reads all of it; `resolve` looks at its size alone.
        """
        if self.sha256 is not None and sha256 != self.sha256:
            raise BaseModelError(
                f"{self.path} is not the file that the table of models knows as {self.name} (its SHA-256 "
                f"differs); 'symptoms models get {self.name}' gets it again."
            )


def bundled_models() -> dict[str, Path]:
    """The base models that are part of the package, by name."""
    return {folder.name: folder for folder in sorted(BUNDLED.iterdir()) if (folder / "config.json").exists()}


def is_bundled(folder: Path) -> bool:
    """Whether a folder is that of a model that is part of the package."""
    return folder.resolve().parent == BUNDLED.resolve()


def resolve(name: str) -> ResolvedModel:
    """Where a model lies, which is the first of these that its name fits.

    1. a name of the table: the folder of the package, or what `symptoms models get` got;
    2. a folder or a file on this machine;
    3. `ollama:NAME[:TAG]`, a model in Ollama's store;
    4. `lmstudio:PUBLISHER/REPOSITORY[/FILE.gguf]`, one in LM Studio's folder;
    5. `org/model`, a repository of the model hub, which is downloaded into the hub's own cache.

    Only the last asks the network. Raises BaseModelError where there is none, never taking another instead.
    """
    row = known_models().get(name)
    if row is not None:
        return _of_the_table(name, row)
    # Path's own methods raise for users that do not exist and for names too long for the disk.
    given = os.path.expanduser(name)
    if name and os.path.exists(given):
        return ResolvedModel(name, Path(given))
    # Imported where they are asked for, since the checks of their files take a tenth of every other start.
    if name.startswith(OLLAMA):
        from base_models.origins import ollama

        return ResolvedModel(name, ollama.find(name.removeprefix(OLLAMA)))
    if name.startswith(LM_STUDIO):
        from base_models.origins import lm_studio

        return ResolvedModel(name, lm_studio.find(name.removeprefix(LM_STUDIO)))
    # With a slash at its end, the name of a table's model looks like the hub's.
    if is_hub_name(name) and not name.endswith("/") and not _has_prefix_in_another_case(name):
        try:
            return ResolvedModel(name, download(name))
        except BaseModelError as error:
            known = _known_here(name)
            raise BaseModelError(f"{str(error).rstrip('.')}; {known}." if known else str(error)) from error
    raise BaseModelError(f"There are no weights at {name!r}; {_what_instead(name)}")


def find_known(name: str, row: KnownModel) -> Path | None:
    """Where a model of the table lies on this machine, None where it was not got.

    Raises BaseModelError where what was got has changed or gone.
    """
    return bundled_models().get(name) if row.is_bundled else find_got(name, row)


def how_to_get(name: str, row: KnownModel) -> str:
    """A clause that says which command gets a model of the table, and how much that downloads."""
    return f"'symptoms models get {name}' gets it ({size_in_words(row.download_bytes)})"


def nearest_name(name: str) -> str | None:
    """The name of the table that a mistyped one most likely means."""
    near = difflib.get_close_matches(name.lower().rstrip("/"), known_models(), n=1, cutoff=0.7)
    return near[0] if near else None


def _of_the_table(name: str, row: KnownModel) -> ResolvedModel:
    found = find_known(name, row)
    if found is not None:
        if row.package is not None and found == package_file(name, row):
            return ResolvedModel(name, found, row.package.file_sha256)
        return ResolvedModel(name, found)
    if row.is_bundled:
        raise BaseModelError(f"The bundled {name} cannot be read; install the package again.")
    raise BaseModelError(
        f"{name} is not on this machine; {how_to_get(name, row)}, "
        f"or --base-model {BUNDLED_BASE} needs no download."
    )


def _known_here(hub_name: str) -> str | None:
    """A clause on the model of the table that a hub's name means, or that it is the unadapted base of."""
    wanted = _without_instruct(hub_name)
    for name, row in known_models().items():
        for repository in (source.repository for source in row.sources if source.kind == "hub"):
            if wanted != _without_instruct(repository):
                continue
            try:
                is_here = find_known(name, row) is not None
            except BaseModelError:
                is_here = False
            what = "the same model" if hub_name.lower() == repository.lower() else repository
            if is_here:
                return f"{name}, which is on this machine, is {what}"
            return f"{name} is {what} without the hub, and {how_to_get(name, row)}"
    return None


def _without_instruct(hub_name: str) -> str:
    """The last part of a hub's name without the ending of a model that follows instructions."""
    return hub_name.lower().rpartition("/")[2].removesuffix("-instruct")


def _what_instead(name: str) -> str:
    near = nearest_name(name)
    if near is not None:
        return f"did you mean {near}?"
    if _has_prefix_in_another_case(name):
        return "write the prefix in lower case."
    return (
        "give a folder with config.json and safetensors, a GGUF file, a hub name, "
        f"{OLLAMA}NAME, {LM_STUDIO}PUBLISHER/REPOSITORY, "
        f"or one of: {', '.join(known_models())}."
    )


def _has_prefix_in_another_case(name: str) -> bool:
    return name.lower().startswith((OLLAMA, LM_STUDIO))
