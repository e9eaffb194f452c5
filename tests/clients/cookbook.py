"""The unmodified tinker-cookbook against the server: supervised, resumed, evaluated, reinforced.

Usage: python tests/clients/cookbook.py [CHECK ...]     all checks by default, in the order below

The recipes run as their own command lines in an environment of their own. cookbook_data.py says how they
find a model and data without the model hub.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookbook_data import MODEL_NAME, write_workplace
from environments import BUILD, client_settings, environment, run, serve

VERSION = "0.6.1"
WORK = BUILD / "cookbook-work"
STEP_SECONDS = 400
SHARED = [f"model_name={MODEL_NAME}", "lora_rank=16"]


class CheckError(Exception):
    """A recipe failed, or what it wrote is not what it should be."""


@dataclass(frozen=True)
class Recipes:
    """The cookbook's interpreter and the settings with which it finds the server."""

    python: Path
    settings: dict[str, str]

    def run(self, *arguments: str) -> str:
        """A recipe to its end; raises CheckError with its last line where it fails, and keeps failed.log."""
        outcome = run([self.python, *arguments], self.settings, WORK, STEP_SECONDS)
        if outcome.status != 0:
            (WORK / "failed.log").write_text(outcome.output)
            raise CheckError(outcome.reason)
        return outcome.output

    def run_until(self, rows: int, log: Path, *arguments: str) -> None:
        """Kill a recipe once it has logged this many steps, as a machine that goes down would."""
        with (WORK / "killed.log").open("w") as out:
            process = subprocess.Popen(
                [self.python, *arguments], env=self.settings, cwd=WORK, stdout=out, stderr=out
            )
            give_up = time.monotonic() + STEP_SECONDS
            while len(metrics(log)) < rows and process.poll() is None and time.monotonic() < give_up:
                time.sleep(0.1)
            ended = process.poll()
            process.kill()
            process.wait()
        if ended is not None or len(metrics(log)) < rows:
            raise CheckError(f"The recipe did not reach step {rows}; see {WORK / 'killed.log'}.")


def cookbook_environment() -> Path:
    """The cookbook with what it asks for, and tml-renderers in whatever version the index has.

    0.6.1 asks for tml-renderers 0.4.1, which an index may lack. It is imported only for models whose
    renderers live there, none of which is used here, so a missing one need not stop these checks.
    """
    bare = environment("cookbook-wheel", ["--no-deps", f"tinker-cookbook=={VERSION}"])
    listing = "import importlib.metadata as m; print(*m.requires('tinker-cookbook'), sep='\\n')"
    asked = subprocess.run([bare, "-c", listing], check=True, text=True, stdout=subprocess.PIPE).stdout
    needed = [line for line in asked.splitlines() if "extra ==" not in line]
    extra = [line.split(";")[0] for line in asked.splitlines() if line.endswith("extra == 'math-rl'")]
    loosened = ["tml-renderers" if line.startswith("tml-renderers") else line for line in needed]
    return environment(
        "cookbook",
        ["--no-deps", f"tinker-cookbook=={VERSION}"],
        # The CPU build of torch is enough: the cookbook does no heavy arithmetic of its own.
        [*loosened, *extra, "tinker==0.38.0", "torch==2.13.0"],
    )


def metrics(log: Path) -> list[dict[str, Any]]:
    """The whole lines of a log's metrics.jsonl."""
    file = log / "metrics.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]


def series(log: Path, name: str) -> list[float]:
    """A metric over the steps that have it."""
    return [row[name] for row in metrics(log) if name in row]


def last_checkpoint(log: Path) -> dict[str, Any]:
    """What a recipe wrote of its newest checkpoint."""
    return json.loads((log / "checkpoints.jsonl").read_text().splitlines()[-1])


def falls(values: list[float], to: float) -> None:
    """Raises CheckError unless the last value is below this share of the first."""
    if not values or not values[-1] < to * values[0]:
        raise CheckError(f"The values do not fall to {to:.0%} of the first: {values}.")


