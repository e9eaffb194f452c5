"""TRL's SFTConfig with a LoraConfig: the file of `trl sft`, or the two as they write themselves."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from symptoms.errors import InputError
from symptoms.packaged import packaged
from symptoms.settings.translated.adapter_config import carry_adapter
from symptoms.settings.translated.common import (
    TRAINS_PROMPTS,
    carry_base_model,
    carry_our_own,
    leave_dtype,
    leave_end_tokens,
    steps_of,
)
from symptoms.settings.translated.lora_scale import Scale, TheirAdam, carry_adam
from symptoms.settings.translated.their_values import TheirValues
from symptoms.settings.translated.translation import Translation

TRL = "TRL 1.16.0"

_TOLD = packaged(__package__, "trl.toml")
TRL_OF_THE_MACHINE: Sequence[str] = _TOLD["of_the_machine"]
SCHEDULES: Mapping[str, str] = _TOLD["schedules"]
DATA: Sequence[str] = _TOLD["data"]

HOW_MANY = "tell --examples, or the training file by --data"


def from_trl(told: Mapping[str, Any], examples: int | None) -> Translation:
    """TRL's settings; raises InputError where they train all weights, which cannot be had here."""
    theirs = TheirValues(TRL, told)
    if theirs.any("model_name_or_path"):
        carry_base_model(theirs, str(theirs.any("model_name_or_path")), "model_name_or_path")
    scale = _adapter(theirs)
    _optimizer(theirs, scale)
    steps = _steps(theirs, examples)
    _schedule(theirs, steps)
    _evaluation(theirs)
    carry_our_own(theirs)
    _text(theirs)
    theirs.leave_the_rest(TRL_OF_THE_MACHINE)
    return theirs.translation()


def _adapter(theirs: TheirValues) -> Scale:
    if theirs.told("peft_config"):
        nested = theirs.part("peft_config")
        scale = carry_adapter(nested, "", alpha=8, rank=8, dropout=0.0)
        nested.leave_the_rest(("peft_", "task_type", "auto_mapping", "base_model", "inference_mode"))
        return scale
    if not theirs.flag("use_peft"):
        raise InputError(
            "Without use_peft or peft_config TRL trains all weights, and only LoRA can be trained here; "
            "add use_peft: true with lora_r and lora_alpha to the file."
        )
    return carry_adapter(theirs, "lora_", alpha=32, rank=16, dropout=0.05)


def _optimizer(theirs: TheirValues, scale: Scale) -> None:
    kind = str(theirs.any("optim", "adamw_torch_fused"))
    if kind not in ("adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused"):
        theirs.leave("optim", f"{kind}; here it is AdamW in float32, and a rate for another may not suit it")
    defaults = {"learning_rate": 2e-5, "adam_epsilon": 1e-8, "weight_decay": 0.0, "max_grad_norm": 1.0}
    rate, eps, decay, clip = (theirs.number(name, default) for name, default in defaults.items())
    words = [theirs.whence(*pair) for pair in zip(defaults, (rate, eps, decay, clip), strict=True)]
    carry_adam(theirs, TheirAdam(rate, eps, decay, clip, words), scale)
    for ours, default in (("adam_beta1", 0.9), ("adam_beta2", 0.999)):
        theirs.carry_number(ours, ours, default)
    loss = str(theirs.any("loss_type", "nll"))
    theirs.carry(
        "reduction",
        "mean_per_token",
        "theirs is the mean over all tokens of a step, also over accumulated batches; a sum, which is the "
        "default here, would need the same rate, but eps and the norm times the number of tokens",
    )
    if loss not in ("nll", "chunked_nll"):
        theirs.leave("loss_type", f"{loss}; here each token counts by its own log-probability")


