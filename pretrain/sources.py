"""Read the corpora: which sources, in which shares, and which documents are held out."""

from __future__ import annotations

import hashlib
import json
import lzma
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HELD_OUT_PER_THOUSAND = 10


@dataclass(frozen=True)
class Source:
    """One folder of the corpora with its licence and its share of tokens in each phase.

    `short` is how many of its short passages the teacher embeds; 0 where the source gives none.
    """

    name: str
    licence: str
    stable: float
    decay: float
    short: int = 0


def read_sources(path: Path = HERE / "sources.toml") -> list[Source]:
    """Every source that the mix names, in the order of the file."""
    return [Source(name=name, **fields) for name, fields in tomllib.loads(path.read_text()).items()]


def read_documents(corpora: Sequence[Path], source: Source) -> Iterator[tuple[str, bool]]:
    """(text, held out?) of each document, from the first of the folders that has the source.

    A digest of the text decides which documents are held out, so the choice depends on neither order
    nor seed, and an exact copy of a held-out document can never be trained on. A text made of another
    says itself, in `held_out`, whether that one is, so that neither gives the other away.
    """
    files = [folder / source.name / "docs.jsonl.xz" for folder in corpora]
    file = next((file for file in files if file.exists()), files[0])
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            text = document["text"].strip()
            if text:
                digest = hashlib.sha256(text.encode()).digest()
                by_digest = int.from_bytes(digest[:4], "big") % 1000 < HELD_OUT_PER_THOUSAND
                yield text, document.get("held_out", by_digest)
