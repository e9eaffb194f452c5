"""Write the health-education articles in `articles/` as a corpus, one article a document.

python pretrain/prose/articles.py --out build/corpora/own_articles/docs.jsonl.xz
python pretrain/prose/articles.py --show 5

A file holds the articles of one field. `# Title` begins an article, empty lines part its paragraphs, and a
line of a dialogue is a paragraph's line of its own.
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from base_models.files import written_whole

FOLDER = Path(__file__).parent / "articles"
TITLE = "# "


@dataclass(frozen=True)
class Article:
    """One short article: its title and its lines, a line being a paragraph or what one speaker says."""

    field: str
    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """As the model reads it: the title, then line after line."""
        return "\n".join((self.title, *self.lines))


def read_file(path: Path) -> Iterator[Article]:
    """The articles of one file in its order.

    Raises ValueError where text stands before the first title, or a title has no text.
    """
    head, *parts = ("\n" + path.read_text(encoding="utf-8")).split("\n" + TITLE)
    if head.strip():
        raise ValueError(f"{path.name} begins with text that has no title; put '{TITLE}Title' above it.")
    for part in parts:
        title, _, body = part.partition("\n")
        lines = tuple(line.strip() for line in body.splitlines() if line.strip())
        if not title.strip() or not lines:
            raise ValueError(f"{path.name} lacks a title or a text at '{title}'; add it or take both away.")
        yield Article(field=path.stem, title=title.strip(), lines=lines)


def read_articles(folder: Path = FOLDER) -> list[Article]:
    """Every article, the fields in the order of their names."""
    return [article for path in sorted(folder.glob("*.txt")) for article in read_file(path)]


def main() -> None:
    """Write the corpus, or show some articles."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--show", type=int, default=0, help="print so many articles instead")
    options = arguments.parse_args()
    articles = read_articles()
    if options.show:
        for article in articles[: options.show]:
            print(f"[{article.field}] {article.text}\n")
        return
    if options.out is None:
        arguments.error("say --out FILE or --show N")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(options.out) as partial, lzma.open(partial, "wb", preset=6) as lines:
        for article in articles:
            lines.write(json.dumps({"text": article.text}, ensure_ascii=False).encode() + b"\n")
    words = sum(len(article.text.split()) for article in articles)
    fields = {article.field for article in articles}
    print(f"{len(articles):,} articles, {words:,} words, {len(fields)} fields")


if __name__ == "__main__":
    main()
