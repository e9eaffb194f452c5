"""The page of the field's tools: all of them stand in each table, and what it says of ours is what we do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tinker
import torch
from tinker.types import LoraConfig as LoraFields

from base_models import BUNDLED_BASE, resolve
from conftest import ROOT
from symptoms.data import Example
from symptoms.errors import DataError
from symptoms.schedules import fraction_of_peak
from symptoms.settings import TrainingSettings
from symptoms.tokens import to_datum
from symptoms.tokens.example_tokens import STOP, check_lengths, tokenize
from symptoms.tokens.file_tokenizer import FileTokenizer
from symptoms.train.step_datums import REDUCTIONS
from symptoms.train.step_plan import steps_per_epoch
from tinker_local.domain.datum import Datum
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.model.merging import folded_weight, merge
from tinker_local.engine.train.trainer import AdamSettings, TrainingModel
from tinker_local.loading import load_base_model
from tinker_local.wire.requests import AdamParams
from tiny_models import write_tiny_llama

TOOLS = ["Tinker", "tinker_local", "PEFT", "TRL", "mlx-lm", "llama.cpp", "SkyRL", "TuFT"]
PROPERTIES = [
    "Alpha",
    "Scale",
    "Rate",
    "Epsilon",
    "Weight decay",
    "Loss",
    "End tokens",
    "Tied heads",
    "Types of numbers",
    "Padding, packing and what is left out",
]
MEASURED = "The same through all of them"
PAGE = (ROOT / "docs" / "field.md").read_text(encoding="utf-8")


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of each row of the table in a text, by its first one."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:])


def ours(section: str) -> str:
    """What the page says that ours do."""
    return rows_of(SECTIONS[section])["tinker_local"][0]


def test_each_of_ten_properties_is_told_of_eight_tools():
    """No tool and no property is left out, and every version is named."""
    assert list(SECTIONS) == [*PROPERTIES, MEASURED]
    assert list(rows_of(re.split(r"^## ", PAGE, flags=re.MULTILINE)[0])) == TOOLS
    for section in PROPERTIES:
        assert list(rows_of(SECTIONS[section])) == TOOLS


@pytest.mark.parametrize("section", PROPERTIES)
def test_every_statement_says_how_it_was_seen(section: str):
    """A row has a source, but where a tool has nothing to do with the property, or does as another."""
    for tool, (does, _, seen) in rows_of(SECTIONS[section]).items():
        plain = does.startswith("does not train") or does in ("none", "as PEFT")
        assert plain or re.search(r"run|read|docs", seen), tool


CPU = torch.device("cpu")
SETTINGS = TrainingSettings(data="x")


def base_of(folder: Path, dtype: str = "float32", tied: bool = False) -> Llama:
    write_tiny_llama(folder, tie_word_embeddings=tied)
    return load_base_model(str(folder), dtype, CPU).model


def random_adapter(base: Llama, rank: int) -> Adapter:
    adapter = Adapter.initial(base.config, LoraConfig(rank), 0, CPU)
    adapter.flat.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    return adapter


def datum(length: int, weight: float = 1.0) -> Datum:
    tokens = np.random.default_rng(length).integers(0, 258, length + 1)
    weights = np.full(length, weight, dtype=np.float32)
    return Datum(tokens[:-1], {"target_tokens": tokens[1:], "weights": weights})


def loss_of(training: TrainingModel, *datums: Datum) -> float:
    return training.forward_backward(datums, "cross_entropy", forward_only=True)[1]["loss:sum"]


def test_our_alpha_and_scale(tmp_path: Path):
    """An adapter of any rank adds 32 / rank times B A to a layer, and the API has no field for another."""
    base = base_of(tmp_path)
    name = "model.layers.0.self_attn.q_proj"
    for rank in (1, 8, 64):
        adapter = random_adapter(base, rank)
        a, b = adapter.matrices[name]
        added = folded_weight(base, adapter, name) - base.weights[f"{name}.weight"]
        torch.testing.assert_close(added, 32 / rank * b @ a, atol=1e-4, rtol=1e-4)
    assert "32 whatever the rank" in ours("Alpha")
    assert ours("Scale") == "32 / rank"
    assert "alpha" not in "".join(LoraFields.model_fields)


def test_our_rate_epsilon_and_decay_where_a_client_tells_none():
    """The server's defaults are the SDK's, and the lab's are its own; a warm-up rises from its first part."""
    server, sdk = AdamParams(), tinker.AdamParams()
    for name in AdamParams.model_fields:
        assert getattr(server, name) == getattr(sdk, name)
    assert ours("Rate").startswith(f"told with each step, {server.learning_rate} ")
    assert fraction_of_peak("linear", 1, 100, warmup_steps=10) == 0.1
    assert ours("Epsilon") == f"{server.eps} where a client tells none, {SETTINGS.adam_eps} in the lab"
    assert ours("Weight decay") == f"{server.weight_decay}, decoupled"
    assert SETTINGS.weight_decay == server.weight_decay


