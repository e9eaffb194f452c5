"""The few checks that matter to a training, on a server that was not met before.

They take seconds, use made-up tokens alone, and are remembered by address and version in the user's cache,
for a month: a server that says the same version for ever is measured again then.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import platformdirs

from symptoms.conformance import adapter, gradients, losses
from symptoms.conformance.findings import Row, checks_of
from symptoms.conformance.probe import Probe
from symptoms.conformance.runner import measured_rows, software
from symptoms.errors import ServiceError
from symptoms.service import Service

NAMES = (
    "loss:sum",
    "weights scale the gradient",
    "train_attn",
    "train_mlp",
    "train_unembed",
    "alpha at two ranks",
)
CHECKS = tuple(check for check in checks_of(losses, gradients, adapter) if check.name in NAMES)
DECIDING = "weights scale the gradient"
"""Without it prompts are trained like answers, or the loss shown is not the one minimised."""
WAIT = 120.0
KEPT = timedelta(days=30)
"""How long a measurement is believed."""


def deviations_at_first_meeting(
    service: Service, left_out: Collection[str], meet: Callable[[], None], folder: Path | None = None
) -> tuple[Row, ...]:
    """What the server does otherwise than documented, measured now or when it was first met.

    Servers of one's own and hosted Tinker itself are not measured. `meet` is called before a measurement,
    which takes seconds. `left_out` are the flags of the layers that the run does not train, such as
    "train_mlp". Raises ServiceError where a run would not be what it says it is.
    """
    if service.kind != "url":
        return ()
    file = (folder or _folder()) / f"{_identity(service)}.json"
    rows = _remembered(file)
    if rows is None:
        meet()
        rows = _measured(Probe(service, WAIT))
        # A hiccup is no trait of the server: what it kept from being measured is measured the next time.
        if all(row.verdict != "not measured" and not row.may_pass for row in rows):
            _remember(file, rows)
    found = tuple(row for row in rows if row.verdict in ("differs", "refused"))
    row = _in_the_way(found, left_out)
    if row is not None and row.may_pass:
        raise ServiceError(
            f"Whether {service.url} is as documented in '{row.name}' could not be measured ({row.came}); "
            "try again, or train without knowing with --no-server-check."
        )
    if row is not None:
        raise ServiceError(
            f"{service.url} is not as documented in '{row.name}' ({row.came}): {row.consequence}; "
            "take another server, or train all the same with --no-server-check."
        )
    return tuple(row for row in found if not row.may_pass)


def _measured(probe: Probe) -> tuple[Row, ...]:
    rows: list[Row] = []
    with closing(measured_rows(probe, CHECKS)) as coming:
        for row in coming:
            rows.append(row)
            # No run is made then, whatever the others say, and each of them could wait as long.
            if row.name == DECIDING and row.may_pass:
                break
    return tuple(rows)


def _in_the_way(found: Sequence[Row], left_out: Collection[str]) -> Row | None:
    """What makes the run another one, or may: what was measured before what was not.

    Of the layers' flags one that the run has off comes before any other.
    """
    deciding = [row for row in found if row.name == DECIDING]
    if left_out:
        layers = [row for row in found if row.name.startswith("train_")]
        deciding += sorted(layers, key=lambda row: row.name not in left_out)
    return min(deciding, key=lambda row: row.may_pass, default=None)


def _folder() -> Path:
    told = os.environ.get("SYMPTOMS_CACHE")
    return (Path(told).expanduser() if told else Path(platformdirs.user_cache_dir("symptoms"))) / "servers"


def _identity(service: Service) -> str:
    parts = (
        service.url,
        software(service),
        service.base_model,
        sorted(map(str, service.offered)),
        version("tinker"),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _remembered(file: Path) -> tuple[Row, ...] | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        age = datetime.now(UTC) - datetime.fromisoformat(kept["measured"])
        rows = tuple(Row(**row) for row in kept["rows"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not timedelta(0) <= age < KEPT:
        return None
    # Of a version that measured something else.
    return rows if {row.name for row in rows} == set(NAMES) else None


def _remember(file: Path, rows: tuple[Row, ...]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = {"measured": datetime.now(UTC).isoformat(), "rows": [asdict(row) for row in rows]}
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    except OSError:
        # It is measured again then, which takes seconds and is no reason to end.
        return
