"""mlx-lm's YAML for `mlx_lm.lora`, or the adapter_config.json that it writes beside an adapter."""

from collections.abc import Mapping
from typing import Any, cast

from symptoms.errors import InputError
from symptoms.settings.translated.common import (
    NOTHING_IS_CUT,
    TRAINS_PROMPTS,
    carry_base_model,
    carry_layers,
    carry_our_own,
    leave_dtype,
    leave_end_tokens,
    names_in,
)
from symptoms.settings.translated.lora_scale import Scale, TheirAdam, carry_adam, carry_rank
from symptoms.settings.translated.their_values import TheirValues
from symptoms.settings.translated.translation import Translation

MLX_LM = "mlx-lm 0.32.2"
MLX_OF_THE_MACHINE = (
    "adapter_path", "clear_cache", "config", "grad_checkpoint", "project_name", "report_to",
    "steps_per_report", "test", "train", "trust_remote_code", "val_batches",
)  # fmt: skip


def from_mlx_lm(told: Mapping[str, Any]) -> Translation:
    """mlx-lm's settings; raises InputError where they train no LoRA."""
    theirs = TheirValues(MLX_LM, told)
    kind = theirs.any("fine_tune_type", "lora")
    if kind != "lora":
        raise InputError(
            f"fine_tune_type is {kind}, and only LoRA can be trained here; say lora in the file."
        )
    if theirs.told("model"):
        carry_base_model(theirs, str(theirs.any("model")), "model")
    scale = _adapter(theirs)
    gathered = theirs.whole("grad_accumulation_steps", 1)
    steps = theirs.whole("iters", 1000) // max(1, gathered)
    rate = _schedule(theirs, steps)
    _optimizer(theirs, scale, rate)
    _steps(theirs, gathered, steps)
    carry_our_own(theirs)
    _text(theirs)
    theirs.leave_the_rest(MLX_OF_THE_MACHINE)
    return theirs.translation()


def _adapter(theirs: TheirValues) -> Scale:
    # mlx-lm takes the whole of lora_parameters from the file, or the whole of its own; a scale it must have.
    lora = theirs.part("lora_parameters")
    if theirs.told("lora_parameters") and not lora.told("scale"):
        raise InputError(
            "lora_parameters has no scale, without which mlx-lm does not train; add it to the file."
        )
    rank, factor = lora.whole("rank", 8), lora.number("scale", 20.0)
    if rank < 1 or factor <= 0:
        raise InputError("rank and scale of lora_parameters have to be above 0; correct them in the file.")
    scale = Scale(factor, rank, f"theirs is scale {factor:g}, which mlx-lm does not divide by the rank")
    carry_rank(theirs, scale, lora.whence("rank"))
    keys = names_in(lora.any("keys"))
    carry_layers(
        theirs, None if keys is None else {key.rpartition(".")[2] for key in keys}, lora.whence("keys")
    )
    dropout = lora.number("dropout", 0.0)
    if dropout:
        theirs.leave("dropout", f"{dropout:g}, and an adapter has no dropout here")
    layers = theirs.whole("num_layers", 16)
    if layers > 0:
        last = f"the last {layers} layers; here the adapter is in all layers"
        theirs.leave(theirs.whence("num_layers"), last)
    lora.leave_the_rest()
    return scale


def _schedule(theirs: TheirValues, steps: int) -> float:
    """Carries the schedule over and gives the rate at its peak, which a schedule there has of its own."""
    rate = theirs.number("learning_rate", 1e-5)
    if not theirs.told("lr_schedule"):
        theirs.carry("learning_rate_schedule", "constant", f"lr_schedule, none by default in {MLX_LM}")
        theirs.carry("warmup_steps", 0, "mlx-lm's warm-up is part of a schedule")
        return rate
    schedule = theirs.part("lr_schedule")
    kind, told = str(schedule.any("name")), schedule.any("arguments", [])
    arguments = cast("list[Any]", told) if isinstance(told, list) else []
    numbers = TheirValues(MLX_LM, {str(place): value for place, value in enumerate(arguments)})
    peak, warmup = numbers.number("0", rate), schedule.whole("warmup", 0)
    if kind == "cosine_decay" and len(arguments) in (2, 3):
        length, end = numbers.whole("1", 0), numbers.number("2", 0.0)
        ours = "cosine"
    elif kind == "linear_schedule" and len(arguments) == 3:
        length, end = numbers.whole("2", 0), numbers.number("1", 0.0)
        ours = "linear"
    else:
        theirs.leave("lr_schedule", f"{kind} is not among the schedules here: constant, linear, cosine, wsd")
        return peak
    theirs.carry("learning_rate_schedule", ours, f"lr_schedule {kind}, whose first argument is the rate")
    if end or length != steps - warmup:
        nears = f"here it nears 0 at the last of {steps} steps"
        theirs.leave("lr_schedule", f"it ends at {end:g} after {length} updates; {nears}")
    starts = "warmup of lr_schedule, counted in updates; it starts at rate / warm-up here"
    theirs.carry("warmup_steps", warmup, starts)
    if schedule.number("warmup_init", 0.0):
        theirs.leave("warmup_init", "a warm-up starts near 0 here")
    schedule.leave_the_rest()
    return peak


