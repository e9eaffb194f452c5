"""How positions are turned, as a config.json says it: in the older layout and in that of transformers 5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinker_local.engine.model.llama import RopeDivisors, RopeScaling
from tinker_local.errors import StartupError
from tinker_local.loading.json_file import shown

ROPE_KEYS = ("rope_theta", "rope_scaling", "rope_parameters")
"""The settings that are read here."""
DEFAULT_THETA = 10000.0
"""`default_theta` of transformers, for all four architectures."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Rope(BaseModel):
    """What is honoured in `rope_parameters` or `rope_scaling`, together with the older `rope_theta`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    rope_theta: Positive
    partial_rotary_factor: float | None = Field(None, ge=1, le=1)


class _Llama3Rope(_Rope):
    factor: Positive
    low_freq_factor: Positive
    high_freq_factor: Positive
    original_max_position_embeddings: int = Field(gt=0)


class _DividedRope(_Rope):
    """Of this project's own making, for GGUF files whose divisors no other kind gives: see `gguf.config`."""

    divisors: list[Positive]


_KINDS: Mapping[str, type[_Rope]] = {"default": _Rope, "llama3": _Llama3Rope, "divisors": _DividedRope}

Scaling: TypeAlias = RopeScaling | RopeDivisors | None


def read_rope(
    settings: Mapping[str, Any], max_position_embeddings: int, folder: Path
) -> tuple[float, Scaling]:
    """The base of the frequencies and their scaling; raises StartupError for what is not honoured.

    Where both layouts are given, transformers lets the older one win; here they have to say the same.
    """
    given = {
        name: settings[name] for name in ("rope_scaling", "rope_parameters") if _is_given(settings, name)
    }
    meanings = [
        _read_layout(name, rope, settings, max_position_embeddings, folder) for name, rope in given.items()
    ] or [_read_layout("rope_theta", {}, settings, max_position_embeddings, folder)]
    if any(meaning != meanings[0] for meaning in meanings):
        raise StartupError(
            f"{folder}/config.json sets {' and '.join(given)}, which do not say the same; take the one out "
            "that is wrong."
        )
    return meanings[0]


def _is_given(settings: Mapping[str, Any], name: str) -> bool:
    # An empty object says as little as none.
    return settings.get(name) not in (None, {})


def _read_layout(
    name: str, rope: Any, settings: Mapping[str, Any], max_position_embeddings: int, folder: Path
) -> tuple[float, Scaling]:
    if not isinstance(rope, dict):
        raise StartupError(f"{folder}/config.json has a wrong value for {name}; it may be damaged.")
    values = dict(cast(dict[str, Any], rope))
    kinds = [values.pop(key) for key in ("rope_type", "type") if key in values]
    for kind in kinds:
        if not isinstance(kind, str) or kind not in _KINDS:
            raise StartupError(f"{folder} scales its positions by {kind!r}; supported: default, llama3.")
    if len(set(kinds)) == 2:
        raise StartupError(f"{folder}/config.json sets rope_type and type in {name}, which differ; keep one.")
    theta = [place["rope_theta"] for place in (values, settings) if "rope_theta" in place]
    if len(theta) == 2 and theta[0] != theta[1]:
        raise StartupError(
            f"{folder}/config.json sets rope_theta to {theta[1]!r}, and in {name} to {theta[0]!r}; take the "
            "one out that is wrong."
        )
    values["rope_theta"] = theta[0] if theta else DEFAULT_THETA
    form = _KINDS[kinds[0] if kinds else "default"]
    if form is _Llama3Rope:
        values.setdefault("original_max_position_embeddings", max_position_embeddings)
    try:
        read = form.model_validate(values)
    except ValidationError as error:
        raise StartupError(_sentence(error, name, kinds[0] if kinds else "default", folder)) from error
    if isinstance(read, _DividedRope):
        return read.rope_theta, RopeDivisors(tuple(read.divisors))
    if not isinstance(read, _Llama3Rope):
        return read.rope_theta, None
    if read.low_freq_factor >= read.high_freq_factor:
        raise StartupError(
            f"{folder}/config.json has a wrong value for low_freq_factor, which has to be below "
            "high_freq_factor; it may be damaged."
        )
    scaling = RopeScaling(
        factor=read.factor,
        low_freq_factor=read.low_freq_factor,
        high_freq_factor=read.high_freq_factor,
        original_max_position_embeddings=read.original_max_position_embeddings,
    )
    return read.rope_theta, scaling


def _sentence(error: ValidationError, name: str, kind: str, folder: Path) -> str:
    fault = error.errors()[0]
    key = shown(str(fault["loc"][0]))
    if fault["type"] == "extra_forbidden":
        return (
            f"{folder}/config.json sets {key} in {name}, which is not honoured for positions of type {kind}; "
            "take it out if it does not change what the model computes, or choose another model."
        )
    if fault["type"] == "missing":
        return f"{folder}/config.json has no {key} in {name}; it may be incomplete."
    place = key if name == key else f"{key} in {name}"
    return f"{folder}/config.json has a wrong value for {place} ({fault['msg']}); it may be damaged."
