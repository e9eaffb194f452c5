"""PEFT's adapter_config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symptoms.settings.translated.adapter_config import OF_THE_LIBRARY, carry_adapter
from symptoms.settings.translated.common import carry_base_model
from symptoms.settings.translated.their_values import TheirValues
from symptoms.settings.translated.translation import Draft, Translation

PEFT = "PEFT 0.21.2"


def from_peft(told: Mapping[str, Any], examples: int | None = None) -> Translation:
    """The adapter of a file that says nothing of its training."""
    del examples
    theirs, draft = TheirValues(PEFT, told), Draft(PEFT)
    name = theirs.any("base_model_name_or_path")
    if name:
        carry_base_model(draft, str(name), "base_model_name_or_path")
    scale = carry_adapter(draft, theirs, "", alpha=8, rank=8, dropout=0.0)
    times = (
        f"times {scale.ratio:g}{scale.because}" if scale.ratio != 1 else "as it is: the scales are the same"
    )
    draft.leave(
        "the learning rate", f"it is not in this file; one found with this adapter holds here {times}"
    )
    theirs.leave_the_rest(draft, OF_THE_LIBRARY)
    return draft.done()
