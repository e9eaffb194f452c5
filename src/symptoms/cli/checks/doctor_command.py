"""`symptoms doctor`: whether everything that is needed is there, and what to do where it is not."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TypeAlias

import platformdirs
import typer
from rich.console import Console
from rich.text import Text

from base_models import BUNDLED_BASE, BaseModelError, KnownModel, known_models
from base_models.files import sha256_of, size_in_words, size_of
from base_models.resolving import bundled_models, find_known, how_to_get
from symptoms.cli.options import ServiceOption
from symptoms.errors import RunError, ServiceError, SymptomsError
from symptoms.runs import all_runs, newest_run, run_to_ask
from symptoms.service import LOCAL, choose_service, key_source, local_base_model, offered_models

PACKAGE = "mental-health-symptom-classifier"
OLDEST_PYTHON = (3, 11)
LITTLE_DISK = 1 << 30
TOO_LITTLE_DISK = 100 << 20


class State(Enum):
    """How a check came out."""

    FINE = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True)
class CheckResult:
    """One check's result; where something is to be done, `told` is a sentence that says what."""

    what: str
    state: State
    told: str


Check: TypeAlias = Callable[[str | None], Iterator[CheckResult]]


def doctor(service: ServiceOption = None) -> None:
    """Check what is needed, from versions to the service, and say what to do about what is broken.

    It exits with 1 if something is.
    """
    console = Console()
    broken = 0
    for check in (_versions, _key, _default_base, _bundled_base, _folders, _newest_run, _asked, _service):
        with Console(stderr=True).status("checking"):
            results = tuple(check(service))
        for result in results:
            _show(console, result)
            broken += result.state is State.BROKEN
    if broken:
        typer.echo(f"{broken} broken; the sentences above say what to do.", err=True)
        raise typer.Exit(1)


def _show(console: Console, result: CheckResult) -> None:
    style = {State.FINE: "green", State.NOTE: "yellow", State.BROKEN: "bold red"}[result.state]
    line = Text.assemble((f"{result.state.value:<7}", style), f"{result.what:<14}{result.told}")
    console.print(line, soft_wrap=True)


def _versions(service: str | None) -> Iterator[CheckResult]:
    if sys.version_info < OLDEST_PYTHON:
        yield CheckResult(
            "python", State.BROKEN, f"{platform.python_version()} is too old; install 3.11 or newer."
        )
    else:
        yield CheckResult("python", State.FINE, platform.python_version())
    wanted = _pinned_versions()
    for name, called in ((PACKAGE, "symptoms"), ("tinker", "tinker SDK"), ("torch", "torch")):
        found = _version_of(name)
        if found is None and name == "torch" and not _is_local(service):
            yield CheckResult(called, State.FINE, "not installed, and needed for the local server alone")
        elif found is None:
            yield CheckResult(called, State.BROKEN, "It is not installed; run 'make install'.")
        elif name in wanted and found.split("+")[0] != wanted[name]:
            told = f"{found} is installed and {wanted[name]} is tested; run 'make install' to have that."
            yield CheckResult(called, State.NOTE, told)
        else:
            yield CheckResult(called, State.FINE, found)


def _is_local(service: str | None) -> bool:
    try:
        return choose_service(service) == LOCAL
    except ServiceError:
        return False


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pinned_versions() -> dict[str, str]:
    """The dependencies of this package that are pinned to one version."""
    try:
        needed = requires(PACKAGE) or []
    except PackageNotFoundError:
        return {}
    pairs = (one.split(";")[0].split("==") for one in needed if "==" in one.split(";")[0])
    return {name.strip(): wanted.strip() for name, wanted in pairs}


def _key(_service: str | None) -> Iterator[CheckResult]:
    source = key_source()
    yield CheckResult("API key", State.FINE, f"set in {source}" if source else "none, so models run locally")


def _default_base(_service: str | None) -> Iterator[CheckResult]:
    """What the local service trains where no other model is named; all of what was got is read."""
    name = local_base_model()
    row = known_models().get(name)
    if row is None:
        yield CheckResult("default base", State.FINE, f"{name}, which SYMPTOMS_BASE_MODEL names")
        return
    try:
        found = find_known(name, row)
    except BaseModelError as error:
        yield CheckResult("default base", State.BROKEN, str(error))
        return
    if found is None:
        yield CheckResult(
            "default base", State.NOTE, f"{name} is not on this machine; {how_to_get(name, row)}."
        )
    elif found.is_dir():
        where = "part of the package" if row.is_bundled else "from the model hub"
        yield CheckResult("default base", State.FINE, f"{name}, {size_in_words(size_of(found))}, {where}")
    else:
        yield _got_file(name, found, row)


