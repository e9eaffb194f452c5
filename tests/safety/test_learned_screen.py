"""The learned layer reads what was damaged, is quick, small and rebuilt from its data, and alarms rarely."""

from __future__ import annotations

import json
import lzma
import random
import re
import statistics
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks import fit_crisis_screen as fitting
from benchmarks.fit_crisis_screen import DATA, SHIPPED, weights_archive
from symptoms.safety import Category, Level, screen
from symptoms.safety.learned.weights import Weights, read_weights
from symptoms.safety.text.normalising import closed_up, normalised

REPOSITORY = Path(__file__).parents[2]
CORPORA = REPOSITORY.parent / "shared" / "corpora"
SENTENCES_OF_EACH = 530

MISSED_ONCE = [
    "I just took 40 pills",
    "gonna jumpp off the brige tonite",
    "My friend sent a goodbye text and her phone is off",
    "I keep looking at the ceiling hook in the garage",
    "dont see a tomorrow for me. sorry everyone. bye.",
]
WITH_APOSTROPHES = [
    "I don't want to be here anymore and I can't say it out loud.",
    "He's going to kill us, we're hiding, I'm scared.",
    "I won't be around next week. It's better so.",
    "I've been counting my tablets and I'd rather not wake up.",
    "My mum doesn't know. She'd be better off.",
    "I can't wait for Friday, it's my sister's wedding!",
    "Don't forget the milk, we've none left.",
    "The film wasn't good, they're all the same.",
]
DAMAGE = [
    "\u2019",
    "\u2018",
    "\u2032",
    "\u00b4",
    "`",
    "\u02bc",
    "\uff07",
    "&#39;",
    "&rsquo;",
    "&amp;#39;",
    "â€™",
    "?",
    "\ufffd",
    "\x92",
    "\\'",
    "''",
]


@pytest.mark.parametrize("text", MISSED_ONCE)
def test_what_the_rules_alone_once_missed_is_found(text: str):
    """Kinds of words that strangers used, and that no rule knew."""
    assert screen(text).crisis


@given(text=st.sampled_from(WITH_APOSTROPHES), damage=st.sampled_from(DAMAGE))
def test_a_damaged_apostrophe_changes_nothing(text: str, damage: str):
    """Whatever became of an apostrophe on its way, level, category and rule stay what they were."""
    assert screen(text.replace("'", damage)) == screen(text)


@given(
    text=st.sampled_from(WITH_APOSTROPHES),
    at=st.integers(0, 60),
    sign=st.sampled_from("\u200b\u00ad\u2060\ufeff"),
)
def test_invisible_signs_and_capitals_change_nothing(text: str, at: int, sign: str):
    """A zero-width sign anywhere, and writing all in capitals, leave the level."""
    assert screen(text[:at] + sign + text[at:]) == screen(text)
    assert screen(text.upper()).level is screen(text).level


@pytest.mark.parametrize(
    ("text", "undamaged"),
    [
        ("I don%27t want to live", "I don't want to live"),
        ("I%20don%27t want to live", "I don't want to live"),
        ("I don_t want to live", "I don't want to live"),
        ("I don*t want to live", "I don't want to live"),
        ("I donât want to live", "I don't want to live"),
        ("I donâ t want to live", "I don't want to live"),
        ("I donâ€t want to live", "I don't want to live"),
        ("I don=E2=80=99t want to live", "I don't want to live"),
        ("I don<U+2019>t want to live", "I don't want to live"),
        ("I_m going to end my life", "I'm going to end my life"),
        ("I took 4O pills", "I took 40 pills"),
        ("I took 4o pills", "I took 40 pills"),
        ("I want to k¡ll myself", "I want to kill myself"),
        ("I vvant to die", "I want to die"),
    ],
)
def test_a_damaged_text_is_read_as_the_undamaged_one(text: str, undamaged: str):
    """Codes of signs, lost bytes, letters for digits and shapes for letters change nothing."""
    assert normalised(text) == undamaged
    assert screen(text) == screen(undamaged)
    assert screen(text).crisis


def test_a_turned_mark_without_its_blank_hides_nothing_in_spanish():
    """Before an exclamation it is no letter."""
    assert screen("No aguanto mas¡quiero morir!").level is screen("No aguanto mas ¡quiero morir!").level
    assert screen("No aguanto mas¡quiero morir!").rule is not None


@pytest.mark.parametrize(
    "text",
    ["I took fourty pills", "I took thrity pills", "I wnat to dei", "I want tod ie", "i want to kil lmyself"],
)
def test_letters_and_blanks_in_a_wrong_place_hide_nothing(text: str):
    """Of numbers and of the words that matter most, in the rules."""
    found = screen(text)
    assert found.category is Category.SUICIDE
    assert found.rule is not None


def test_english_as_it_is_written_is_left_as_it_is():
    """The descriptions of data/dev have nothing to undo but the shape of their apostrophes."""
    rows = (DATA.parent / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)["input"].replace("\u2019", "'") for row in rows]
    assert [text for text in texts if normalised(text) != text] == []


@pytest.mark.parametrize(
    "text",
    [
        "user_id and item_s",
        "dégât",
        "the flat in block 2o",
        "savvy, revved",
        "100% sure",
        "a=20 b=27",
        "2*s + t",
    ],
)
def test_what_only_looks_like_damage_is_left(text: str):
    """Names with underscores, accents, ordinals, shares and formulas."""
    assert normalised(text) == text


