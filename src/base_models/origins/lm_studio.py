"""Models in LM Studio's folder, which are read and never written.

Its layout is `<publisher>/<repository>/<file>.gguf`: https://lmstudio.ai/docs/app/basics/import-model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from base_models.errors import BaseModelError
from base_models.places import LM_STUDIO as PREFIX


@dataclass(frozen=True)
class Repository:
    """The GGUF files of one repository, without the projectors that belong to them (`mmproj`)."""

    name: str
    files: tuple[Path, ...]


def folders() -> list[Path]:
    """Where LM Studio keeps models: in its home, in that of older versions, or where its settings say."""
    homes = [Path(os.path.expanduser("~/.lmstudio")), Path(os.path.expanduser("~/.cache/lm-studio"))]
    pointed = _text(Path(os.path.expanduser("~/.lmstudio-home-pointer"))).strip()
    if pointed:
        homes.insert(0, Path(os.path.expanduser(pointed)))
    return list(dict.fromkeys(_folder_of(home) for home in homes))


def repositories() -> list[Repository]:
    """All repositories with GGUF files; one that lies in several folders is taken from the first."""
    found: dict[str, Repository] = {}
    for folder in folders():
        here: dict[str, list[Path]] = {}
        for file in sorted(folder.glob("*/*/*.gguf")):
            if "mmproj" not in file.name.lower() and os.path.isfile(file):
                here.setdefault("/".join(file.relative_to(folder).parts[:2]), []).append(file)
        for name, files in here.items():
            found.setdefault(name, Repository(name, tuple(files)))
    return [found[name] for name in sorted(found)]


def names_of(repository: Repository) -> Iterator[tuple[str, Path]]:
    """Each file with the name that it is used by, which leaves out the file's where there is one alone."""
    for file in repository.files:
        yield repository.name if len(repository.files) == 1 else f"{repository.name}/{file.name}", file


def find(name: str) -> Path:
    """The GGUF file of `PUBLISHER/REPOSITORY`, or of `PUBLISHER/REPOSITORY/FILE.gguf` where it has several.

    A name is only compared with those in the folder and never made a path, so it cannot lead elsewhere.
    Raises BaseModelError for names that are not there.
    """
    parts = name.split("/")
    if len(parts) not in (2, 3) or not all(parts) or ".." in parts:
        raise BaseModelError(
            f"{PREFIX}{name} does not name a model of LM Studio's; "
            f"write {PREFIX}PUBLISHER/REPOSITORY or {PREFIX}PUBLISHER/REPOSITORY/FILE.gguf."
        )
    known = {repository.name: repository for repository in repositories()}
    if not known:
        searched = " and ".join(str(folder) for folder in folders())
        raise BaseModelError(f"LM Studio has no GGUF files in {searched}; download a model with it first.")
    repository = known.get("/".join(parts[:2]))
    if repository is None:
        raise BaseModelError(
            f"LM Studio has no GGUF file of {'/'.join(parts[:2])!r}; it has those of {', '.join(known)}."
        )
    names = [file.name for file in repository.files]
    if len(parts) == 3 and parts[2] not in names:
        raise BaseModelError(f"LM Studio's {repository.name} has no {parts[2]!r}; it has {', '.join(names)}.")
    if len(parts) == 2 and len(names) > 1:
        raise BaseModelError(
            f"LM Studio's {repository.name} has {len(names)} GGUF files; "
            f"add one to the name: {', '.join(f'/{file}' for file in names)}."
        )
    return repository.files[names.index(parts[2]) if len(parts) == 3 else 0]


def _folder_of(home: Path) -> Path:
    """The folder for models of an installation, which its settings can put elsewhere."""
    try:
        settings = json.loads(_text(home / "settings.json") or "{}")
    except ValueError:
        settings = {}
    chosen = cast(dict[str, object], settings).get("downloadsFolder") if isinstance(settings, dict) else None
    return Path(os.path.expanduser(chosen)) if isinstance(chosen, str) and chosen else home / "models"


def _text(file: Path) -> str:
    """A file's text; nothing where there is none, or none that can be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
