"""Train the tokenizer on the corpora and write every source as token ids; what is there already stays.

python pretrain/tokenize_corpora.py --corpora ../shared/corpora build/corpora --out build/pretrain
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from base_models.files import written_whole
from sources import Source, read_documents, read_sources

VOCABULARY_SIZE = 8192
BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
# Reserved now so that later versions can give them a meaning without a new embedding table.
SPECIAL_TOKENS = [BEGIN, END, *(f"<|reserved_{number}|>" for number in range(6))]
# The words of our own prose should be spelled as the public texts' words are.
OWN_PROSE = "own_prose"
# The tokenizer sees at most this much of each source, so that long novels do not crowd out speech.
CHARACTERS_PER_SOURCE = 4_000_000
# Words with their leading space, contractions, single digits, runs of punctuation, and line breaks.
PIECES = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"


def new_tokenizer() -> Tokenizer:
    """An untrained byte-level BPE that puts the begin token before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def training_text(corpora: Sequence[Path], sources: list[Source]) -> Iterator[str]:
    """What the tokenizer learns from: so much of each source, and nothing held out or of our own prose."""
    for source in sources:
        if source.name == OWN_PROSE:
            continue
        remaining = CHARACTERS_PER_SOURCE
        for text, held_out in read_documents(corpora, source):
            if held_out:
                continue
            yield text[:remaining]
            remaining -= len(text)
            if remaining <= 0:
                break


def train_tokenizer(corpora: Sequence[Path], sources: list[Source]) -> Tokenizer:
    """A byte-level BPE tokenizer that begins each text with its own token."""
    tokenizer = new_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=True,
    )
    tokenizer.train_from_iterator(training_text(corpora, sources), trainer)
    begin = tokenizer.token_to_id(BEGIN)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, begin)]
    )
    return tokenizer


def write_source(tokenizer: Tokenizer, corpora: Sequence[Path], source: Source, out: Path) -> None:
    """Write `<source>.train.bin` and `<source>.held_out.bin`: uint16 ids, each document begun and ended."""
    end = tokenizer.token_to_id(END)
    documents = list(read_documents(corpora, source))
    encodings = tokenizer.encode_batch([text for text, _ in documents])
    for split, wanted in (("train", False), ("held_out", True)):
        ids = [
            np.array([*encoding.ids, end], dtype=np.uint16)
            for encoding, (_, held_out) in zip(encodings, documents, strict=True)
            if held_out is wanted
        ]
        flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.uint16)
        with written_whole(out / f"{source.name}.{split}.bin") as partial:
            # Not tofile(), which says nothing where the last of it does not fit on the disk.
            partial.write_bytes(flat.tobytes())
        characters = sum(len(text) for text, held_out in documents if held_out is wanted)
        if characters:
            print(
                f"{source.name:28} {split:9} {len(flat):>11,} tokens, "
                f"{characters / len(flat):.2f} characters each"
            )


def main() -> None:
    """Train the tokenizer where there is none, and tokenise every source that is missing."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument(
        "--corpora", type=Path, nargs="+", required=True, help="folders with one folder a source"
    )
    arguments.add_argument("--out", type=Path, default=Path("build/pretrain"))
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sources = read_sources()
    saved = options.out / "tokenizer.json"
    if not saved.exists():
        tokenizer = train_tokenizer(options.corpora, sources)
        with written_whole(saved) as partial:
            tokenizer.save(str(partial))
    tokenizer = Tokenizer.from_file(str(saved))
    for source in sources:
        if not (options.out / f"{source.name}.held_out.bin").exists():
            write_source(tokenizer, options.corpora, source, options.out)


if __name__ == "__main__":
    main()
