"""Which documents are held out from pretraining, and from what is made of them."""

from __future__ import annotations

import importlib
import json
import lzma
from pathlib import Path
from types import ModuleType

import pytest

PRETRAIN = Path(__file__).parent.parent.parent / "pretrain"


@pytest.fixture
def pretrain(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(PRETRAIN))
    return {name: importlib.import_module(name) for name in ("sources", "naming_tasks")}


def write_documents(folder: Path, texts: list[str]) -> None:
    folder.mkdir(parents=True)
    with lzma.open(folder / "docs.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)


def test_a_text_turned_round_is_held_out_where_its_source_is(
    pretrain: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else the same words would be trained on in one order and held out in the other."""
    glosses = [f"word{number}: the {number}th of many things to name" for number in range(2000)]
    write_documents(tmp_path / "wordnet", glosses)
    write_documents(tmp_path / "medquad", ["Question: What is Gout ?\nAnswer: A disease of the joints."])
    out = tmp_path / "made"
    monkeypatch.setattr("sys.argv", ["naming_tasks.py", "--corpora", str(tmp_path), "--out", str(out)])
    pretrain["naming_tasks"].main()
    sources = pretrain["sources"]

    def held_out(corpora: Path, name: str) -> list[bool]:
        return [flag for _, flag in sources.read_documents([corpora], sources.Source(name, "", 0, 0))]

    assert held_out(out, "wordnet_named") == held_out(tmp_path, "wordnet")
    assert 5 <= sum(held_out(tmp_path, "wordnet")) <= 40
