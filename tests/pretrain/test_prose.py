"""The prose that `pretrain/prose` writes: the same for the same seed, varied, and free of labels."""

from __future__ import annotations

import importlib
import json
import lzma
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).parent.parent.parent
PROSE = ROOT / "pretrain" / "prose"
CONDITIONS = ROOT / "src" / "symptoms" / "taxonomy" / "conditions.json"
TEXTS = 5000

# Distinctive words of the names, and other labels. Their ordinary words (stress, grief) may occur.
LABELS = re.compile(
    r"depressi|depressed|bipolar|anxiety|phobi|obsessi|compulsi|dysmorph|hypochondri|hoard|trauma|insomni"
    r"|anorex|bulimi|binge|adhd|autis|asperger|psychos|psychotic|schizo|borderline|depersonal|dereali"
    r"|burn(?:ed|t)? ?out|dysthym|postnatal|\bmania|\bmanic|hypoman|delusion|hallucinat|diagnos|disorder"
    r"|syndrome|panic attack|self-harm|suicid|overdos|\b(?:ptsd|ocd|bpd|gad)\b|acute stress|prolonged grief"
    r"|alcohol use|hyperactiv|perinatal"
)
DRUGS = re.compile(
    r"sertraline|fluoxetine|prozac|zoloft|citalopram|lexapro|paroxetine|venlafaxine|mirtazapine|bupropion|lithium"
    r"|quetiapine|olanzapine|risperidone|aripiprazole|haloperidol|clozapine|lamotrigine|valproate|diazepam|valium"
    r"|xanax|alprazolam|lorazepam|clonazepam|zopiclone|zolpidem|ambien|trazodone|amitriptyline|propranolol|ritalin"
    r"|adderall|methylphenidate|tramadol|codeine|morphine|heroin|cocaine|cannabis|ketamine|antidepressant"
    r"|antipsychotic|\d ?mg\b"
)
FORMAT = re.compile(r"symptoms:|assessment:|primary concern|key symptoms|recommendation:")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    return read(write(tmp_path_factory.mktemp("prose") / "docs.jsonl.xz", TEXTS, seed=7))


def write(path: Path, texts: int, seed: int) -> Path:
    command = [
        sys.executable,
        str(PROSE / "generate.py"),
        "--out",
        str(path),
        "--texts",
        str(texts),
        "--seed",
        str(seed),
    ]
    subprocess.run(command, check=True)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_the_same_seed_writes_the_same_texts(tmp_path: Path) -> None:
    """Two runs with one seed agree in every byte of text, and another seed gives other texts."""
    first, again, other = (read(write(tmp_path / f"{n}.xz", 300, seed)) for n, seed in enumerate((5, 5, 6)))
    assert first == again
    assert len({text["text"] for text in first} & {text["text"] for text in other}) < 5


def test_every_text_is_different_and_of_the_promised_length(documents: list[dict[str, str]]) -> None:
    """So many texts as asked for, no two alike, each of 15 to 150 words."""
    texts = [document["text"] for document in documents]
    assert len(set(texts)) == TEXTS
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 15
    assert max(lengths) <= 150


def test_no_text_names_a_condition_a_drug_or_the_format(documents: list[dict[str, str]]) -> None:
    """Neither a name of the taxonomy, nor its distinctive words, nor a drug, nor a line of the assessment."""
    conditions = json.loads(CONDITIONS.read_text())
    names = {condition[key].lower() for condition in conditions for key in ("name", "formal_name")}
    names -= {"no clinical concern", "not enough information"}
    for document in documents:
        assert not forbidden(document["text"])
        assert not [name for name in names if name in document["text"].lower()]


def test_the_lexicon_itself_names_no_condition() -> None:
    """What no sample happened to show is not in the lexicon either."""
    for path in (PROSE / "lexicon").glob("*.txt"):
        assert not forbidden(path.read_text(encoding="utf-8"))


def forbidden(text: str) -> list[str]:
    return [match.group() for words in (LABELS, DRUGS, FORMAT) for match in words.finditer(text.lower())]


def test_every_slot_is_filled(documents: list[dict[str, str]]) -> None:
    """No bracket, bar, brace, tag or double space of the grammar is left in a text."""
    left = [
        document["text"]
        for document in documents
        if re.search(r"[\[\]{}|@$]|  |//|\bNone\b| [,.;?]", document["text"])
    ]
    assert not left


def test_every_line_of_the_lexicon_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pattern, label and short name expands for somebody, so that every slot has a list behind it."""
    monkeypatch.syspath_prepend(str(PROSE))
    grammar, person = importlib.import_module("grammar"), importlib.import_module("person")
    lexicon = grammar.read_lexicon()
    random = Random(1)
    # What the composer fills in before it asks for these lines.
    given = {"topic": "x", "gist": "x", "listed": "x", "offered": "x"}
    for theme in lexicon.themes:
        assert theme.settings["kind"][0] in {"trouble", "plain", "quiet", "vague"}
        tags, values = person.new_person(lexicon, theme, random)
        for line in (line for lines in (*theme.lists.values(), *lexicon.shared.values()) for line in lines):
            for template in (line.template, line.label or ()):
                story = grammar.Story(theme, lexicon.shared, random, tags, {**values, **given})
                story.expand(template)


def test_texts_and_sentences_are_varied(documents: list[dict[str, str]]) -> None:
    """More than 80% of the four-word openings and 90% of the sentences occur once only in kind."""
    openings = {" ".join(document["text"].split()[:4]).lower() for document in documents}
    assert len(openings) > 0.8 * TEXTS
    sentences = [
        sentence
        for document in documents
        for sentence in re.split(r"(?<=[.!?])\s+|\n", document["text"])
        if len(sentence.split()) > 3
    ]
    assert len(set(sentences)) > 0.9 * len(sentences)


def test_a_quarter_of_the_texts_end_with_what_they_are_about(documents: list[dict[str, str]]) -> None:
    """Every kind of writing occurs, and 20% to 35% of the texts carry a line that names the subject."""
    kinds = Counter(document["kind"] for document in documents)
    assert set(kinds) == {"account", "note", "forum", "diary", "letter", "dialogue", "article"}
    assert min(kinds.values()) > 0.02 * TEXTS
    gists = sum(document["gist"] != "" for document in documents)
    assert 0.2 * TEXTS < gists < 0.35 * TEXTS
