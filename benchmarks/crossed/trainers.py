"""The loss of the first steps on the same eight texts by four trainers: a table of docs/field.md.

python -m benchmarks.crossed.trainers      # two minutes, more the first time
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from base_models import BUNDLED_BASE, resolve
from benchmarks.crossed.ingredients import RANK, SAID, layer_names
from benchmarks.environments import Environment, Threads, ours, peers
from benchmarks.places import ROOT, cache

MLX = ("mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4")
SHOWN = (1, 2, 6, 12)


@dataclass(frozen=True)
class Trainer:
    """A worker, the environment that it runs in, and what its settings differ in."""

    name: str
    worker: str
    environment: str = "peers"
    differs: dict[str, Any] = field(default_factory=dict[str, Any])


ROW = {"per_device_train_batch_size": 1}
TRAINERS = (
    Trainer("`tinker_local`, weights of a mean", "with_tinker_local", "ours"),
    Trainer("PEFT, plain loop", "with_peft"),
    Trainer("TRL, `bf16: false`", "with_trl"),
    Trainer("TRL, two rows accumulated four times", "with_trl", differs={
        "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}),
    Trainer("TRL, `packing`", "with_trl", differs={**ROW, "packing": True, "max_length": 256}),
    Trainer("TRL, `packing_strategy: wrapped`", "with_trl", differs={
        **ROW, "packing": True, "max_length": 256, "packing_strategy": "wrapped"}),
    Trainer("TRL, as it comes (bfloat16 products)", "with_trl", differs={"bf16": True}),
    Trainer("mlx-lm, without what follows the end, `bias_correction`", "with_mlx_lm", "mlx", {
        "one_past_the_end": False}),
    Trainer("mlx-lm, `bias_correction`", "with_mlx_lm", "mlx"),
    Trainer("mlx-lm, as it comes", "with_mlx_lm", "mlx", {"adam": {}}),
)  # fmt: skip


def main() -> None:
    """Run each trainer in its own environment and print its losses at the shown steps."""
    environments = {"ours": ours(), "peers": peers(), "mlx": mlx()}
    with tempfile.TemporaryDirectory() as folder:
        write_ingredients(Path(folder))
        print(f"| trainer | {' | '.join(f'step {step}' for step in SHOWN)} |")
        print(f"|---|{'---|' * len(SHOWN)}")
        for one in TRAINERS:
            losses = losses_of(one, environments[one.environment], folder)
            print(f"| {one.name} | {' | '.join(f'{losses[step - 1]:.6f}' for step in SHOWN)} |", flush=True)


def write_ingredients(folder: Path) -> None:
    """A random Llama of two blocks with the bundled base's tokenizer, and an A for each of its layers."""
    model = folder / "model"
    model.mkdir()
    tokenizer = resolve(BUNDLED_BASE).path
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, model / name)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.1, rms_norm_eps=1e-5,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    llama = LlamaForCausalLM(config)
    llama.save_pretrained(model)
    first = {name: torch.empty(RANK, llama.get_submodule(name).in_features) for name in layer_names(2)}
    for matrix in first.values():
        matrix.uniform_(-0.1, 0.1)
    save_file(first, folder / "first.safetensors")


def losses_of(one: Trainer, environment: Environment, folder: str) -> list[float]:
    """The losses of all steps, each before its update."""
    return said_by(one.name, environment, one.worker, folder, json.dumps(one.differs))["losses"]


def said_by(name: str, environment: Environment, worker: str, *arguments: str) -> dict[str, Any]:
    """What a worker hands over; a failure ends the program with the last lines that the worker wrote."""
    command = [environment.python, "-m", f"benchmarks.crossed.{worker}", *arguments]
    variables = environment.variables(Threads(1, sleep=True))
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith(SAID)]
    if done.returncode or not told:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(told[0].removeprefix(SAID))


def mlx() -> Environment:
    """An environment with mlx-lm alone, which wants another transformers than the peers."""
    folder = cache() / "mlx"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        install = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, *MLX], check=True)
    return Environment(python, (ROOT,))


if __name__ == "__main__":
    main()
