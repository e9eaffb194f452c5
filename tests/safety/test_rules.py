"""Every rule does what its examples say, and every exception is needed."""

from __future__ import annotations

import pytest

from symptoms.safety.patterns import PatternError, parse
from symptoms.safety.rulebook import DangerRule, ExceptionRule, read_rule_book
from symptoms.safety.rules_layer import Rules
from symptoms.safety.text.words import words_for_rules

BOOK = read_rule_book()
RULES = Rules(BOOK)


def found_by(rules: Rules, text: str) -> str | None:
    found = rules.screen(text)
    return None if found is None else found.rule


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.id)
def test_a_rule_matches_its_examples_and_leaves_the_others(rule: DangerRule):
    """What a rule says it matches is found by this very rule; what it says it leaves is no crisis."""
    assert rule.matches
    assert rule.leaves
    assert [text for text in rule.matches if found_by(RULES, text) != rule.id] == []
    assert [text for text in rule.leaves if RULES.screen(text)] == []


@pytest.mark.parametrize("exception", BOOK.exceptions, ids=lambda exception: exception.id)
def test_an_exception_excuses_its_examples_and_no_others(exception: ExceptionRule):
    """Without the exception its harmless examples are a crisis; with it the dangerous ones still are."""
    others = tuple(other for other in BOOK.exceptions if other.id != exception.id)
    without = Rules(BOOK.model_copy(update={"exceptions": others}))
    assert exception.leaves
    assert exception.matches
    assert [text for text in exception.leaves if RULES.screen(text)] == []
    assert [text for text in exception.leaves if not without.screen(text)] == []
    assert [text for text in exception.matches if not RULES.screen(text)] == []


def test_ids_are_unique_and_begin_with_the_category():
    """An id names one rule, and a rule of danger by its category first."""
    ids = [rule.id for rule in (*BOOK.rules, *BOOK.exceptions)]
    assert sorted(set(ids)) == sorted(ids)
    assert all(rule.id.startswith(f"{rule.category}.") for rule in BOOK.rules)


def test_what_an_exception_is_restricted_to_exists():
    """`only` names rules that there are, so that a renamed rule cannot lose its exceptions unseen."""
    starts = {start for exception in BOOK.exceptions for start in exception.only}
    assert {start for start in starts if not any(rule.id.startswith(start) for rule in BOOK.rules)} == set()


def test_phrases_are_written_as_texts_are_read():
    """No phrase holds a short form or a misspelling, which no text would ever match."""
    unread = {
        word
        for word in RULES.vocabulary - {".", ",", "'s", "NUMBER", "MANY", "YEAR"}
        if words_for_rules(word, RULES.lexicon)[1:-1] != [word]
    }
    assert unread == set()


@pytest.mark.parametrize("pattern", ["one | two", "(one", "one)", "<nobody> here"])
def test_a_phrase_that_cannot_be_read_is_refused(pattern: str):
    """A bracket left open, alternatives outside of brackets and unknown lists are errors."""
    with pytest.raises(PatternError):
        parse(pattern, {})
