"""Another tool's configuration as ours: each value with its reason, and what cannot be carried over."""

from collections.abc import Mapping
from typing import Any, Literal

from symptoms.settings.translated.cookbook import from_cookbook
from symptoms.settings.translated.mlx_lm import from_mlx_lm
from symptoms.settings.translated.peft import from_peft
from symptoms.settings.translated.translation import Translation
from symptoms.settings.translated.trl import from_trl

Tool = Literal["trl", "mlx", "cookbook", "peft"]
"""The tools whose configurations can be read."""

_TRANSLATED = {"mlx": from_mlx_lm, "cookbook": from_cookbook, "peft": from_peft}


def translate(tool: Tool, told: Mapping[str, Any], examples: int | None = None) -> Translation:
    """A tool's configuration, as its file has it, as settings of `symptoms train`.

    `examples` is the size of the training set, where a share of all steps has to become their number.
    Raises InputError for a value that cannot be what it says, and for a configuration without LoRA.
    """
    # No other tool tells anything as a share of all steps.
    return from_trl(told, examples) if tool == "trl" else _TRANSLATED[tool](told)


__all__ = ["Tool", "Translation", "translate"]
