"""What the base model reads in a step: stretches of documents, and passages with the teacher's embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from naming_tasks import CUES
from sources import Source
from tokenize_corpora import BEGIN, END

TOKENS_PER_BATCH = 2048
LENGTHS = (24, 40, 64, 128)
"""Passages of about the same length go together, so that little is padding."""
WITHOUT_CUE = 0.3
OPENINGS = ("", "", "", "Text:\n", "Post:\n", "Message:\n", "Note:\n", "They said:\n", "Q: ", "- ")


class Documents:
    """Token files of every source, sampled by share."""

    def __init__(self, folder: Path, sources: Sequence[Source], split: str, seed: int = 0) -> None:
        self.seed = seed
        self.sources = sources
        self.tokens = [np.fromfile(folder / f"{s.name}.{split}.bin", dtype=np.uint16) for s in sources]

    def batch(self, mix: str, step: int, sequence_length: int) -> Tensor:
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


@dataclass(frozen=True)
class PassageBatch:
    """Passages padded to one length, with the position whose state should say what each is about.

    `tokens` int64 [n, length]; `targets` int64 [n, length], each token's next, -100 where there is none to
    learn; `last` int64 [n]; `embeddings` float32 [n, 384].
    """

    tokens: Tensor
    targets: Tensor
    last: Tensor
    embeddings: Tensor


class Passages:
    """Short passages of all sources that the teacher embedded.

    Most are given an opening and a cue from a varied list, and are read out behind the cue; the rest end
    as they are. So meaning is gathered at the last token whatever that token is.
    """

    def __init__(self, folder: Path, sources: Sequence[Source], tokenizer: Tokenizer, seed: int = 0) -> None:
        self.seed = seed
        # dict(), because an open npz file reads an array anew each time that it is asked for.
        files = [dict(np.load(folder / f"{s.name}.short.npz")) for s in sources if s.short]
        self.ids = [ids for file in files for ids in np.split(file["ids"], file["starts"][1:-1])]
        self.embeddings = np.concatenate([file["embeddings"] for file in files])
        self.cues = [_ids(tokenizer, cue) for cue in CUES]
        self.openings = [_ids(tokenizer, opening) for opening in OPENINGS]
        self.begin, self.end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
        widest = max(map(len, self.cues)) + max(map(len, self.openings))
        needed = np.array([len(ids) + widest for ids in self.ids])
        bucket = np.searchsorted(LENGTHS, needed)
        self.buckets = [np.flatnonzero(bucket == number) for number in range(len(LENGTHS))]
        tokens = np.array([len(rows) * length for rows, length in zip(self.buckets, LENGTHS, strict=True)])
        self.shares = tokens / tokens.sum()

    def batch(self, step: int) -> PassageBatch:
        """One length's passages; seed and step decide which."""
        generator = np.random.default_rng([step, 2 + self.seed])
        number = generator.choice(len(LENGTHS), p=self.shares)
        length, bucket = LENGTHS[number], self.buckets[number]
        chosen = generator.choice(bucket, size=TOKENS_PER_BATCH // length, replace=False)
        tokens = np.full((len(chosen), length), self.end, dtype=np.int64)
        targets = np.full((len(chosen), length), -100, dtype=np.int64)
        last = np.zeros(len(chosen), dtype=np.int64)
        for row, index in enumerate(chosen):
            text = self.ids[index][1:]  # the teacher's file has the begin token first
            opening = self.openings[generator.integers(len(self.openings))]
            cue = self.cues[generator.integers(len(self.cues))]
            if generator.random() < WITHOUT_CUE:
                cue = np.zeros(0, dtype=np.uint16)
            read = np.concatenate([[self.begin], opening, text])
            whole = np.concatenate([read, cue])
            tokens[row, : len(whole)] = whole
            targets[row, len(opening) : len(read) - 1] = read[1 + len(opening) :]
            last[row] = len(whole) - 1
        return PassageBatch(
            torch.from_numpy(tokens),
            torch.from_numpy(targets),
            torch.from_numpy(last),
            torch.from_numpy(self.embeddings[chosen].astype(np.float32)),
        )

    def others(self, step: int, count: int) -> Tensor:
        """float32 [count, 384]: embeddings of other passages, to be told apart from the batch's own."""
        generator = np.random.default_rng([step, 3 + self.seed])
        chosen = generator.integers(0, len(self.embeddings), size=count)
        return torch.from_numpy(self.embeddings[chosen].astype(np.float32))


def _ids(tokenizer: Tokenizer, text: str) -> np.ndarray:
    return np.array(tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)
