"""tinker-cookbook's supervised training: a recipe's settings, or the config.json of its log folder."""

from collections.abc import Mapping
from typing import Any

from symptoms.settings.translated.common import (
    NOTHING_IS_CUT,
    carry_base_model,
    carry_our_own,
    leave_dtype,
    leave_end_tokens,
)
from symptoms.settings.translated.lora_scale import OUR_ALPHA, Scale, TheirAdam, carry_adam, carry_rank
from symptoms.settings.translated.their_values import TheirValues
from symptoms.settings.translated.translation import Translation

COOKBOOK = "tinker-cookbook 0.6.1"
COOKBOOK_OF_THE_SERVICE = (
    "async_", "base_url", "behavior_if", "enable_trace", "evaluator_builders", "infrequent_", "inline_evals",
    "log_path", "recipe_name", "rolling_", "save_every_", "session_name", "span_chart", "ttl_seconds",
    "wandb_",
)  # fmt: skip
ALL_LAYERS = "the cookbook adapts attention, MLP and unembedding, which are the API's defaults"
TRAINED_BY_DEFAULT = "all_assistant_messages"


def from_cookbook(told: Mapping[str, Any]) -> Translation:
    """The cookbook's settings, whose adapters and optimizer are the same API's as ours."""
    theirs = TheirValues(COOKBOOK, told)
    if theirs.any("model_name"):
        carry_base_model(theirs, str(theirs.any("model_name")), "model_name")
    rank = theirs.whole("lora_rank", 32)
    scale = Scale(OUR_ALPHA / rank, rank, f"theirs is 32 / {rank} = {OUR_ALPHA / rank:g}")
    carry_rank(theirs, scale, theirs.whence("lora_rank"))
    for flag in ("train_attn", "train_mlp", "train_unembed"):
        theirs.carry(flag, True, ALL_LAYERS)
    data = theirs.part("dataset_builder").part("common_config")
    # A recipe has the batch among its own settings, the config.json of a log folder within the data's.
    of_data = data if data.told("batch_size") else theirs
    batch = of_data.whole("batch_size", 128)
    rate, eps = theirs.number("learning_rate", 1e-4), theirs.number("adam_eps", 1e-8)
    none = "the cookbook asks for none"
    words = theirs.whence("learning_rate", rate), theirs.whence("adam_eps", eps), none, none
    adam = TheirAdam(rate, eps, 0.0, 0.0, words)
    loss = f" that of a mean over {batch} examples, and theirs of the sum of the examples' means"
    carry_adam(theirs, adam, scale, 1 / batch, loss)
    for name, default in (("adam_beta1", 0.9), ("adam_beta2", 0.95)):
        theirs.carry_number(name, name, default)
    theirs.carry(
        "reduction",
        "mean_per_example",
        "each example's weights sum to 1 there, and the service sums over the batch; under Adam this mean "
        "has the same rate",
    )
    not_full = "they leave out a last batch that is not full"
    theirs.carry("batch_size", batch, f"{of_data.whence('batch_size')}; {not_full}")
    _steps(theirs)
    carry_our_own(theirs)
    _text(theirs, of_data)
    theirs.leave_the_rest(COOKBOOK_OF_THE_SERVICE)
    return theirs.translation()


def _steps(theirs: TheirValues) -> None:
    theirs.carry("gradient_accumulation", 1, "one forward_backward for each step")
    if theirs.told("max_steps"):
        theirs.carry_whole("steps", "max_steps", 0, "; they end after num_epochs in any case, ours goes on")
        theirs.any("num_epochs")
    else:
        theirs.carry_whole("epochs", "num_epochs", 1)
    schedule = str(theirs.any("lr_schedule", "linear"))
    if schedule in ("linear", "cosine", "constant"):
        whence = theirs.whence("lr_schedule")
        theirs.carry("learning_rate_schedule", schedule, f"{whence}, the same in each step")
    else:
        theirs.leave("lr_schedule", f"{schedule} is no schedule of {COOKBOOK}; it is linear here unless told")
    theirs.carry("warmup_steps", 0, "the cookbook has no warm-up")
    theirs.carry("shuffle", True, "they draw another order in each epoch, and other ones than here")
    for ours, name, default in (("evaluate_every", "eval_every", 10), ("checkpoint_every", "save_every", 20)):
        if theirs.whole(name, default):
            theirs.carry_whole(ours, name, default)
    ahead = theirs.whole("submit_ahead", 1) + 1
    theirs.carry("in_flight", min(8, ahead), f"{theirs.whence('submit_ahead')}, and one")
    theirs.carry("best_by", "last", "the last weights are taken")


def _text(theirs: TheirValues, of_data: TheirValues) -> None:
    renderer = theirs.any("renderer_name") or of_data.any("renderer_name")
    named = f"renderer {renderer}" if renderer else "the renderer that is recommended for the model"
    leave_end_tokens(theirs, "renderer_name", f"{named} ends a message in a token of its own")
    what = of_data.any("train_on_what", TRAINED_BY_DEFAULT)
    if what != TRAINED_BY_DEFAULT:
        theirs.leave("train_on_what", f"{what}; here the completion is trained, and nothing else")
    length = of_data.any("max_length")
    cut = "no length" if length is None else f"{length}"
    theirs.leave("max_length", f"{cut}; {NOTHING_IS_CUT}")
    leave_dtype(theirs, "the type of the weights", "the service chooses it")
    if theirs.any("load_checkpoint_path") is not None:
        theirs.leave("load_checkpoint_path", "a training here begins with a new adapter")
    if theirs.any("dataset") is not None:
        theirs.leave("dataset", "name a file of your own with --data")
