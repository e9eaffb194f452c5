"""The articles in `pretrain/prose/articles`: read whole, all different, and free of the format."""

from __future__ import annotations

import importlib
import json
import lzma
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

PRETRAIN = Path(__file__).parent.parent.parent / "pretrain"
PROSE = PRETRAIN / "prose"
FORMAT = re.compile(r"symptoms:|assessment:|primary concern|key symptoms|recommendation:", re.IGNORECASE)
DOSE = re.compile(r"\b\d+ ?(?:mg|mcg|milligrams?|micrograms?)\b", re.IGNORECASE)
VERDICT = re.compile(r"\byou (?:have|suffer)\b|\byou['\u2019]ve got\b", re.IGNORECASE)


@pytest.fixture
def articles(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROSE))
    return importlib.import_module("articles")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the command writes, read back."""
    path = tmp_path_factory.mktemp("articles") / "own_articles" / "docs.jsonl.xz"
    subprocess.run([sys.executable, str(PROSE / "articles.py"), "--out", str(path)], check=True)
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def test_every_word_of_the_files_is_written(texts: list[str]) -> None:
    """The documents hold the words of all files in their order; only the title marks are left out."""
    files = sorted((PROSE / "articles").glob("*.txt"))
    written = " ".join(file.read_text(encoding="utf-8") for file in files).split()
    assert " ".join(texts).split() == [word for word in written if word != "#"]


def test_no_two_articles_have_a_title_or_a_paragraph_in_common(texts: list[str]) -> None:
    """A title that occurs twice, or a paragraph that was pasted twice, is found; short replies may recur."""
    titles = [text.split("\n")[0] for text in texts]
    paragraphs = [line for text in texts for line in text.split("\n") if len(line.split()) > 12]
    assert len(set(titles)) == len(titles)
    assert len(set(paragraphs)) == len(paragraphs)


def test_no_article_has_the_format_a_dose_or_a_verdict(texts: list[str]) -> None:
    """Nothing is said as the assessment says it, no amount of a drug is named, nobody gets a verdict."""
    found = [
        match.group() for text in texts for words in (FORMAT, DOSE, VERDICT) for match in words.finditer(text)
    ]
    assert not found


def test_articles_are_short_enough_to_keep_the_name_in_sight(texts: list[str]) -> None:
    """Each has 25 to 500 words, so that a stretch of it that the model reads says what it is about."""
    outside = [text.split("\n")[0] for text in texts if not 25 <= len(text.split()) <= 500]
    assert not outside


def test_a_text_without_a_title_is_refused(articles: ModuleType, tmp_path: Path) -> None:
    """The message says which file and what to add."""
    (tmp_path / "field.txt").write_text("A paragraph.\n\n# Title\n\nAnother.\n")
    with pytest.raises(ValueError, match=r"field\.txt begins with text that has no title; put"):
        articles.read_articles(tmp_path)


def test_a_title_without_a_text_is_refused(articles: ModuleType, tmp_path: Path) -> None:
    """An article that was never written is not passed on as a bare title."""
    (tmp_path / "field.txt").write_text("# First\n\n# Second\n\nText.\n")
    with pytest.raises(ValueError, match=r"field\.txt lacks a title or a text at 'First'"):
        articles.read_articles(tmp_path)


def test_the_mix_takes_the_articles_in_both_phases() -> None:
    """sources.toml names the folder that the command writes, with a licence and with short passages."""
    source = tomllib.loads((PRETRAIN / "sources.toml").read_text())["own_articles"]
    assert source["licence"]
    assert min(source["stable"], source["decay"], source["short"]) > 0
