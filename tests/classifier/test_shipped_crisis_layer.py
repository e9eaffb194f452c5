"""The adapter of the crisis screen that ships: whole, asked on its own base alone, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from symptoms import Classifier
from symptoms.classifier.shipped_crisis_layer import ELSEWHERE, IN_ENGLISH, Levels, level_of
from symptoms.safety import Level, screen
from symptoms.shipped import CRISIS, FOLDER
from tinker_local.engine.model.llama import LlamaConfig
from tinker_local.service.checkpoints import CheckpointStore, parse_path

SMOLLM2 = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_theta=100000.0,
    rope_scaling=None,
    tie_word_embeddings=True,
)
BETWEEN = "She has stopped answering and I keep thinking about it."


def test_it_is_whole_and_fits_its_base(tmp_path: Path):
    """Every number is where the digest says, in the shapes of the base, and it is small enough to ship."""
    store, path = CheckpointStore(tmp_path, [FOLDER]), parse_path(CRISIS.checkpoint)
    info, adapter = store.load(path, SMOLLM2)
    assert info.base_model == CRISIS.base_model
    assert (info.rank, info.train_unembed) == (4, False)
    assert adapter.flat.abs().max() > 0
    assert sum(file.stat().st_size for file in CRISIS.folder.iterdir()) < 6_000_000


def test_it_is_not_asked_on_another_base(classifier: Classifier):
    """On a base that it does not fit, the two layers that need none speak for themselves."""
    assert classifier.model_layer is None


@pytest.mark.parametrize("at", [IN_ENGLISH, ELSEWHERE])
def test_levels_by_the_sum_of_both_scores(at: Levels):
    """From the thresholds on, and below them nothing."""
    scores = (at.possible - 0.1, at.possible, at.clear - 0.1, at.clear, 99.0)
    assert [level_of(score, at).value for score in scores] == ["none", *["possible"] * 2, *["clear"] * 2]


def test_the_learned_layer_says_less_beside_a_model():
    """A text that is possible to it and no more raises a notice only where no model is asked."""
    assert screen(BETWEEN).by_learned is Level.POSSIBLE
    assert screen(BETWEEN).crisis
    assert not screen(BETWEEN, beside_model=True).crisis
