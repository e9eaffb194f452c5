r"""How good base models are, side by side: bits per character of held-out text, and what probes find.

    python pretrain/evidence.py --corpora ../shared/corpora build/corpora --examples data \
        --model symptoms-base --model before=build/base-2 --model untrained=build/untrained-base

Each `--model` is a name or a folder in Hugging Face's layout, with a name for the table before `=`. Bits per
character can be compared between models with different tokenizers, bits per token cannot. The held-out
documents of a source are cut to its first 40,000 characters and read in stretches of 512 tokens. Written as
a table in Markdown.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probe import STRENGTHS, read_split, states
from sources import Source, read_documents, read_sources

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from tinker_local.loading import BaseModel, load_base_model

MOST_CHARACTERS = 40_000
STRETCH = 512


def held_out_text(corpora: Sequence[Path], source: Source) -> list[str]:
    """The first held-out documents of a source, together at most 40,000 characters, the last one cut."""
    texts: list[str] = []
    left = MOST_CHARACTERS
    for text, held_out in read_documents(corpora, source):
        if held_out and left > 0:
            texts.append(text[:left])
            left -= len(text)
    return texts


def bits_per_character(base: BaseModel, texts: Sequence[str]) -> float:
    """Bits for all tokens but the first of a text, divided by its characters."""
    nats, characters = 0.0, 0
    with torch.inference_mode():
        for text in texts:
            encoding = base.tokenizer.encode(text)
            ids = torch.tensor(encoding.ids)
            for start in range(0, len(ids) - 1, STRETCH):
                stretch = ids[start : start + STRETCH + 1]
                logits = base.model.logits(base.model.hidden(stretch[None, :-1]))[0]
                nats += float(torch.nn.functional.cross_entropy(logits, stretch[1:], reduction="sum"))
            characters += len(text)
    return nats / math.log(2) / max(1, characters)


def probe_accuracy(base: BaseModel, examples: Path) -> tuple[float, float]:
    """Accuracy on dev and test of a linear probe at the last token; its strength is chosen on dev."""
    known, conditions = read_split(examples, "train")
    features = states(base.model, base.tokenizer, known)[0]
    tried: list[tuple[float, float]] = []
    splits = {split: read_split(examples, split) for split in ("dev", "test")}
    seen = {split: states(base.model, base.tokenizer, texts)[0] for split, (texts, _) in splits.items()}
    for strength in STRENGTHS:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        probe.fit(features, conditions)
        dev, test = (probe.score(seen[split], splits[split][1]) for split in ("dev", "test"))
        tried.append((float(dev), float(test)))
    return max(tried, key=lambda pair: pair[0])


def main() -> None:
    """Print the table for the models in the options."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--corpora", type=Path, nargs="+", required=True)
    arguments.add_argument("--examples", type=Path, default=Path("data"))
    arguments.add_argument("--model", action="append", required=True)
    options = arguments.parse_args()
    named = [model.rpartition("=")[::2] for model in options.model]
    bases = {name or path: load_base_model(path, "float32", torch.device("cpu")) for name, path in named}

    rows: list[tuple[str, list[str]]] = []
    sizes = [f"{base.model.num_parameters / 1e6:.2f}" for base in bases.values()]
    rows.append(("parameters, millions", sizes))
    for source in read_sources():
        texts = held_out_text(options.corpora, source)
        if texts:
            bits = [f"{bits_per_character(base, texts):.2f}" for base in bases.values()]
            rows.append((f"{source.name}, bits per character", bits))
    probes = [probe_accuracy(base, options.examples) for base in bases.values()]
    rows.append(("probe at the last token, dev accuracy", [f"{dev:.3f}" for dev, _ in probes]))
    rows.append(("probe at the last token, test accuracy", [f"{test:.3f}" for _, test in probes]))

    print(f"| | {' | '.join(bases)} |")
    print(f"|---|{'---|' * len(bases)}")
    for title, cells in rows:
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
