"""What GGUF files were converted to, kept so that each is converted once; `gguf.conversion` converts.

A folder for each content and type lies under `base_models.places.converted_home`, which may be removed at any
time. Nothing is written beside a user's file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from base_models import BaseModelError
from base_models.conversions import ConversionNote, read_conversion_note
from base_models.files import sync_folder
from base_models.places import CONVERTED, converted_home
from tinker_local.errors import StartupError
from tinker_local.loading.gguf.paths import part_paths

if TYPE_CHECKING:
    from tinker_local.loading.gguf.conversion import GgufModel

CONVERTER = 1
"""To be raised whenever the same file would become something else."""
INDEX, LOCK, PARTIAL = "index.json", ".lock", ".partial-"


class FileState(BaseModel):
    """What changes with a file's content, as far as can be told without reading it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    num_bytes: int
    mtime_ns: int


class Known(BaseModel):
    """What was found out by reading all of a model's files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: list[FileState]
    sha256: str
    num_parameters: int


class Index(RootModel[dict[str, Known]]):
    """index.json: what is known of models, by the resolved path of the first file."""


def converted(
    path: Path,
    choose_dtype: Callable[[int], torch.dtype],
    tell: Callable[[str], None],
    check_digest: Callable[[str], None] = lambda _: None,
) -> Path:
    """The folder that a GGUF file is converted to, made where it is not there yet.

    `choose_dtype` is asked with the number of parameters, and `tell` is given a line where a conversion
    begins, which takes a while. `check_digest` is given the files' SHA-256 before anything is made of them
    and raises BaseModelError where it is the wrong one. Raises StartupError.
    """
    home, paths = converted_home(), part_paths(path)
    states = [_state(each) for each in paths]
    known = _read_index(home).get(states[0].path)
    known = known if known is not None and known.files == states else None
    if known is not None:
        _check(known.sha256, check_digest)
        folder = _folder(home, known.sha256, choose_dtype(known.num_parameters))
        if read_conversion_note(folder) is not None:
            return folder
    # Imported here, since its library takes a tenth of a second that only a conversion has to wait for.
    from tinker_local.loading.gguf.conversion import read_gguf

    model = read_gguf(path)
    dtype = choose_dtype(model.num_parameters)
    if known is None:
        known = Known(files=states, sha256=_sha256(paths), num_parameters=model.num_parameters)
        _check(known.sha256, check_digest)
    folder = _folder(home, known.sha256, dtype)
    if read_conversion_note(folder) is not None:
        # Where nothing can be written, the file is hashed again at the next start, and that is all.
        with suppress(OSError), _alone(home):
            _remember(home, known)
        return folder
    try:
        with _alone(home):
            # Another process may have made it meanwhile.
            if read_conversion_note(folder) is None:
                tell(f"converting {path.name} to {_name(dtype)} once ({len(model.weights)} tensors)")
                _convert(model, known, dtype, folder)
            _remember(home, known)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            size = model.num_parameters * dtype.itemsize / 2**30
            raise StartupError(
                f"{path.name} takes {size:.1f} GiB as {_name(dtype)}, for which {home} has no room; free "
                "some, or set TINKER_LOCAL_MODELS to a folder on another disk."
            ) from error
        raise StartupError(
            f"{path.name} cannot be converted in {home} ({error.strerror}); set TINKER_LOCAL_MODELS to "
            "another folder."
        ) from error
    return folder


def _check(sha256: str, check_digest: Callable[[str], None]) -> None:
    try:
        check_digest(sha256)
    except BaseModelError as error:
        raise StartupError(str(error)) from error


def _convert(model: GgufModel, known: Known, dtype: torch.dtype, folder: Path) -> None:
    """Write the folder under another name and rename it once it is on the disk."""
    from tinker_local.loading.gguf.conversion import write_folder, write_text

    partial = folder.with_name(f"{PARTIAL}{folder.name}")
    partial.mkdir()
    write_folder(model, dtype, partial)
    note = ConversionNote(
        sources=[path.name for path in model.file.paths],
        sha256=known.sha256,
        dtype=_name(dtype),
        converter=CONVERTER,
        gguf=version("gguf"),
        files={file.name: file.stat().st_size for file in partial.iterdir()},
    )
    write_text(partial / CONVERTED, note.model_dump_json(indent=1))
    if [_state(path) for path in model.file.paths] != known.files:
        raise StartupError(
            f"{model.file.paths[0]} was changed while it was read; start again once it is whole."
        )
    sync_folder(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    sync_folder(folder.parent)


def _remember(home: Path, known: Known) -> None:
    from tinker_local.loading.gguf.conversion import write_text

    index = {**_read_index(home), known.files[0].path: known}
    partial = home / f"{PARTIAL}{INDEX}"
    write_text(partial, Index(index).model_dump_json(indent=1))
    partial.replace(home / INDEX)
    sync_folder(home)


@contextmanager
def _alone(home: Path) -> Generator[None, None, None]:
    """Let one process convert at a time; the system takes the lock back however its holder ends.

    Whatever is half written when this one's turn comes has therefore lost its writer, and is cleared.
    """
    home.mkdir(parents=True, exist_ok=True)
    with open(home / LOCK, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _clear(home)
        try:
            yield
        finally:
            _clear(home)


def _clear(home: Path) -> None:
    for partial in home.glob(f"{PARTIAL}*"):
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _folder(home: Path, sha256: str, dtype: torch.dtype) -> Path:
    return home / f"{sha256}-{_name(dtype)}-v{CONVERTER}"


def _read_index(home: Path) -> dict[str, Known]:
    """What is known, which is nothing where the index is missing or damaged: then files are read again."""
    try:
        return Index.model_validate_json((home / INDEX).read_bytes()).root
    except (OSError, ValidationError):
        return {}


def _state(path: Path) -> FileState:
    try:
        resolved = path.resolve()
        found = resolved.stat()
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    return FileState(path=str(resolved), num_bytes=found.st_size, mtime_ns=found.st_mtime_ns)


def _sha256(paths: Sequence[Path]) -> str:
    """The digest of the files' bytes one behind the other."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as opened:
                while block := opened.read(2**22):
                    digest.update(block)
        except OSError as error:
            raise StartupError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    return digest.hexdigest()