def _optimizer(theirs: TheirValues, scale: Scale, rate: float) -> None:
    kind = str(theirs.any("optimizer", "adam"))
    own = theirs.part("optimizer_config").part(kind)
    if kind not in ("adam", "adamw"):
        theirs.leave("optimizer", f"{kind}; here it is AdamW, and a rate for another may not suit it")
    decay, decay_words = 0.0, f"optimizer {kind} has none"
    if kind == "adamw":
        decay = own.number("weight_decay", 0.01)
        decay_words = own.whence("weight_decay", decay)
    eps = own.number("eps", 1e-8)
    rate_words = theirs.whence("learning_rate", rate)
    if theirs.told("lr_schedule"):
        rate_words = f"the first argument of lr_schedule, {rate:g}"
    words = rate_words, own.whence("eps", eps), decay_words, "mlx-lm clips nothing"
    carry_adam(theirs, TheirAdam(rate, eps, decay, 0.0, words), scale)
    betas = own.any("betas", [0.9, 0.999])
    if not isinstance(betas, list) or len(cast("list[Any]", betas)) != 2:
        raise InputError(f"betas is {betas!r}, and two numbers were expected; correct it in the file.")
    for place, name in enumerate(("adam_beta1", "adam_beta2")):
        value = TheirValues(MLX_LM, {name: cast("list[Any]", betas)[place]}).number(name, 0.9)
        theirs.carry(name, value, own.whence("betas"))
    if not own.flag("bias_correction"):
        theirs.leave(
            own.whence("bias_correction"),
            "false: their Adam divides by averages that are still near zero, so that with betas 0.9 and "
            "0.999 its first step is 3.16 times the rate, and hundreds after it are too large; here they are "
            "corrected",
        )
    own.leave_the_rest()


def _steps(theirs: TheirValues, gathered: int, steps: int) -> None:
    theirs.carry_whole("batch_size", "batch_size", 4)
    theirs.carry("gradient_accumulation", gathered, theirs.whence("grad_accumulation_steps"))
    counted = "" if gathered == 1 else f" divided by {gathered}, as mlx-lm counts batches and not updates"
    theirs.carry("steps", steps, f"{theirs.whence('iters')}{counted}")
    means = "" if gathered == 1 else ", and over accumulated batches the mean of those means"
    theirs.carry("reduction", "mean_per_token", f"theirs is the mean over the tokens of a batch{means}")
    order = "they draw the order of batches; which examples share one stays there, and changes here"
    theirs.carry("shuffle", True, order)
    theirs.carry_whole("seed", "seed", 0, "; it draws other numbers here")
    theirs.carry_whole("evaluate_every", "steps_per_eval", 200)
    theirs.carry_whole("checkpoint_every", "save_every", 100)
    theirs.carry("best_by", "last", "the last weights are taken")


def _text(theirs: TheirValues) -> None:
    length = theirs.whole("max_seq_length", 2048)
    theirs.leave(theirs.whence("max_seq_length"), f"{length}; {NOTHING_IS_CUT}")
    if not theirs.flag("mask_prompt"):
        theirs.leave(theirs.whence("mask_prompt"), f"false {TRAINS_PROMPTS}")
    padding = "they end a text in the tokenizer's end token, and train one token of padding after it"
    leave_end_tokens(theirs, "end tokens", padding)
    leave_dtype(theirs, "the type of the weights", "they train in the checkpoint's own")
    if theirs.any("resume_adapter_file") is not None:
        theirs.leave("resume_adapter_file", "a training here begins with a new adapter")
    named = [name for name in ("data", "hf_dataset") if theirs.any(name) is not None]
    if named:
        theirs.leave(", ".join(named), "name a file of your own with --data")
    theirs.leave(
        "order of the data",
        "their batches are neighbours of the file, and the rows at its end that fill no batch are never "
        "trained; here every row is, in another order",
    )
