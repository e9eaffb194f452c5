"""Which share of what the model reads comes from which source, as a table in Markdown.

    python pretrain/shares.py --data build/pretrain

Half of each step is stretches of documents, chosen by the shares of `sources.toml` in each phase. The other
half is passages, each as likely as every other, so a source's share there is that of its passages' tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sources import Source, read_sources
from train import PHASES


def document_shares(sources: Sequence[Source]) -> np.ndarray:
    """float64 [sources]: the phases' shares, weighted by how much of the training each phase is."""
    shares = np.zeros(len(sources))
    begin = 0.0
    for phase in PHASES:
        mix = np.array([getattr(source, phase.mix) for source in sources], dtype=float)
        shares += (phase.until - begin) * mix / mix.sum()
        begin = phase.until
    return shares


def passage_shares(data: Path, sources: Sequence[Source]) -> np.ndarray:
    """float64 [sources]: of the tokens of all passages."""
    tokens = [len(np.load(data / f"{one.name}.short.npz")["ids"]) if one.short else 0 for one in sources]
    return np.array(tokens) / sum(tokens)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    options = arguments.parse_args()
    sources = read_sources()
    in_documents, in_passages = document_shares(sources), passage_shares(options.data, sources)
    print("| source | licence | tokens it has | share of documents | share of passages | share of all |")
    print("|---|---|---|---|---|---|")
    for source, documents, passages in zip(sources, in_documents, in_passages, strict=True):
        tokens = (options.data / f"{source.name}.train.bin").stat().st_size // 2
        print(
            f"| {source.name} | {source.licence} | {tokens:,} | {documents:.1%} | {passages:.1%} "
            f"| {(documents + passages) / 2:.1%} |"
        )


if __name__ == "__main__":
    main()
