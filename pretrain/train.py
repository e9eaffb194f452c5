"""Pretrain the bundled base model on the tokens that `tokenize_corpora.py` wrote.

    python pretrain/train.py --data build/pretrain --steps 4500

Interrupt it at any time: the state is saved every few minutes and the same command goes on from there.
Matrices are trained by Muon, embeddings and norms by AdamW. The learning rate warms up, stays, and falls
linearly to zero over the last quarter, when the mix shifts to speech, first person and psychology.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from sources import Source, read_sources

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from tinker_local.engine.llama import Llama, LlamaConfig, weight_shapes

CONFIG = LlamaConfig(
    vocab_size=4096,
    hidden_size=256,
    intermediate_size=704,
    num_hidden_layers=4,
    num_attention_heads=8,
    num_key_value_heads=4,
    head_dim=32,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    rope_scaling=None,
    tie_word_embeddings=True,
)
WARM_UP_STEPS = 100
DECAY_FRACTION = 0.25
MUON_LEARNING_RATE = 0.02
ADAMW_LEARNING_RATE = 3e-3
SAVE_EVERY_SECONDS = 240
TOKENS_PER_BATCH = 4096
HELD_OUT_TOKENS_PER_SOURCE = 16384


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one sequence length and one mix."""

    until: float
    sequence_length: int
    mix: str


# Short sequences are cheaper and teach most of what a small model learns; the end uses the full context.
PHASES = (Phase(0.75, 256, "stable"), Phase(1.0, 512, "decay"))


def initial_weights(config: LlamaConfig, seed: int) -> dict[str, torch.Tensor]:
    """Normal(0, 0.02) matrices, those that write to the residual stream scaled down with depth; norms one."""
    generator = torch.Generator().manual_seed(seed)
    residual_scale = (2 * config.num_hidden_layers) ** -0.5
    weights: dict[str, torch.Tensor] = {}
    for name, shape in weight_shapes(config).items():
        if len(shape) == 1:
            weights[name] = torch.ones(shape)
            continue
        scale = 0.02 * (residual_scale if "o_proj" in name or "down_proj" in name else 1.0)
        weights[name] = torch.randn(shape, generator=generator) * scale
    return weights


class Corpus:
    """Token files of every source, sampled by share."""

    def __init__(self, folder: Path, sources: list[Source], split: str, seed: int = 0) -> None:
        self.seed = seed
        self.sources = sources
        self.tokens = [np.fromfile(folder / f"{s.name}.{split}.bin", dtype=np.uint16) for s in sources]

    def batch(self, mix: str, step: int, sequence_length: int) -> torch.Tensor:
        """int64 [batch, sequence_length + 1]; seed and step decide it, so a resumed run reads the same."""
        generator = np.random.default_rng([step, 1 + self.seed])
        shares = np.array([getattr(source, mix) for source in self.sources], dtype=float)
        rows: list[np.ndarray] = []
        chosen = generator.choice(
            len(self.sources), size=TOKENS_PER_BATCH // sequence_length, p=shares / shares.sum()
        )
        for index in chosen:
            tokens = self.tokens[index]
            start = generator.integers(0, len(tokens) - sequence_length - 1)
            rows.append(tokens[start : start + sequence_length + 1])
        return torch.from_numpy(np.stack(rows).astype(np.int64))


def language_model_loss(model: Llama, batch: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood per token, in nats."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.logits(model.hidden(batch[:, :-1]))
    return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def learning_rate_factor(step: int, steps: int) -> float:
    """Warm-up, constant, then linear decay to zero."""
    decay_steps = max(1, int(steps * DECAY_FRACTION))
    return min(1.0, (step + 1) / WARM_UP_STEPS, (steps - step) / decay_steps)


def held_out_bits(model: Llama, corpus: Corpus, sequence_length: int) -> dict[str, float]:
    """Bits per token of each source on documents that were never trained on."""
    bits: dict[str, float] = {}
    for source, tokens in zip(corpus.sources, corpus.tokens, strict=True):
        kept = tokens[: min(len(tokens), HELD_OUT_TOKENS_PER_SOURCE)]
        rows = (len(kept) - 1) // sequence_length
        inputs = np.stack([kept[i * sequence_length : (i + 1) * sequence_length + 1] for i in range(rows)])
        with torch.no_grad():
            chunks = torch.from_numpy(inputs.astype(np.int64)).split(16)
            losses = [language_model_loss(model, chunk).item() * len(chunk) for chunk in chunks]
        bits[source.name] = sum(losses) / rows / float(np.log(2))
    return bits


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    arguments.add_argument("--steps", type=int, default=4500, help=f"each of {TOKENS_PER_BATCH} tokens")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()

    sources = read_sources()
    corpus = Corpus(options.data, sources, "train", options.seed)
    weights = {name: w.requires_grad_() for name, w in initial_weights(CONFIG, options.seed).items()}
    model = Llama(CONFIG, weights)
    matrices = [w for name, w in weights.items() if w.dim() == 2 and "embed" not in name]
    others = [w for name, w in weights.items() if w.dim() == 1 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=MUON_LEARNING_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=ADAMW_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    base_rates = [MUON_LEARNING_RATE, ADAMW_LEARNING_RATE]
    state_path = options.data / "state.pt"
    first_step = 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        first_step = state["step"]
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(state["weights"][name])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        print(f"resuming at step {first_step}", flush=True)

    def save(step: int) -> None:
        plain = {name: w.detach().clone() for name, w in weights.items()}
        partial = state_path.with_suffix(".partial")
        torch.save(
            {"step": step, "weights": plain, "optimizers": [o.state_dict() for o in optimizers]}, partial
        )
        os.replace(partial, state_path)

    compiled_loss = torch.compile(lambda batch: language_model_loss(model, batch), dynamic=False)
    started = saved_at = time.monotonic()
    recent: list[float] = []
    for step in range(first_step, options.steps):
        phase = next(p for p in PHASES if step < p.until * options.steps)
        factor = learning_rate_factor(step, options.steps)
        loss = compiled_loss(corpus.batch(phase.mix, step, phase.sequence_length))
        loss.backward()
        for optimizer, rate in zip(optimizers, base_rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        recent = [*recent[-49:], loss.item()]
        now = time.monotonic()
        if step % 20 == 0:
            speed = (step - first_step + 1) * TOKENS_PER_BATCH / (now - started)
            left = (options.steps - step) * TOKENS_PER_BATCH / speed / 60
            print(
                f"step {step:5} loss {sum(recent) / len(recent):.3f} "
                f"{speed:,.0f} tokens/s {left:.0f} min left",
                flush=True,
            )
        if now - saved_at > SAVE_EVERY_SECONDS:
            save(step + 1)
            saved_at = now
    save(options.steps)
    bits = held_out_bits(model, Corpus(options.data, sources, "held_out"), PHASES[-1].sequence_length)
    report = {
        "config": asdict(CONFIG),
        "steps": options.steps,
        "tokens": options.steps * TOKENS_PER_BATCH,
        "held_out_bits_per_token": bits,
    }
    (options.data / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(bits, indent=1))


if __name__ == "__main__":
    main()
