"""The plan of a sweep: base settings, what varies, and seeds; and the runs that come of them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from symptoms.errors import InputError
from symptoms.train.request.settings_file import refuse_steps_with_epochs


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep. `setting` names what it shares with the runs of other seeds."""

    name: str
    setting: str
    settings: Mapping[str, Any]

    @property
    def base_model(self) -> str | None:
        """As the settings name it; None where they leave it to the default."""
        return self.settings.get("base_model")


@dataclass(frozen=True)
class NamedSetting:
    """A choice of settings with the name that its runs bear; an empty name for one that changes nothing."""

    name: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class SweepPlan:
    """`base` holds for all runs. Every setting of `listed` is combined with every choice from `grid`.

    `evaluate` is the test set that each run is evaluated on after training.
    """

    base: Mapping[str, Any]
    listed: tuple[NamedSetting, ...] = ()
    grid: Mapping[str, Sequence[Any]] | None = None
    seeds: tuple[int, ...] = (0,)
    evaluate: str | None = None

    def settings(self) -> Iterator[NamedSetting]:
        """What varies besides the seed, in the order in which it is trained."""
        grid = dict(self.grid or {})
        names = {key: _names(key, values) for key, values in grid.items()}
        for one in self.listed or (NamedSetting("", {}),):
            for places in itertools.product(*(range(len(values)) for values in grid.values())):
                chosen = dict(zip(grid, places, strict=True))
                words = [one.name] if one.name else []
                # What has one value alone is the same for all runs, and says nothing about this one.
                words += [names[key][place] for key, place in chosen.items() if len(grid[key]) > 1]
                changes = {key: grid[key][place] for key, place in chosen.items()}
                yield NamedSetting("-".join(words) or "base", {**one.changes, **changes})

    def runs(self) -> list[PlannedRun]:
        """Every run; raises InputError where two would have one name, or one has both steps and epochs."""
        runs = [
            PlannedRun(
                f"{setting.name}-seed{seed}", setting.name, {**self.base, **setting.changes, "seed": seed}
            )
            for setting in self.settings()
            for seed in self.seeds
        ]
        repeated = [name for name, count in Counter(run.name for run in runs).items() if count > 1]
        if repeated:
            raise InputError(f"Two runs would be called {repeated[0]}; name or list each setting once.")
        for run in runs:
            try:
                refuse_steps_with_epochs(run.settings)
            except InputError as error:
                raise InputError(f"The run {run.name} cannot be: {error}") from error
        return runs

    def varied(self, told: Mapping[str, Sequence[Any]]) -> SweepPlan:
        """The plan with these lists instead of, or besides, those of its grid."""
        grid = dict(self.grid or {})
        return replace(
            self, grid={**{key: values for key, values in grid.items() if key not in told}, **told}
        )


def _names(key: str, values: Sequence[Any]) -> list[str]:
    """A name for each value that can stand in the name of a folder."""
    last = [_as_name(str(value).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]) for value in values]
    whole = [_as_name(str(value)) for value in values]
    return [f"{key}-{word}" for word in (last if len(set(last)) == len(last) else whole)]


def _as_name(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).rstrip("-.").lstrip(".") or "empty"