@settings(max_examples=200, deadline=None)
@example(text="\u00e2\u200b\u20ac\u20ac")
@given(text=st.text(alphabet="aditsmnI '?.\u2019\u2032\ufffd\u00e2\u20ac\u2122\u00e9\u200b", max_size=60))
def test_normalising_twice_is_normalising_once(text: str):
    """What was read as it was meant is left as it is."""
    once = normalised(text)
    assert normalised(once) == once


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("IÃ\u00a9 cafÃ\u00a9", "Ié café"),
        ("don t", "don't"),
        ("j?ai mal", "j'ai mal"),
        ("k i l l  m y s e l f", "kill  myself"),
        ("k1ll at 4am", "kill at 4am"),
        ("why?do you ask", "why?do you ask"),
        ("schön, año, être", "schön, año, être"),
    ],
)
def test_a_text_is_read_as_it_was_meant(text: str, read: str):
    """Mojibake, parted words and digits within words are undone, and healthy text is left alone."""
    assert closed_up(normalised(text)) == read


@pytest.mark.parametrize(
    ("text", "category"),
    [
        (
            "my daughter texted goodbye and she isn't answering, I'm driving to her flat",
            Category.SOMEONE_ELSE,
        ),
        ("mi marido me pega y tengo miedo de que me mate", Category.DANGER_AT_HOME),
    ],
)
def test_a_notice_is_of_the_right_kind_where_no_rule_tells(text: str, category: Category):
    """The learned layer names the category, so that helpers get the notice for helpers."""
    assert screen(text).category is category


def test_a_text_takes_under_five_milliseconds():
    """The median over a hundred texts of the data, both layers, in time of the processor."""
    rows = (DATA / "english-in-descriptions.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    texts = [json.loads(row)["input"] for row in rows]
    screen(texts[0])
    seconds: list[float] = []
    for text in texts:
        start = time.thread_time()
        screen(text)
        seconds.append(time.thread_time() - start)
    assert statistics.median(seconds) < 0.005


def test_the_weights_are_small_and_no_pickle():
    """They take less than two megabytes, and reading and writing them gives the same bytes."""
    content = SHIPPED.read_bytes()
    assert len(content) < 2_000_000
    assert weights_archive(read_weights(content)) == content


TEXTS, ORDINARY = fitting.read_texts(DATA)[::9], fitting.read_ordinary(DATA)[::90]
"""A part of the data."""


@pytest.fixture(scope="module")
def fitted() -> Weights:
    """What is learned from that part."""
    return fitting.fit(TEXTS, ORDINARY)


def test_the_same_texts_give_the_same_weights(fitted: Weights):
    """Fitting to a part of the data twice gives equal bytes, and other texts give others."""
    first = weights_archive(fitted)
    assert weights_archive(fitting.fit(TEXTS, ORDINARY)) == first
    assert weights_archive(fitting.fit(TEXTS[:-20], ORDINARY)) != first


def test_what_is_held_out_is_learned_from_by_none(fitted: Weights):
    """Changing the held-out texts changes thresholds alone."""
    changed = fitting.fit([text for text in TEXTS if not text.held_out or len(text.text) % 2], ORDINARY)
    assert (fitted.rows == changed.rows).all()
    assert (fitted.biases == changed.biases).all()


def test_both_of_a_pair_are_on_one_side():
    """Texts of one scene are learned from together or held out together."""
    rows = [
        json.loads(row) for row in (DATA / "english-pairs.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert (first["kind"], first["split"]) == (second["kind"], second["split"])
        assert first["crisis"] is not second["crisis"]


def _ordinary_sentences() -> list[str]:
    """Sentences of the corpora, as a stranger would draw them; none that the screen has learned from."""
    lines = lzma.decompress((DATA / fitting.ORDINARY).read_bytes()).decode("utf-8").splitlines()
    learned = {json.loads(line)["text"] for line in lines}
    draw = random.Random(20)
    drawn: list[str] = []
    for folder in sorted(CORPORA.iterdir()):
        with lzma.open(folder / "docs.jsonl.xz", "rt", encoding="utf-8") as file:
            documents = [json.loads(line)["text"] for line, _ in zip(file, range(4000), strict=False)]
        draw.shuffle(documents)
        sentences = [
            sentence.strip()
            for document in documents[: SENTENCES_OF_EACH * 4]
            for sentence in re.split(r"(?<=[.!?])\s+|\n+", document)[:400]
        ]
        fresh = sorted({one for one in sentences if 15 <= len(one) <= 300} - learned)
        drawn += draw.sample(fresh, min(SENTENCES_OF_EACH, len(fresh)))
    return drawn


@pytest.mark.skipif(not CORPORA.exists(), reason="the corpora lie beside the checkout")
def test_ordinary_sentences_raise_few_alarms():
    """At most 1% of ten thousand sentences of books, talk, questions and news, at either level."""
    sentences = _ordinary_sentences()
    assert len(sentences) >= 10_000
    alarms = [sentence for sentence in sentences if screen(sentence).level is not Level.NONE]
    assert len(alarms) <= len(sentences) * 0.01, alarms[:20]


def test_what_the_model_alone_finds_has_the_category_that_the_text_is_nearest_to():
    """A child who is hurt gets the lines for that, also where neither other layer raised a notice."""
    text = "my brother has bruises in the shape of a belt, he's 6, and I'm not allowed to tell"
    alone = screen(text, beside_model=True)
    assert alone.level is Level.NONE
    assert alone.raised_to(Level.CLEAR).category is Category.DANGER_AT_HOME