def _steps(theirs: TheirValues, examples: int | None) -> int | None:
    devices = "; times the devices, if there were several"
    batch = theirs.carry_whole("batch_size", "per_device_train_batch_size", 8, devices)
    gathered = theirs.carry_whole("gradient_accumulation", "gradient_accumulation_steps", 1)
    steps, epochs = theirs.whole("max_steps", -1), theirs.number("num_train_epochs", 3.0)
    if steps > 0:
        theirs.carry("steps", steps, "max_steps, which there and here counts steps of the optimizer")
    elif epochs.is_integer():
        theirs.carry("epochs", int(epochs), theirs.whence("num_train_epochs"))
        steps = steps_of(examples, batch * gathered, int(epochs)) or 0
    elif examples is not None:
        steps = math.ceil(epochs * -(-examples // (batch * gathered)))
        theirs.carry("steps", steps, f"num_train_epochs {epochs:g} of {examples} examples")
    else:
        theirs.carry("epochs", math.ceil(epochs), f"num_train_epochs {epochs:g}, rounded up; {HOW_MANY}")
    sampling = str(theirs.any("train_sampling_strategy", "random"))
    theirs.carry("shuffle", sampling != "sequential", theirs.whence("train_sampling_strategy", sampling))
    if sampling == "group_by_length":
        theirs.leave("train_sampling_strategy", "texts of like length are not put together here")
    theirs.carry_whole("seed", "seed", 42, "; it draws other numbers here")
    return steps or None


def _schedule(theirs: TheirValues, steps: int | None) -> None:
    kind = str(theirs.any("lr_scheduler_type", "linear"))
    more = theirs.part("lr_scheduler_kwargs")
    ours = SCHEDULES.get(kind)
    if ours is None:
        theirs.leave("lr_scheduler_type", f"{kind} is not among {', '.join(sorted(set(SCHEDULES.values())))}")
    else:
        theirs.carry("learning_rate_schedule", ours, theirs.whence("lr_scheduler_type", kind))
    if kind == "warmup_stable_decay":
        _decay(more, steps)
    more.leave_the_rest()
    _warmup(theirs, kind, steps)


def _warmup(theirs: TheirValues, kind: str, steps: int | None) -> None:
    """Their warm-up as a number of steps, which a share of all becomes by ceil(share x steps), as there.

    Source: `TrainingArguments.get_warmup_steps` of transformers 5.24.0, and of 4.57 for `warmup_ratio`.
    """
    warmup, ratio = theirs.number("warmup_steps", 0), theirs.number("warmup_ratio", 0)
    name, told = ("warmup_steps", warmup) if warmup or not ratio else ("warmup_ratio", ratio)
    earlier = "; it starts at rate / warm-up here, and there at 0" if told else ""
    if ratio and name == "warmup_ratio":
        earlier += f"; {TRL} calls that share warmup_steps"
    elif ratio:
        theirs.leave("warmup_ratio", f"{ratio:g}, which warmup_steps {warmup:g} beside it overrules")
    if kind == "constant" and told:
        none = f"lr_scheduler_type constant has no warm-up there, whatever {name} says"
        theirs.carry("warmup_steps", 0, none)
    elif 0 < told < 1 and steps is None:
        words = f"{told:g} is a share of all steps, whose number is not known; {HOW_MANY}"
        theirs.carry("warmup_steps", 0, f"{name} {words}")
        theirs.leave(name, words)
    elif 0 < told < 1 and steps is not None:
        theirs.carry("warmup_steps", math.ceil(steps * told), f"{name} {told:g} of {steps} steps{earlier}")
    elif name == "warmup_ratio":
        theirs.carry("warmup_steps", 0, f"warmup_ratio {told:g} is no share between 0 and 1")
        theirs.leave("warmup_ratio", f"{told:g} is no share of all steps, which lies between 0 and 1")
    else:
        theirs.carry("warmup_steps", int(warmup), f"{theirs.whence('warmup_steps')}{earlier}")


def _decay(more: TheirValues, steps: int | None) -> None:
    decay = more.number("num_decay_steps", 0)
    if decay and steps:
        more.carry("decay_fraction", round(decay / steps, 6), f"num_decay_steps {decay:g} of {steps} steps")
    else:
        more.leave("num_decay_steps", f"it needs the number of all steps; {HOW_MANY}")
    kind = more.any("decay_type", "cosine")
    if kind != "linear":
        more.leave("decay_type", f"{kind}; here the decay of wsd is linear")


def _evaluation(theirs: TheirValues) -> None:
    when = str(theirs.any("eval_strategy", "no"))
    if when == "steps":
        every = theirs.number("eval_steps", theirs.number("logging_steps", 10))
        if every >= 1:
            theirs.carry("evaluate_every", int(every), theirs.whence("eval_steps"))
    best = theirs.flag("load_best_model_at_end")
    chosen = "the weights with the lowest loss are taken" if best else "the last weights are taken"
    whence = theirs.whence("load_best_model_at_end")
    theirs.carry("best_by", "dev_loss" if best else "last", f"{whence}: {chosen}")


def _text(theirs: TheirValues) -> None:
    length = theirs.any("max_length", 1024)
    theirs.leave(
        theirs.whence("max_length"),
        f"{length}; they cut there and drop rows that have no trained token left, here nothing is cut, and a "
        "text longer than the context is refused",
    )
    if theirs.any("packing", False) or theirs.any("padding_free", False):
        theirs.leave("packing, padding_free", "each example is a text of its own here")
    for name in ("packing_strategy", "truncation_mode"):
        theirs.any(name)
    # A configuration that wrote itself has a placeholder there, whatever the token was.
    ending = theirs.any("eos_token", "<EOS_TOKEN>")
    token = "the end token of the tokenizer" if ending == "<EOS_TOKEN>" else str(ending)
    leave_end_tokens(theirs, "eos_token", f"they add {token} to a completion")
    if theirs.any("completion_only_loss") is False:
        theirs.leave("completion_only_loss", f"false {TRAINS_PROMPTS}")
    kind = theirs.any("dtype", "float32")
    mixed = " weights, computed in bfloat16" if theirs.any("bf16", True) else ""
    mixed = " weights, computed in float16" if theirs.any("fp16", False) else mixed
    leave_dtype(theirs, "dtype, bf16, fp16", f"{kind}{mixed}")
    smoothing = theirs.number("label_smoothing_factor", 0.0)
    if smoothing:
        theirs.leave("label_smoothing_factor", f"{smoothing:g}, and the loss here has no smoothing")
    named = [name for name in DATA if theirs.any(name) not in (None, False, "train", "test")]
    if named:
        theirs.leave(", ".join(named), "name a file of your own with --data")
