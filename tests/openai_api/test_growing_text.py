"""Text comes out of tokens as soon as it is sure, and the same whether it is followed or waited for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tinker_local.server.openai.texts import GrowingText
from tiny_models import tiny_tokenizer

BYTES = tiny_tokenizer().backend_tokenizer
END = 1


def words() -> Tokenizer:
    """A tokenizer that, like Llama 2's, drops the space before the first word."""
    vocabulary = {"\u2581a": 0, "\u2581b": 1, "c": 2}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


def grown(tokens: Sequence[int], stops: Sequence[str] = ()) -> tuple[list[str], GrowingText]:
    text = GrowingText(BYTES, stops, frozenset({END}), [0])
    outs = [text.add(token, -1.0) for token in tokens]
    return [*outs, text.end()], text


def of(text: str) -> list[int]:
    return BYTES.encode(text, add_special_tokens=False).ids


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=3), max_size=3))
def test_the_text_is_all_before_the_first_stop(written: str, stops: list[str]):
    """Joined, what comes out is the decoded text up to whichever stop comes first."""
    outs, text = grown(of(written), stops)
    places = [place for stop in stops if (place := written.find(stop)) >= 0]
    # A stop that is complete first ends the text, though another may have begun before it.
    assert "".join(outs) == text.text
    if not places:
        assert text.text == written
    else:
        assert text.stopped
        assert written.startswith(text.text)
        assert not any(stop in text.text for stop in stops)


def test_no_character_comes_in_pieces():
    """The bytes of one character come out together."""
    outs, _ = grown(of("a\u20acb"))
    assert outs == ["a", "", "", "\u20ac", "b", ""]


def test_what_may_begin_a_stop_is_held_back():
    """It comes out once it is none, and never if it is one."""
    outs, text = grown(of("ab abc"), ["abc"])
    assert outs == ["", "", "ab ", "", "", "", ""]
    assert text.stopped


def test_bytes_that_make_no_character_are_shown_at_the_end():
    """As the tokenizer writes them."""
    outs, _ = grown(of("a\u20ac")[:-1])
    assert outs == ["a", "", "", "\ufffd"]


def test_the_end_token_is_no_text():
    """Though a tokenizer may not know it as special."""
    outs, text = grown([*of("a"), END])
    assert "".join(outs) == "a"
    assert [entry.text for entry in text.tokens()] == ["a"]


@pytest.mark.parametrize("prompt", [[0], [0, 2, 1]])
def test_the_space_before_the_first_word_is_kept(prompt: list[int]):
    """Where a prompt precedes, the text goes on from it."""
    text = GrowingText(words(), (), frozenset(), prompt)
    assert [text.add(1, -1.0), text.add(2, -1.0)] == [" b", "c"]
