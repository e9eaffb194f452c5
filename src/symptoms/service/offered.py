"""Whether a service offers a base model, and where it does not, which of those on offer is nearest."""

import math
import re
from collections.abc import Collection
from difflib import SequenceMatcher

from symptoms.errors import ServiceError

MISSPELT = 0.85
"""How alike two names are, from 0 to 1, of which one is taken for the other misspelt."""
MOST_NAMED = 3

_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
"""As in `Qwen3-8B` and `smollm2-135m`; the active parameters of `30B-A3B` are none of it."""
_MIXTURE = re.compile(r"-a\d+b(?![a-z0-9])")
OTHER_KIND = 0.5
"""How far a mixture of experts and a dense model are apart, as the logarithm of a ratio of sizes."""
_FAMILY = re.compile(r"[a-z]+(?:-[a-z]+)*")


def check_offered(
    url: str,
    base_model: str,
    offered: Collection[str],
    of_run: str | None = None,
    option: str = "--base-model",
) -> None:
    """Raises ServiceError for a model that is not among those on offer; with none told, all may be.

    `of_run` is the run that was trained on the model, which cannot go on or be asked without it, and
    `option` how another one is chosen where there is no run.
    """
    if not offered or base_model in offered:
        return
    nearest = nearest_of(base_model, offered)
    first = nearest[0]
    if not base_model:
        said = f"{url} has no default base model; choose one with {option}: {_listed(offered)}."
    elif of_run is not None:
        others = f" (or {' or '.join(nearest[1:])})" if nearest[1:] else ""
        said = (
            f"{url} does not offer {base_model}, which the run {of_run} was trained on, so that it can "
            f"neither go on nor be asked there; the nearest on offer trains its like: "
            f"symptoms train --repeat {of_run} --base-model {first}{others}."
        )
    elif len(offered) <= MOST_NAMED:
        said = f"{url} does not offer {base_model}; choose one with {option}: {_listed(offered)}."
    else:
        said = (
            f"{url} does not offer {base_model}; nearest of the {len(offered)} that it offers: "
            f"{', '.join(nearest)}; choose one with {option}, 'symptoms doctor' lists all."
        )
    raise ServiceError(said)


def nearest_of(base_model: str, offered: Collection[str]) -> tuple[str, ...]:
    """Those on offer that come nearest, the nearest first.

    A name that may have been meant, then the same family by size, then others by size. Variants for longer
    contexts (`NAME:peft:262144`) cost more, so they come behind their like unless one was wanted.
    """
    wanted = _tail(base_model)
    family, size = _family(wanted), size_of(wanted)

    def distance(name: str) -> tuple[bool, bool, bool, float, float, str]:
        tail = _tail(name)
        alike = SequenceMatcher(None, wanted, tail).ratio()
        theirs = size_of(tail)
        apart = abs(math.log(size / theirs)) if size and theirs else math.inf
        if bool(_MIXTURE.search(wanted)) != bool(_MIXTURE.search(tail)):
            apart += OTHER_KIND
        return (
            alike < MISSPELT or _digits(wanted) != _digits(tail),
            _family(tail) != family,
            (":" in tail) != (":" in wanted),
            apart,
            -alike,
            name,
        )

    return tuple(sorted(offered, key=distance)[:MOST_NAMED])


def size_of(name: str) -> float | None:
    """Parameters in billions, as the name tells them; None where it does not."""
    found = _SIZE.search(name.lower())
    if found is None:
        return None
    return float(found[1]) / (1000 if found[2] == "m" else 1)


def _tail(name: str) -> str:
    """The name without whose it is, in small letters."""
    return name.rstrip("/").rsplit("/", 1)[-1].lower()


def _family(tail: str) -> str:
    found = _FAMILY.match(tail)
    return found[0] if found else ""


def _digits(tail: str) -> list[str]:
    """What is meant by `Qwen3-8B` is not `Qwen3-4B`, alike as they are."""
    return re.findall(r"\d+", tail)


def _listed(offered: Collection[str]) -> str:
    return ", ".join(sorted(offered))
