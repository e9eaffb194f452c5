"""Turn sources round, so that what is described comes first and its name after: "read, then name it".

python pretrain/naming_tasks.py --corpora ../shared/corpora --out build/corpora

A dictionary gives "gloss, then word" and a health encyclopedia "answer, then what it is about". The cue
between the two varies, so that the model learns the skill and not one format.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path

from base_models.files import written_whole
from sources import Source, read_documents

CUES = (
    "\nIn short:",
    "\nTopic:",
    "\nAbout:",
    "\nGist:",
    "\nThis is about:",
    "\nSubject:",
    "\nIn a word:",
    "\nName:",
    "\nMain point:",
    "\nWhat it is about:",
    "\nHeading:",
    "\n=>",
)
MEDQUAD = re.compile(
    r"Question: (?:What (?:is|are)(?: the (?:symptoms|causes|treatments|outlook|complications) (?:of|for))?"
    r"(?: \(are\))?|How to (?:diagnose|prevent)|Who is at risk for|Is) (?P<name>[^?]+?) ?\?[^\n]*\n"
    r"Answer: (?P<text>.+)",
    re.DOTALL,
)
WORDNET = re.compile(r"(?P<name>[^:\n]{2,60}): (?P<text>[^\n]{12,})")
LONGEST = 700


def cue_of(text: str) -> str:
    """A cue that the text itself decides, so that every run writes the same file."""
    return CUES[hashlib.sha256(text.encode()).digest()[0] % len(CUES)]


def turned_round(corpora: Path, name: str, layout: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    """Each document of a source that has the layout, with its name last, and whether it is held out."""
    for document, held_out in read_documents([corpora], Source(name, "", 0, 0)):
        match = layout.fullmatch(document)
        if match is None:
            continue
        text = match["text"].strip()
        if len(text) > LONGEST:
            text = text[: text.rfind(". ", 0, LONGEST) + 1] or text[:LONGEST]
        yield f"{text}{cue_of(text)} {match['name'].strip()}", held_out


def main() -> None:
    """Write a corpus for each source that can be turned round."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--corpora", type=Path, required=True)
    arguments.add_argument("--out", type=Path, default=Path("build/corpora"))
    options = arguments.parse_args()
    for source, layout in (("wordnet", WORDNET), ("medquad", MEDQUAD)):
        folder = options.out / f"{source}_named"
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        with (
            written_whole(folder / "docs.jsonl.xz") as partial,
            lzma.open(partial, "wt", encoding="utf-8", preset=1) as file,
        ):
            for text, held_out in turned_round(options.corpora, source, layout):
                document = {"text": text, "held_out": held_out}
                file.write(json.dumps(document, ensure_ascii=False) + "\n")
                count += 1
        print(f"{folder.name}: {count:,} texts")


if __name__ == "__main__":
    main()
