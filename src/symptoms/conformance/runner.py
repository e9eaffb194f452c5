"""From a service to the table: all checks in their order, and what was measured with which versions."""

import logging
import platform
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from base_models import BaseModelError, known_models
from base_models.resolving import find_known
from symptoms.conformance import adapter, checkpoints, gradients, losses, optimizer, sampling, server_answers
from symptoms.conformance.findings import Check, Row, checks_of, row_of, row_of_error
from symptoms.conformance.probe import NotMeasurableError, Probe
from symptoms.service import LOCAL, Service, connect

ALL_CHECKS = checks_of(server_answers, losses, gradients, optimizer, adapter, checkpoints, sampling)
PING_SECONDS = 5.0


@dataclass(frozen=True)
class Report:
    """A table, with what it was measured on and by."""

    server: str
    software: str
    base_model: str
    sdk: str
    python: str
    measured: str
    has_reference: bool
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """What `symptoms conformance --json` writes."""
        return asdict(self)


def report_on(probe: Probe, name: str | None, rows: Sequence[Row]) -> Report:
    """The table of a server; `name` is what to call it, where it does not say so itself."""
    service = probe.service
    told = software(service)
    return Report(
        server=name or told,
        software=told,
        base_model=Path(service.base_model).name,
        sdk=version("tinker"),
        python=platform.python_version(),
        measured=datetime.now(UTC).date().isoformat(),
        has_reference=probe.reference is not None,
        rows=tuple(_without_places(row, service) for row in rows),
    )


def _without_places(row: Row, service: Service) -> Row:
    """A row that may be shown elsewhere: without this machine's addresses and folders."""
    came = row.came.replace(service.url, "URL").replace(service.base_model, Path(service.base_model).name)
    return replace(row, came=came)


def measured_rows(probe: Probe, checks: Sequence[Check] = ALL_CHECKS) -> Generator[Row, None, None]:
    """The row of each check as it comes; a server that is gone is not waited for again and again."""
    with _quiet_sdk():
        gone = False
        for check in checks:
            if gone:
                yield row_of_error(check, NotMeasurableError("the server no longer answers"))
                continue
            row = measured_row(probe, check)
            for each in (probe, probe.reference):
                if each is not None:
                    each.release()
            yield row
            gone = row.verdict == "refused" and not answers(probe.service)


def measured_row(probe: Probe, check: Check) -> Row:
    """The row of one check, whatever comes of it."""
    try:
        return row_of(check, check.measure(probe))
    except Exception as error:  # noqa: BLE001 - whatever a server makes of a request is a row of the table
        return row_of_error(check, error)


def answers(service: Service) -> bool:
    """Whether the server says that it is well, or anything at all."""
    import httpx

    try:
        httpx.get(f"{service.url}/api/v1/healthz", headers={"X-API-Key": service.key}, timeout=PING_SECONDS)
    except httpx.HTTPError:
        return False
    return True


def software(service: Service) -> str:
    """What the server says that it is, in its health or its own description; "unknown" where in neither."""
    if service.kind == LOCAL:
        return "tinker_local " + version("mental-health-symptom-classifier")
    health = _told(f"{service.url}/api/v1/healthz")
    described = _told(f"{service.url}/openapi.json").get("info")
    for told, name in ((health, "server"), (described, "title")):
        if isinstance(told, dict) and name in told and "version" in told:
            return f"{told[name]} {told['version']}"
    return "unknown"


def _told(url: str) -> dict[str, Any]:
    """The JSON object behind an address that asks for no key; empty where there is none."""
    import httpx

    try:
        answer = httpx.get(url, timeout=PING_SECONDS)
        told: Any = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return {}
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}


@contextmanager
def with_reference(service: Service, wanted: str | None, wait: float) -> Generator[Probe, None, None]:
    """The server's probe, beside one of our own server with the same weights where they are here.

    `wanted` names them where the server calls them otherwise. Nothing is downloaded. Raises ServiceError
    where the model that was named cannot be served here.
    """
    name = wanted or _on_this_machine(service.base_model)
    if name is None:
        yield Probe(service, wait)
        return
    with connect(LOCAL, name) as own:
        yield Probe(service, wait, Probe(own, wait))


def _on_this_machine(name: str) -> str | None:
    row = known_models().get(name)
    if row is None:
        return name if Path(name).is_dir() else None
    try:
        return name if find_known(name, row) else None
    except BaseModelError:
        return None


@contextmanager
def _quiet_sdk() -> Generator[None, None, None]:
    """Without the SDK's lines about retries, of which a server that refuses makes hundreds."""
    logger = logging.getLogger("tinker")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