def _got_file(name: str, file: Path, row: KnownModel) -> CheckResult:
    try:
        digest = sha256_of(file)
    except OSError as error:
        return CheckResult(
            "default base", State.BROKEN, f"{file} cannot be read ({error.strerror}); check who may read it."
        )
    if row.package is None or digest != row.package.file_sha256:
        told = f"{file} has changed; 'symptoms models get {name}' gets it again."
        return CheckResult("default base", State.BROKEN, told)
    told = f"{name}, {size_in_words(size_of(file))}, sha256 {digest[:12]}"
    return CheckResult("default base", State.FINE, told)


def _bundled_base(_service: str | None) -> Iterator[CheckResult]:
    place = bundled_models().get(BUNDLED_BASE)
    try:
        if place is None:
            raise FileNotFoundError(BUNDLED_BASE)
        digest = sha256_of(place / "model.safetensors")
        # Of the whole folder, as 'symptoms models list' counts.
        told = f"{BUNDLED_BASE}, {size_in_words(size_of(place))}, sha256 {digest[:12]}"
    except OSError:
        told = f"The bundled {BUNDLED_BASE} cannot be read; install the package again."
        yield CheckResult("base model", State.BROKEN, told)
    else:
        yield CheckResult("base model", State.FINE, told)


def _folders(_service: str | None) -> Iterator[CheckResult]:
    # As tinker-local chooses it.
    told = os.environ.get("TINKER_LOCAL_HOME")
    state = Path(told).expanduser() if told else Path(platformdirs.user_data_dir("tinker-local"))
    yield _folder("checkpoints", state, "set TINKER_LOCAL_HOME to another folder")
    yield _folder("runs", Path("runs").absolute(), "work in another folder")


def _folder(what: str, folder: Path, otherwise: str) -> CheckResult:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return CheckResult(what, State.BROKEN, f"{folder} cannot be written ({error.strerror}); {otherwise}.")
    room = f"{free / 1e9:.1f} GB free"
    if free < TOO_LITTLE_DISK:
        return CheckResult(what, State.BROKEN, f"{folder} has only {room}; make room, or {otherwise}.")
    if free < LITTLE_DISK:
        return CheckResult(what, State.NOTE, f"{folder} has only {room}; make room before it is full.")
    return CheckResult(what, State.FINE, f"{folder}, {room}")


def _newest_run(_service: str | None) -> Iterator[CheckResult]:
    from symptoms.classifier import read_calibration

    if not any(run.is_finished for run in all_runs()):
        told = "There is no finished one in runs/ yet; 'symptoms train --data FILE' trains one."
        yield CheckResult("newest run", State.NOTE, told)
        return
    try:
        run = newest_run()
        run.labels()
        calibration = read_calibration(run.path)
    except (SymptomsError, ValueError) as error:
        told = str(error) if isinstance(error, RunError) else "A run in runs/ cannot be read; remove it."
        yield CheckResult("newest run", State.BROKEN, told)
        return
    if calibration is None or calibration.checkpoint != run.final_checkpoint():
        told = f"{run.path.name}, not calibrated; 'symptoms evaluate {run.path.name}' does it with a dev set."
        yield CheckResult("newest run", State.NOTE, told)
    else:
        yield CheckResult("newest run", State.FINE, f"{run.path.name}, calibrated on {calibration.fitted_on}")


def _asked(service: str | None) -> Iterator[CheckResult]:
    """Whom `symptoms assess` and `symptoms serve` ask where no run is named."""
    try:
        run = run_to_ask(None, service)
    except SymptomsError as error:
        yield CheckResult("answers by", State.NOTE, str(error))
        return
    told = "the classifier that ships" if run.is_shipped else f"{run.path.name}, of runs/"
    yield CheckResult("answers by", State.FINE, f"{told}, where no run is named")


def _service(told: str | None) -> Iterator[CheckResult]:
    try:
        chosen = choose_service(told)
        missing = _base_to_get() if chosen == LOCAL else None
        if missing is not None:
            yield CheckResult("service", State.NOTE, f"The local server was not tried, since {missing}.")
            return
        url, offered = offered_models(told)
    except ServiceError as error:
        yield CheckResult("service", State.BROKEN, str(error))
        return
    models = ", ".join(sorted(offered)) or "no base models told"
    yield CheckResult("service", State.FINE, f"{chosen} answers at {url}: {models}")


def _base_to_get() -> str | None:
    """A clause on the model of the table that the local server would need and that was not got yet."""
    name = local_base_model()
    row = known_models().get(name)
    try:
        if row is None or find_known(name, row) is not None:
            return None
    except BaseModelError:
        # Got and not usable, which starting the server tells.
        return None
    return f"{name} is not on this machine; {how_to_get(name, row)}"
