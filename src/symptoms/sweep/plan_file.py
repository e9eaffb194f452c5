"""Where the plan of a sweep comes from: a TOML file, a preset of the package, and options."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from symptoms.errors import DataError, Fault, InputError
from symptoms.settings import TrainingSettings
from symptoms.sweep.plan import NamedSetting, SweepPlan
from symptoms.text_files import line_in_toml, nearest, parse_toml, read_text
from symptoms.train.request.settings_file import left_beside

OF_A_SWEEP = ("seeds", "evaluate", "grid", "list")
MAX_RUNS = 1000


def preset_names() -> list[str]:
    """The presets of the package."""
    return sorted(
        file.name.removesuffix(".toml")
        for file in files("symptoms.sweep").joinpath("presets").iterdir()
        if file.name.endswith(".toml")
    )


def read_preset(name: str) -> SweepPlan:
    """A preset by its name; raises InputError for another."""
    names = preset_names()
    if name not in names:
        raise InputError(f"There is no preset {name!r}{nearest(name, names)}")
    text = files("symptoms.sweep").joinpath("presets", f"{name}.toml").read_text("utf-8")
    return _Reader(f"preset {name}", text).plan()


def read_sweep_file(path: Path) -> SweepPlan:
    """The plan in a file; raises DataError with every fault in it."""
    return _Reader(str(path), read_text(path)[0]).plan()


def with_options(
    plan: SweepPlan, base: Mapping[str, Any], varied: Sequence[str], seeds: str | None, evaluate: str | None
) -> SweepPlan:
    """The plan with what was told on the command line, which wins over what it had.

    Raises InputError for what is not a list of settings or of seeds.
    """
    told = dict(base)
    if "seed" in told:
        raise InputError("A sweep has seeds and not one seed; give --seeds 3, or --seeds 0,1,2.")
    listed = [key for setting in plan.listed for key in setting.changes]
    for key in told:
        if key in listed or key in (plan.grid or {}):
            option = key.replace("_", "-")
            raise InputError(f"The plan varies {key}; give --set {key}=... instead of --{option}.")
    lists = dict(map(_varied, varied))
    # Steps and epochs say the same thing, so the one that is told replaces the other of the plan.
    own = left_beside({*told, *lists}, plan.base)
    if "data" in told and "dev" not in told:
        # Held-out data belong to the data that they were held out of.
        own.pop("dev", None)
    changed = replace(plan, base={**own, **told}).varied(lists)
    if seeds is not None:
        changed = replace(changed, seeds=_seeds(seeds))
    return changed if evaluate is None else replace(changed, evaluate=evaluate)


def _varied(text: str) -> tuple[str, list[Any]]:
    key, separator, values = text.partition("=")
    if not separator or not values.strip():
        raise InputError(f"--set {text!r} is no list; write for example learning_rate=1e-3,3e-3.")
    _check_setting(key)
    return key, [_value(value.strip()) for value in values.split(",")]


def _value(text: str) -> Any:
    """A number, true or false, as TOML writes it; else the text."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _check_setting(key: str) -> None:
    if key == "seed":
        raise InputError("Seeds are told apart from settings; give --seeds 0,1,2.")
    if key not in TrainingSettings.model_fields:
        raise InputError(f"There is no setting {key!r}{nearest(key, _settings())}")


def _settings() -> Collection[str]:
    return [name for name in TrainingSettings.model_fields if name != "seed"]


def _seeds(text: str) -> tuple[int, ...]:
    """`3` are the seeds 0, 1 and 2; `5,7` are those."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise InputError(f"--seeds {text!r} is neither how many nor which; give 3, or 0,1,2.")
    numbers = [int(word) for word in words]
    if "," not in text:
        if not 1 <= numbers[0] <= MAX_RUNS:
            raise InputError(f"--seeds {numbers[0]} is not between 1 and {MAX_RUNS}; a list may be one: 7,")
        numbers = list(range(numbers[0]))
    if len(set(numbers)) < len(numbers):
        raise InputError(f"--seeds {text!r} names a seed twice; give each once.")
    return tuple(numbers)


class _Reader:
    """Reads one document and gathers its faults."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._faults: list[Fault] = []
        self._content = parse_toml(name, text)

    def plan(self) -> SweepPlan:
        content = self._content
        base = {key: value for key, value in content.items() if key not in OF_A_SWEEP}
        self._check_keys(base, [*_settings(), *OF_A_SWEEP])
        plan = SweepPlan(
            base=base,
            listed=tuple(self._listed(content.get("list", []))),
            grid=self._grid(content.get("grid", {})),
            seeds=self._seeds(content.get("seeds", [0])),
            evaluate=self._evaluate(content.get("evaluate")),
        )
        if self._faults:
            raise DataError(sorted(self._faults, key=lambda fault: fault.line))
        return plan

    def _grid(self, grid: Any) -> dict[str, list[Any]]:
        if not isinstance(grid, dict):
            self._fault("grid", "expected a table [grid] of lists")
            return {}
        lists = cast(dict[str, Any], grid)
        self._check_keys(lists, _settings())
        for key, values in lists.items():
            if not isinstance(values, list) or not values:
                self._fault(key, "expected a list of values, such as [1, 4, 8]")
        return lists

    def _listed(self, listed: Any) -> list[NamedSetting]:
        entries = cast(list[Any], listed) if isinstance(listed, list) else []
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in entries):
            self._fault("list", "expected tables [[list]], each with a name and settings")
            return []
        settings: list[NamedSetting] = []
        for entry in cast(list[dict[str, Any]], entries):
            name = entry.get("name")
            if not isinstance(name, str) or not name or any(c in name for c in "/\\\0") or name[0] == ".":
                self._fault("name", "expected a name in each [[list]], of letters, digits and '-'")
                continue
            changes = {key: value for key, value in entry.items() if key != "name"}
            self._check_keys(changes, [*_settings(), "name"])
            settings.append(NamedSetting(name, changes))
        return settings

    def _seeds(self, seeds: Any) -> tuple[int, ...]:
        numbers = cast(list[Any], seeds) if isinstance(seeds, list) else []
        if not numbers or any(type(one) is not int or one < 0 for one in numbers):
            self._fault("seeds", "expected a list of whole numbers, such as [0, 1, 2]")
            return (0,)
        if len(set(numbers)) < len(numbers):
            self._fault("seeds", "expected each seed once")
        return tuple(numbers)

    def _evaluate(self, path: Any) -> str | None:
        if path is not None and (not isinstance(path, str) or not path):
            self._fault("evaluate", "expected the path of a test set")
        return path

    def _check_keys(self, table: Mapping[str, Any], valid: Collection[str]) -> None:
        for key in table:
            if key == "seed":
                self._fault(key, "expected seeds = [0, 1, 2] at the top of the file instead")
            elif key not in valid:
                self._fault(key, f"unknown key{nearest(key, valid)}")

    def _fault(self, key: str, problem: str) -> None:
        self._faults.append(Fault(self._name, line_in_toml(self._text, key), key, problem))
