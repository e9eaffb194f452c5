"""Write first-person everyday prose from the hand-written lexicon.

python pretrain/prose/generate.py --out ../shared/corpora/prose/docs.jsonl.xz --texts 100000 --seed 1
python pretrain/prose/generate.py --show 20
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from random import Random

from compose import Composer
from grammar import read_lexicon

from base_models.files import written_whole

FEWEST_WORDS, MOST_WORDS = 15, 150


def generate(texts: int, seed: int) -> Iterator[dict[str, str]]:
    """`{"text", "kind", "gist"}` of so many different texts, the same ones for the same seed."""
    composer = Composer(read_lexicon(), Random(seed))
    seen: set[bytes] = set()
    while len(seen) < texts:
        document = composer.write()
        text = document["text"]
        digest = hashlib.blake2b(text.encode(), digest_size=12).digest()
        if digest in seen or not FEWEST_WORDS <= text.count(" ") + text.count("\n") + 1 <= MOST_WORDS:
            continue
        seen.add(digest)
        yield document


def main() -> None:
    """Write the texts, or show some of them."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--texts", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--show", type=int, default=0, help="print so many samples instead")
    options = arguments.parse_args()
    if options.show:
        for document in generate(options.show, options.seed):
            print(f"[{document['kind']}] {document['text']}\n")
        return
    if options.out is None:
        arguments.error("say --out FILE or --show N")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(options.out) as partial, lzma.open(partial, "wb", preset=1) as lines:
        for document in generate(options.texts, options.seed):
            lines.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    main()
