"""Pretrain the bundled base model on what `tokenize_corpora.py` and `teacher.py` wrote.

    python pretrain/train.py --data build/pretrain

Each step reads stretches of documents, to predict the next token, and short passages, whose last state is
also drawn to the teacher's embedding. Interrupt it at any time: the state is saved every few minutes and the
same command goes on from there. Matrices are trained by Muon, embeddings, norms and the readout by AdamW.
The learning rate warms up, stays, and falls linearly to zero over the last quarter, when the mix shifts to
speech, first person and psychology. The state before that fall is kept, for a longer run to go on from.

The defaults are the released model's; the other options are for what it is compared with (`controls.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from sources import read_sources

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from base_models.files import written_whole
from corpus import TOKENS_PER_BATCH, Documents, Passages
from objectives import language_model_loss, passage_losses
from tinker_local.engine.model.llama import Llama, LlamaConfig, weight_shapes


def llama_config(hidden_size: int, layers: int) -> LlamaConfig:
    """Heads of 32 numbers, two for each key/value head; a feed-forward 2.75 times as wide as the model."""
    heads = hidden_size // 32
    return LlamaConfig(
        vocab_size=8192,
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        head_dim=32,
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        rope_scaling=None,
        tie_word_embeddings=True,
    )


CONFIG = llama_config(hidden_size=256, layers=6)
WARM_UP_STEPS = 100
DECAY_FRACTION = 0.25
MUON_LEARNING_RATE = 0.02
ADAMW_LEARNING_RATE = 3e-3
MEANING_WEIGHT = 0.5
OTHER_PASSAGES = 1024
SAVE_EVERY_SECONDS = 240
HELD_OUT_TOKENS_PER_SOURCE = 16384
EMBEDDING = "model.embed_tokens.weight"


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one sequence length and one mix."""

    until: float
    sequence_length: int
    mix: str


# Short sequences are cheaper and teach most of what a small model learns; the end uses the full context.
PHASES = (Phase(0.75, 256, "stable"), Phase(0.95, 512, "decay"), Phase(1.0, 1024, "decay"))


def initial_weights(config: LlamaConfig, seed: int) -> dict[str, Tensor]:
    """Normal(0, 0.02) matrices, those that write to the residual stream scaled down with depth; norms one."""
    generator = torch.Generator().manual_seed(seed)
    residual_scale = (2 * config.num_hidden_layers) ** -0.5
    weights: dict[str, Tensor] = {}
    for name, shape in weight_shapes(config).items():
        if len(shape) == 1:
            weights[name] = torch.ones(shape)
            continue
        scale = 0.02 * (residual_scale if "o_proj" in name or "down_proj" in name else 1.0)
        weights[name] = torch.randn(shape, generator=generator) * scale
    return weights


def embeddings_from_teacher(taught: Tensor, random: Tensor) -> Tensor:
    """Token embeddings [vocabulary, hidden] whose directions are the teacher's, at the scale of `random`.

    The teacher's 384 numbers a token are centred and reduced to their principal components. A quarter of the
    random start stays in, because pieces of characters all look the same to the teacher.
    """
    centred = taught - taught.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    reduced = centred @ directions[: random.shape[1]].T
    return reduced / reduced.std() * random.std() + 0.25 * random