def test_our_decay_is_decoupled(tmp_path: Path):
    """A, which has no gradient while B is zero, shrinks by rate x decay and by nothing else."""
    base = base_of(tmp_path)
    training = TrainingModel(base, Adapter.initial(base.config, LoraConfig(4), 0, CPU))
    a, _ = training.adapter.matrices["model.layers.0.self_attn.q_proj"]
    before = a.clone()
    training.forward_backward([datum(9)], "cross_entropy", forward_only=False)
    training.optim_step(AdamSettings(0.1, 0.9, 0.95, 1e-8, 0.5, 0.0))
    torch.testing.assert_close(a, before * (1 - 0.1 * 0.5))


def test_our_loss_is_a_sum(tmp_path: Path):
    """Losses of tokens are added with their weights, over all datums; the lab's means are named."""
    base = base_of(tmp_path)
    training = TrainingModel(base, random_adapter(base, 4))
    one, other = loss_of(training, datum(9)), loss_of(training, datum(21))
    assert loss_of(training, datum(9), datum(21)) == pytest.approx(one + other, rel=1e-5)
    assert loss_of(training, datum(9, weight=2.0)) == pytest.approx(2 * one, rel=1e-5)
    assert ours("Loss").startswith("sum of weight x loss")
    assert set(REDUCTIONS) == {"sum", *re.findall(r"mean_\w+", ours("Loss"))}
    assert SETTINGS.reduction == "sum"


def test_our_texts_end_in_a_blank_line_and_nothing_is_added():
    """The lab trains the blank line; a datum has the tokens of its text and no other."""
    tokenizer = FileTokenizer(resolve(BUNDLED_BASE).path)
    told = tokenize(tokenizer, Example(input="I sleep badly.", output="Rest."))
    text = tokenizer.decode(told.tokens, skip_special_tokens=False)
    assert text.endswith(f"Rest.{STOP}")
    assert STOP == "\n\n"
    assert told.weights[-1] == 1
    assert len(to_datum(told).model_input.to_ints()) == len(told.tokens) - 1
    assert "end in a blank line, which is trained and is the stop" in ours("End tokens")


def test_our_tied_embedding_stays_where_the_head_is_adapted(tmp_path: Path):
    """Merged, the unembedding is a matrix of its own and the embedding is as it was."""
    base = base_of(tmp_path, tied=True)
    adapter = random_adapter(base, 4)
    embedding = base.weights["model.embed_tokens.weight"]
    assert merge(base, adapter).weights["model.embed_tokens.weight"] is embedding
    assert not torch.equal(folded_weight(base, adapter, "lm_head"), embedding)
    assert "becomes a matrix of its own and the embedding stays" in ours("Tied heads")


def test_our_adapters_are_float32_on_any_base(tmp_path: Path):
    """Also on bfloat16 weights an adapter and what Adam keeps of it are float32."""
    base = base_of(tmp_path, "bfloat16")
    assert base.weights["model.layers.0.self_attn.q_proj.weight"].dtype == torch.bfloat16
    training = TrainingModel(base, Adapter.initial(base.config, LoraConfig(4), 0, CPU))
    training.forward_backward([datum(9)], "cross_entropy", forward_only=False)
    training.optim_step(AdamSettings(0.1, 0.9, 0.95, 1e-8, 0.0, 0.0))
    assert training.adapter.flat.dtype == torch.float32
    assert {value.dtype for value in training.optimizer_state().values()} == {torch.float32}
    assert "are float32 always" in ours("Types of numbers")


def test_we_cut_nothing_and_leave_nothing_out():
    """What is too long is refused with its line, and a last batch that is not full is a step."""
    assert steps_per_epoch(TrainingSettings(data="x", batch_size=4), 10) == 3
    tokenizer = FileTokenizer(resolve(BUNDLED_BASE).path)
    long = Example(input="I sleep badly. " * 50, output="Rest.", line=7)
    with pytest.raises(DataError, match=r"x\.jsonl:7: tokens: .* exceed the context of 64; shorten it"):
        check_lengths(Path("x.jsonl"), [long], [tokenize(tokenizer, long)], 64)
    said = ours("Padding, packing and what is left out")
    assert "cuts nothing, refuses what is too long, and trains a last batch that is not full" in said