def sl_loop(recipes: Recipes) -> str:
    """recipes/sl_loop.py, killed after step 8, resumes at its checkpoint of step 5 with the same losses."""
    log = WORK / "logs" / "sl_loop"
    arguments = ["-m", "tinker_cookbook.recipes.sl_loop", f"log_path={log}", *SHARED]
    arguments += ["batch_size=8", "learning_rate=0.004", "save_every=5", "max_length=512"]
    recipes.run_until(8, log, *arguments)
    before = {row["step"]: row["train_mean_nll"] for row in metrics(log)}
    rows_before = len(metrics(log))
    resumed_at = last_checkpoint(log)["batch"]
    output = recipes.run(*arguments)
    if f"Resuming from batch {resumed_at}" not in output:
        raise CheckError("The recipe began anew instead of resuming.")
    after = {row["step"]: row["train_mean_nll"] for row in metrics(log)[rows_before:]}
    repeated = sorted(before.keys() & after.keys())
    unequal = [step for step in repeated if before[step] != after[step]]
    if not repeated or unequal:
        raise CheckError(f"Of the repeated steps {repeated}, {unequal} have other losses than before.")
    losses = series(log, "train_mean_nll")
    falls(losses, 0.2)
    return (
        f"nll {losses[0]:.3f} to {losses[-1]:.3f} in {max(after) + 1} steps; killed after step "
        f"{max(before)}, resumed at {resumed_at}, {len(repeated)} repeated losses equal"
    )


def sl_basic(recipes: Recipes) -> str:
    """recipes/sl_basic.py with its held-out NLL."""
    log = WORK / "logs" / "sl_basic"
    recipes.run(
        *("-m", "tinker_cookbook.recipes.sl_basic", f"log_path={log}", *SHARED),
        *("learning_rate=0.004", "num_epochs=3", "eval_every=2"),
    )
    losses, held_out = series(log, "train_mean_nll"), series(log, "test/nll")
    falls(losses, 0.6)
    falls(held_out, 0.6)
    return (
        f"nll {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps of 128, "
        f"held-out {held_out[0]:.3f} to {held_out[-1]:.3f}"
    )


def chat_sl(recipes: Recipes) -> str:
    """recipes/chat_sl/train.py on a file of conversations, with rolling checkpoints that it deletes."""
    log = WORK / "logs" / "chat_sl"
    output = recipes.run(
        *("-m", "tinker_cookbook.recipes.chat_sl.train", f"log_path={log}", *SHARED),
        *("dataset=conversations.jsonl", "renderer_name=role_colon", "batch_size=4", "max_length=512"),
        *("learning_rate=0.004", "save_every=0", "rolling_save_every=10", "eval_every=0"),
    )
    losses = series(log, "train_mean_nll")
    falls(losses, 0.2)
    saved = len((log / "checkpoints.jsonl").read_text().splitlines()) - 1
    deleted = output.count("Deleted rolling checkpoint")
    if not saved or deleted != saved:
        raise CheckError(f"Of {saved} rolling checkpoints, {deleted} were deleted.")
    return (
        f"nll {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps of 4, "
        f"{deleted} rolling checkpoints deleted"
    )


def nll_evaluators(recipes: Recipes) -> str:
    """NLLEvaluator and SamplerNLLEvaluator agree on what sl_loop trained."""
    state = last_checkpoint(WORK / "logs" / "sl_loop")["state_path"]
    script = str(Path(__file__).with_name("cookbook_nll.py"))
    output = recipes.run(script, state, MODEL_NAME, "HuggingFaceH4/no_robots/test.jsonl")
    figures = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    return ", ".join(f"{name} {values['test/nll']:.4f}" for name, values in figures.items())


