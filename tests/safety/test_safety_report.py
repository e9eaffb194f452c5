"""`symptoms safety report` counts rightly, gives Wilson's interval, and says what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from symptoms.cli.app import app
from symptoms.errors import InputError
from symptoms.safety import Level
from symptoms.safety.measuring import MODEL, WITH_MODEL, Share, measure, read_labelled

ROWS = [
    {"text": "I want to kill myself tonight.", "label": 1, "kind": "plain", "language": "en"},
    {"input": "The train to Leeds leaves at nine.", "crisis": True, "kind": "plain", "language": "en"},
    {"text": "We had soup for lunch.", "label": False, "kind": "plain", "language": "en"},
    {"text": "ya no quiero vivir", "label": True, "kind": "wish", "language": "es"},
    {"text": "I want to kill myself tonight.", "label": 0, "kind": "wrong", "language": "en"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n", encoding="utf-8")
    return path


def test_found_and_alarmed_are_counted_by_layer_language_and_kind(file: Path):
    """Two of three true texts are found, and one of two harmless ones is alarmed on; both forms are read."""
    found = measure(read_labelled(file))
    together = found.by_layer["together"]
    assert (together.found, together.alarms) == (Share(2, 3), Share(1, 2))
    assert found.by_layer["rules"].found == Share(2, 3)
    assert found.by_language["es"].found == Share(1, 1)
    assert found.by_kind["plain"].found == Share(1, 2)
    assert found.by_kind["wrong"].alarms == Share(1, 1)
    assert found.by_kind["wrong"].found == Share(0, 0)


def test_the_interval_is_wilsons():
    """Against the values that Newcombe (1998) gives for 81 of 263, 15 of 148, 0 of 20 and 1 of 29."""
    for count, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert Share(count, total).bounds == pytest.approx((low, high), abs=5e-5)


def test_the_command_prints_shares_and_json(file: Path):
    """For people with intervals, for programs as one object."""
    shown = CliRunner().invoke(app, ["safety", "report", str(file)])
    assert shown.exit_code == 0
    assert "2 of 3, 67% [21% to 94%]" in shown.output
    told = json.loads(CliRunner().invoke(app, ["safety", "report", str(file), "--json"]).output)
    assert told["by_layer"]["together"]["found"]["count"] == 2
    assert told["by_kind"]["wrong"]["found"]["share"] is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "is no object"),
        ('{"label": 1}', "has no 'text'"),
        ('{"text": "a", "label": "panic"}', "has the label 'panic', and this report counts texts by whether"),
        (
            '{"input": "a", "condition": "panic"}',
            "has no 'label' .* true where a text does and false",
        ),
        ("", "has no texts"),
    ],
)
def test_a_file_of_another_form_ends_in_a_sentence(tmp_path: Path, line: str, said: str):
    """The sentence names the line and what to add."""
    path = tmp_path / "odd.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_labelled(path)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path):
    """And not that it is no text."""
    with pytest.raises(InputError, match=r"There is no file .*none\.jsonl; check the path"):
        read_labelled(tmp_path / "none.jsonl")


def test_the_models_answer_raises_a_level_and_takes_none_back(file: Path):
    """All three layers together find what the model's answer alone does, and what the rules do."""
    texts = read_labelled(file)
    silent = measure(texts, [Level.NONE] * len(texts))
    assert silent.by_layer[WITH_MODEL].found == Share(2, 3)
    raised = measure(texts, [Level.POSSIBLE if text.crisis else Level.NONE for text in texts])
    assert raised.by_layer[WITH_MODEL].found == raised.by_layer[MODEL].found == Share(3, 3)
    assert raised.by_language["en"].found == Share(2, 2)
    assert raised.by_layer["together"] == silent.by_layer["together"]


def test_kinds_of_the_same_name_are_counted_together(tmp_path: Path):
    """What stands before a slash is a topic, not a kind."""
    path = tmp_path / "topics.jsonl"
    rows = [{"text": "I want to die.", "label": 1, "kind": f"{topic}/wish"} for topic in ("loss", "work")]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert measure(read_labelled(path)).by_kind["wish"].found == Share(2, 2)