def learning_rate_factor(step: int, steps: int) -> float:
    """Warm-up, constant, then linear decay to zero; a short training warms up for a tenth of its steps."""
    warm_up_steps = max(1, min(WARM_UP_STEPS, steps // 10))
    decay_steps = max(1, int(steps * DECAY_FRACTION))
    return min(1.0, (step + 1) / warm_up_steps, (steps - step) / decay_steps)


def held_out_bits(model: Llama, corpus: Documents, sequence_length: int) -> dict[str, float]:
    """Bits per token of each source on documents that were never trained on."""
    bits: dict[str, float] = {}
    for source, tokens in zip(corpus.sources, corpus.tokens, strict=True):
        kept = tokens[: min(len(tokens), HELD_OUT_TOKENS_PER_SOURCE)]
        rows = (len(kept) - 1) // sequence_length
        if rows == 0:
            continue  # a small source may hold out less than one stretch
        inputs = np.stack([kept[i * sequence_length : (i + 1) * sequence_length + 1] for i in range(rows)])
        with torch.no_grad():
            chunks = torch.from_numpy(inputs.astype(np.int64)).split(16)
            losses = [language_model_loss(model, chunk).item() * len(chunk) for chunk in chunks]
        bits[source.name] = sum(losses) / rows / float(np.log(2))
    return bits


def adamw(weights: Sequence[Tensor]) -> torch.optim.AdamW:
    """The optimizer of what is no hidden matrix, at its own learning rate and without decay."""
    return torch.optim.AdamW(weights, lr=ADAMW_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0)


@dataclass
class Training:
    """Everything that a step changes."""

    config: LlamaConfig
    weights: dict[str, Tensor]
    readout: Tensor
    optimizers: Sequence[torch.optim.Optimizer]
    base_rates: Sequence[float]
    step: int = 0

    @classmethod
    def start(cls, config: LlamaConfig, taught: Tensor, seed: int, adamw_alone: bool = False) -> Training:
        """Weights by a seed, but for the embeddings, which begin at what the teacher says of tokens."""
        weights = initial_weights(config, seed)
        weights[EMBEDDING] = embeddings_from_teacher(taught, weights[EMBEDDING])
        for weight in weights.values():
            weight.requires_grad_()
        generator = torch.Generator().manual_seed(seed + 1)
        readout = torch.randn((taught.shape[1], config.hidden_size), generator=generator) * 0.02
        readout.requires_grad_()
        matrices = [w for name, w in weights.items() if w.dim() == 2 and name != EMBEDDING]
        others = [*(w for name, w in weights.items() if w.dim() == 1 or name == EMBEDDING), readout]
        if adamw_alone:
            optimizers: list[torch.optim.Optimizer] = [adamw([*matrices, *others])]
            return cls(config, weights, readout, optimizers, [ADAMW_LEARNING_RATE])
        muon = torch.optim.Muon(matrices, lr=MUON_LEARNING_RATE, momentum=0.95, weight_decay=0.01)
        return cls(config, weights, readout, [muon, adamw(others)], [MUON_LEARNING_RATE, ADAMW_LEARNING_RATE])

    def update(self, factor: float) -> None:
        """A step of both optimizers with their learning rates times a factor; the gradients are spent."""
        for optimizer, rate in zip(self.optimizers, self.base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1

    def save(self, path: Path) -> None:
        """Write all that is needed to go on, whole or not at all."""
        state = {
            "step": self.step,
            "config": asdict(self.config),
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "readout": self.readout.detach(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        with written_whole(path) as partial:
            torch.save(state, partial)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.step = state["step"]
        with torch.no_grad():
            self.readout.copy_(state["readout"])
            for name, weight in self.weights.items():
                weight.copy_(state["weights"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def main() -> None:
    """Train from where it was left, and write what it came to."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    arguments.add_argument("--steps", type=int, default=6000, help=f"each of {2 * TOKENS_PER_BATCH} tokens")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--state", type=Path, help="where the state is kept; DATA/state.pt")
    arguments.add_argument("--hidden-size", type=int, default=CONFIG.hidden_size, help="the model's width")
    arguments.add_argument("--layers", type=int, default=CONFIG.num_hidden_layers)
    arguments.add_argument("--adamw-alone", action="store_true", help="AdamW for the matrices, too")
    arguments.add_argument("--leave-out", nargs="*", default=[], metavar="SOURCE")
    arguments.add_argument("--meaning-weight", type=float, default=MEANING_WEIGHT)
    options = arguments.parse_args()

    sources = [source for source in read_sources() if source.name not in options.leave_out]
    documents = Documents(options.data, sources, "train", options.seed)
    tokenizer = Tokenizer.from_file(str(options.data / "tokenizer.json"))
    passages = Passages(options.data, sources, tokenizer, options.seed)
    taught = torch.from_numpy(np.load(options.data / "token_embeddings.npy"))
    config = llama_config(options.hidden_size, options.layers)
    training = Training.start(config, taught, options.seed, options.adamw_alone)
    model = Llama(config, training.weights)
    state_path: Path = options.state or options.data / "state.pt"
    state_path.parent.mkdir(parents=True, exist_ok=True)
    if state_path.exists():
        training.load(state_path)
        print(f"resuming at step {training.step}", flush=True)

    compiled_documents = torch.compile(lambda batch: language_model_loss(model, batch), dynamic=False)
    compiled_passages = torch.compile(
        lambda *batch: passage_losses(model, training.readout, *batch), dynamic=False
    )
    started = saved_at = time.monotonic()
    first_step = training.step
    recent: list[tuple[float, float, float]] = []
    for step in range(first_step, options.steps):
        phase = next(p for p in PHASES if step < p.until * options.steps)
        factor = learning_rate_factor(step, options.steps)
        if step == int(options.steps * (1 - DECAY_FRACTION)):
            training.save(state_path.with_name("state_before_decay.pt"))
        in_documents = compiled_documents(documents.batch(phase.mix, step, phase.sequence_length))
        in_documents.backward()
        batch = passages.batch(step)
        in_passages, meaning = compiled_passages(
            batch.tokens, batch.targets, batch.last, batch.embeddings, passages.others(step, OTHER_PASSAGES)
        )
        (in_passages + options.meaning_weight * meaning).backward()
        training.update(factor)
        recent = [*recent[-49:], (in_documents.item(), in_passages.item(), meaning.item())]
        now = time.monotonic()
        if step % 20 == 0:
            speed = (step - first_step + 1) * 2 * TOKENS_PER_BATCH / (now - started)
            left = (options.steps - step) * 2 * TOKENS_PER_BATCH / speed / 60
            means = " ".join(f"{mean:.3f}" for mean in np.mean(recent, axis=0))
            print(
                f"step {step:5} documents, passages, meaning {means}, {speed:,.0f} tokens/s, "
                f"{left:.0f} min left",
                flush=True,
            )
        if now - saved_at > SAVE_EVERY_SECONDS:
            training.save(state_path)
            saved_at = now
    training.save(state_path)
    bits = held_out_bits(model, Documents(options.data, read_sources(), "held_out"), 512)
    report = {
        "config": asdict(config),
        "steps": options.steps,
        "tokens": options.steps * 2 * TOKENS_PER_BATCH,
        "held_out_bits_per_token": bits,
    }
    with written_whole(state_path.with_name("report.json")) as partial:
        partial.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(bits, indent=1))


if __name__ == "__main__":
    main()
