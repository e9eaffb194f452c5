"""The experiment's file is checked as a whole, and each fault says where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from symptoms.data import assessment_of, labels_of_taxonomy, load_experiment, render_assessment
from symptoms.errors import DataError
from symptoms.settings import ORIGINAL
from symptoms.taxonomy import symptom_terms


def faults_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "data.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_experiment(file)
    return [f"{fault.line} {fault.field}: {fault.problem}" for fault in caught.value.faults]


def test_our_file_has_thirty_examples_of_the_taxonomy():
    """30 distinct examples over at least 15 conditions, all words from the taxonomy."""
    experiment, _ = load_experiment(ROOT / "mental_health_data.json")
    assessments = [assessment_of(example) for example in experiment.examples]
    terms = {term for group in symptom_terms().values() for term in group}
    assert len({example.input for example in experiment.examples}) == 30
    assert len({assessment.concern for assessment in assessments}) >= 15
    assert experiment.labels == labels_of_taxonomy()
    assert [example.output for example in experiment.examples] == [*map(render_assessment, assessments)]
    assert {symptom for assessment in assessments for symptom in assessment.symptoms} <= terms
    openings = [" ".join(example.input.lower().split()[:4]) for example in experiment.examples]
    assert len(set(openings)) == 30


def test_our_configuration_is_the_originals():
    """Llama-3.2-1B, rank 32, 1e-4, Adam 0.9 and 0.95, 20 epochs, batch 1, in the file's order."""
    dataset, experiment = load_experiment(ROOT / "mental_health_data.json")
    config = experiment.settings
    assert {name: getattr(config, name) for name in ORIGINAL} == ORIGINAL
    assert experiment.test_cases == tuple(dataset.examples[number - 1] for number in (1, 12, 23))
    assert (config.base_model, config.lora_rank, config.learning_rate) == (
        "meta-llama/Llama-3.2-1B",
        32,
        1e-4,
    )
    assert (config.adam_beta1, config.adam_beta2, config.epochs, config.batch_size) == (0.9, 0.95, 20, 1)
    assert (config.shuffle, experiment.loss_fn) == (False, "cross_entropy")


def test_all_faults_at_once_with_their_lines(tmp_path: Path):
    """Missing, empty, mistyped and unknown fields are all told, each with its own line."""
    text = """{
  "config": {
    "lora_rank": 32,
    "learning_rte": 0.1,
    "epochs": 0
  },
  "examples": [
    {"input": "fine", "output": "fine"},
    {"input": "no output"},
    {"input": "", "output": 7},
    "text",
    {"input": "x", "output": "y", "outptu": "z"}
  ]
}"""
    assert faults_of(tmp_path, text) == [
        "4 config, learning_rte: unknown key; did you mean 'learning_rate'?",
        "5 config, epochs: input should be greater than or equal to 1",
        "9 example 2, output: expected text, found no such field",
        "10 example 3, input: expected text, found an empty string",
        "10 example 3, output: expected text, found a number",
        '11 example 4: expected {"input", "output"}, found text',
        "12 example 5, outptu: unknown key; did you mean 'output'?",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"examples": [}', "1 file: not valid JSON"),
        ('{\n"examples": [\n{"input": "a" "output": "b"}]}', "3 file: not valid JSON"),
        ("[1]", "1 file: expected an object"),
        ('{"config": {}}', "1 examples: expected a list of examples, found nothing"),
        ('{"examples": []}', "1 examples: expected at least one example, found none"),
        ('{"examples": {"a": 1}}', "1 examples: expected a list of examples, found an object"),
        ('{"examples": [{"input": "a", "output": "b"}], "confg": {}}', "1 confg: unknown key; did you mean"),
        ('{"config": [], "examples": [{"input": "a", "output": "b"}]}', "1 config: expected an object"),
        ('{"config": {"test_examples": [2]}, "examples": [{"input": "a", "output": "b"}]}', "found 2"),
        ('{"examples": [{"input": "a", "output": "b\\n\\nc"}]}', "expected no blank line"),
        ('{"examples": [{"input": "a\\ud83d", "output": "b"}]}', "half of a surrogate pair"),
        ('{"examples": [{"input": "a", "output": "b"}], "examples": []}', "1 examples: the key stands twice"),
        ('{"examples": [\n{"input": "a", "output": "b", "output": "c"}]}', "2 output: the key stands twice"),
        ('{"config": {"seed": 1' + "0" * 5000 + '}, "examples": []}', "a number cannot be read"),
        (
            '{"config": {"loss_fn": "ppo"}, "examples": [{"input": "a", "output": "b"}]}',
            "config, loss_fn: input",
        ),
        (
            '{"config": {"shuffle": true}, "examples": [{"input": "a", "output": "b"}]}',
            "shuffle: unknown key",
        ),
        ('{"config": {"data": "x.json"}, "examples": [{"input": "a", "output": "b"}]}', "data: unknown key"),
        ('{"examples": [{"input": null, "output": "b"}]}', "input: expected text, found nothing"),
        ('{"config": {"learning_rate": NaN}, "examples": [{"input": "a", "output": "b"}]}', "finite"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, text: str, fault: str):
    """A file with one fault is refused for that fault."""
    faults = faults_of(tmp_path, text)
    assert len(faults) == 1
    assert fault in faults[0]


def test_windows_line_ends_and_byte_order_mark_are_read(tmp_path: Path):
    """A file saved by an editor on Windows is the same file, and its lines are counted the same."""
    file = tmp_path / "data.json"
    text = '{"examples": [\r\n{"input": "a", "output": "b"},\r\n{"input": "c", "output": "d"}]}'
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [(one.input, one.line) for one in load_experiment(file)[0].examples] == [("a", 2), ("c", 3)]


def test_a_wrong_example_keeps_its_number(tmp_path: Path):
    """An element that is no example is one fault, and does not move the numbers of test_examples."""
    text = '{"config": {"test_examples": [2]}, "examples": [3, {"input": "a", "output": "b"}]}'
    assert faults_of(tmp_path, text) == ['1 example 1: expected {"input", "output"}, found a number']


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["config", "examples", "input", "output", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_accepted_or_refused_with_faults(tmp_path_factory: pytest.TempPathFactory, document: Any):
    """No JSON document makes the loader fail in another way."""
    file = tmp_path_factory.mktemp("any") / "data.json"
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")
    try:
        dataset, _ = load_experiment(file)
    except DataError as error:
        lines = file.read_text(encoding="utf-8").count("\n") + 1
        assert error.faults
        assert all(1 <= fault.line <= lines for fault in error.faults)
        return
    assert len(dataset.examples) == len(document["examples"])


def test_test_cases_are_chosen_or_spread(tmp_path: Path):
    """Without test_examples three are taken from beginning, middle and end."""
    examples = [{"input": f"i{n}", "output": f"o{n}"} for n in range(1, 10)]
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"examples": examples}))
    assert [case.input for case in load_experiment(file)[1].test_cases] == ["i1", "i4", "i7"]
    file.write_text(json.dumps({"config": {"test_examples": [9]}, "examples": examples}))
    assert [case.input for case in load_experiment(file)[1].test_cases] == ["i9"]
    file.write_text(json.dumps({"examples": examples[:1]}))
    assert [case.input for case in load_experiment(file)[1].test_cases] == ["i1"]
