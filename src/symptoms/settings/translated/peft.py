"""PEFT's adapter_config.json."""

from collections.abc import Mapping
from typing import Any

from symptoms.errors import InputError
from symptoms.settings.translated.adapter_config import OF_THE_LIBRARY, carry_adapter
from symptoms.settings.translated.common import carry_base_model
from symptoms.settings.translated.their_values import TheirValues
from symptoms.settings.translated.translation import Translation

PEFT = "PEFT 0.21.2"
ITS_OWN = frozenset({"peft_type", "r", "lora_alpha", "target_modules", "base_model_name_or_path"})


def from_peft(told: Mapping[str, Any]) -> Translation:
    """The adapter of a file that says nothing of its training.

    Raises InputError for a file without any of PEFT's names, which is another tool's.
    """
    if told and not ITS_OWN & told.keys():
        raise InputError(
            f"The file has none of PEFT's names ({', '.join(sorted(ITS_OWN))}); say whose it is with --from."
        )
    theirs = TheirValues(PEFT, told)
    name = theirs.any("base_model_name_or_path")
    if name:
        carry_base_model(theirs, str(name), "base_model_name_or_path")
    scale = carry_adapter(theirs, "", alpha=8, rank=8, dropout=0.0)
    times = (
        f"times {scale.ratio:g}{scale.because}" if scale.ratio != 1 else "as it is: the scales are the same"
    )
    theirs.leave(
        "the learning rate", f"it is not in this file; one found with this adapter holds here {times}"
    )
    theirs.leave_the_rest(OF_THE_LIBRARY)
    return theirs.translation()