def reinforce(recipes: Recipes, log: Path, *arguments: str) -> None:
    """recipes/rl_loop.py, begun from what chat_sl trained."""
    log.mkdir(parents=True, exist_ok=True)
    # The recipe has no option for a first checkpoint, but it resumes from one that its log names.
    trained = last_checkpoint(WORK / "logs" / "chat_sl")["state_path"]
    first = {"name": "start", "batch": 0, "state_path": trained}
    (log / "checkpoints.jsonl").write_text(json.dumps(first) + "\n")
    recipes.run(
        *("-m", "tinker_cookbook.recipes.rl_loop", f"log_path={log}", *SHARED, *arguments),
        *("batch_size=4", "group_size=8", "max_tokens=12", "learning_rate=0.002", "save_every=0"),
    )


def rl_loop(recipes: Recipes) -> str:
    """With the loss importance_sampling, rl_loop.py is rewarded more after a few steps."""
    log = WORK / "logs" / "rl_loop"
    reinforce(recipes, log, "loss_fn=importance_sampling", "max_steps=6")
    rewards = series(log, "reward/total")
    # Samples are drawn anew in every run, so the last step alone would be too noisy a witness.
    if not sum(rewards[-2:]) / 2 > rewards[0]:
        raise CheckError(f"The reward does not rise: {rewards}.")
    return "reward " + " ".join(f"{reward:.2f}" for reward in rewards)


def rl_loop_gspo(recipes: Recipes) -> str:
    """With the loss gspo, whose sequence_ratio_mask the recipe sends, rl_loop.py runs to its end."""
    return _rewards(recipes, "gspo")


def rl_loop_cispo(recipes: Recipes) -> str:
    """With the loss cispo, rl_loop.py runs to its end."""
    return _rewards(recipes, "cispo")


def _rewards(recipes: Recipes, loss: str) -> str:
    log = WORK / "logs" / f"rl_loop_{loss}"
    reinforce(recipes, log, f"loss_fn={loss}", "max_steps=3")
    rewards = series(log, "reward/total")
    if len(rewards) != 3:
        raise CheckError(f"Of 3 steps {len(rewards)} are in the log.")
    return "reward " + " ".join(f"{reward:.2f}" for reward in rewards)


def rl_loop_default(recipes: Recipes) -> str:
    """rl_loop.py's default loss, stable_reinforce, is not offered here; a sentence says so."""
    log = WORK / "logs" / "rl_loop_default"
    try:
        reinforce(recipes, log, "max_steps=1")
    except CheckError as error:
        if "'stable_reinforce' is not offered here" not in str(error):
            raise
        said = str(error).removeprefix("tinker.RequestFailedError: Request failed: ")
        return f"refused: {said.split(' for self.request_id')[0]}"
    raise CheckError("The loss was accepted; give this check something to compare.")


CHECKS: dict[str, Callable[[Recipes], str]] = {
    "sl_loop": sl_loop,
    "sl_basic": sl_basic,
    "chat_sl": chat_sl,
    "nll_evaluators": nll_evaluators,
    "rl_loop": rl_loop,
    "rl_loop_gspo": rl_loop_gspo,
    "rl_loop_cispo": rl_loop_cispo,
    "rl_loop_default": rl_loop_default,
}


def main() -> None:
    """Run the checks that were named, or all, and exit with 1 where one fails."""
    python = cookbook_environment()
    write_workplace(WORK)
    rows: list[tuple[str, str, float]] = []
    failed = False
    with tempfile.TemporaryDirectory() as home, serve(Path(home), MODEL_NAME, WORK) as url:
        settings = {**client_settings(url), "HF_DATASETS_CACHE": str(WORK / "cache"), "COLUMNS": "200"}
        recipes = Recipes(python, settings)
        for name in sys.argv[1:] or CHECKS:
            print(f"--- {name}", flush=True)
            started = time.monotonic()
            try:
                result = CHECKS[name](recipes)
            except CheckError as error:
                failed, result = True, f"FAILED: {error}"
            rows.append((name, result, time.monotonic() - started))
            print(result, flush=True)
    print(f"\ntinker-cookbook {VERSION}")
    for name, result, seconds in rows:
        print(f"{name:<15} {seconds:>6.1f} s  {result}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
