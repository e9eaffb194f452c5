"""What several tools' configurations have in common."""

from collections.abc import Collection, Sequence

from base_models import known_models
from symptoms.settings.translated.their_values import TheirValues

LINEAR_LAYERS = {
    "train_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "train_mlp": ("gate_proj", "up_proj", "down_proj"),
    "train_unembed": ("lm_head",),
}
"""Our flags, and the linear layers that each of them adapts."""

OF_OUR_OWN = {
    "concern_weight": (1.0, "no token of theirs weighs more than another"),
    "balanced": (False, "they do not deal conditions out"),
    "sentence_case": (False, "they read a text as it is written"),
    "vary_inputs": (False, "they tell a text the same way in each epoch"),
}
"""Settings that are recommended on some base models, with what leaves them out."""


NOTHING_IS_CUT = "nothing is cut here, and a text longer than the context is refused"
TRAINS_PROMPTS = "trains the prompt, too; here only the completion is trained"


def carry_base_model(theirs: TheirValues, name: str, whence: str) -> None:
    """A base model, by our name for it where the table of models has one."""
    for ours, known in known_models().items():
        if any(getattr(source, "repository", None) == name for source in known.sources):
            theirs.carry("base_model", ours, f"{whence}, which is {ours} here")
            return
    theirs.carry("base_model", name, whence)


def carry_layers(theirs: TheirValues, modules: Collection[str] | None, whence: str) -> None:
    """Which layers are adapted, from the names of linear layers; None for all but the unembedding."""
    known = {name for names in LINEAR_LAYERS.values() for name in names}
    for flag, names in LINEAR_LAYERS.items():
        if modules is None:
            theirs.carry(flag, flag != "train_unembed", f"{whence}: all layers but the unembedding")
            continue
        among = [name for name in names if name in modules]
        missing = [name for name in names if name not in modules]
        theirs.carry(flag, bool(among), f"{whence}: {', '.join(among) or 'none of ' + ', '.join(names)}")
        if among and missing:
            theirs.leave(whence, f"{', '.join(missing)} is not adapted there, and is here with {flag}")
    other = sorted(set(modules or ()) - known)
    if other:
        theirs.leave(whence, f"{', '.join(other)} has no adapter here")


def carry_our_own(theirs: TheirValues) -> None:
    """Keep out what would else be recommended on our own base models."""
    for name, (value, reason) in OF_OUR_OWN.items():
        theirs.carry(name, value, f"{reason}; told, so that no recommendation takes its place")


def steps_of(examples: int | None, per_step: int, epochs: int) -> int | None:
    """How many steps a training takes, None where nobody tells how many examples there are."""
    return None if examples is None else epochs * -(-examples // per_step)


def leave_end_tokens(theirs: TheirValues, name: str, there: str) -> None:
    """Each tool ends a text in its own way, which a setting cannot change here."""
    ours = "here a completion ends in a blank line, which is trained and stops the text"
    theirs.leave(name, f"{there}; {ours}")


def leave_dtype(theirs: TheirValues, name: str, there: str) -> None:
    """The type of the weights belongs to the server."""
    theirs.leave(name, f"{there}; here it is the server's: tinker-local serve --dtype float32 or bfloat16")


def names_in(value: object) -> Sequence[str] | None:
    """A list of names, a single one as a list of one; None for anything else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple | set) and all(isinstance(one, str) for one in value):  # pyright: ignore
        return [str(one) for one in value]  # pyright: ignore
    return None
