"""How much of a description's meaning is in the base model's states: linear probes on the labelled data.

    python pretrain/probe.py --examples data --data build/pretrain

A logistic regression learns the conditions from the frozen states of the training split and is tried on the
dev split, or with --split test on the test split. Two places are read: the mean over the description, and the
last token of the prompt, where the classifier's answer begins.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from tinker_local.engine.model.llama import Llama, LlamaConfig

PROMPT = "Symptoms: {}\nAssessment:"
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)


def read_split(folder: Path, split: str) -> tuple[list[str], list[str]]:
    """Descriptions and conditions."""
    lines = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
    return [line["input"] for line in lines], [line["condition"] for line in lines]


def states(model: Llama, tokenizer: Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """float32 [n, hidden] at the last token, and the mean over all."""
    last: list[np.ndarray] = []
    mean: list[np.ndarray] = []
    with torch.inference_mode():
        for text in texts:
            hidden = model.hidden(torch.tensor([tokenizer.encode(PROMPT.format(text)).ids]))[0]
            last.append(hidden[-1].numpy())
            mean.append(hidden.mean(0).numpy())
    return np.stack(last), np.stack(mean)


def main() -> None:
    """Print the accuracy and macro-F1 of both places that are read."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--examples", type=Path, default=Path("data"))
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    arguments.add_argument("--state", type=Path, help="as for train.py; DATA/state.pt")
    arguments.add_argument("--split", default="dev", choices=("dev", "test"))
    options = arguments.parse_args()
    tokenizer = Tokenizer.from_file(str(options.data / "tokenizer.json"))
    state = torch.load(options.state or options.data / "state.pt", weights_only=True)
    model = Llama(LlamaConfig(**state["config"]), state["weights"])
    texts, wanted = read_split(options.examples, "train-900")
    tried, right = read_split(options.examples, options.split)
    seen = zip(states(model, tokenizer, texts), states(model, tokenizer, tried), strict=True)
    for place, (known, unseen) in zip(("last token", "mean"), seen, strict=True):
        scores = {
            strength: make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            .fit(known, wanted)
            .score(unseen, right)
            for strength in STRENGTHS
        }
        print(
            f"step {state['step']}, {place}: "
            + ", ".join(f"C={strength} {score:.3f}" for strength, score in scores.items())
        )


if __name__ == "__main__":
    main()
