"""What the scripts of `pretrain` write is there whole or not at all: some take "is there" for "is done"."""

from __future__ import annotations

import importlib
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from base_models.files import written_whole

PRETRAIN = Path(__file__).parent.parent.parent / "pretrain"
BEFORE = b"what was there before"
SMALL = 1000
"""Bytes that a file may have on the test's full disk."""


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows beyond SMALL bytes: the kernel refuses the write, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def script(name: str, *arguments: str | Path) -> Callable[[pytest.MonkeyPatch], None]:
    """Runs a script's `main` in this process."""

    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        importlib.import_module(name).main()

    return run


def own_prose(folder: Path) -> Callable[[pytest.MonkeyPatch], None]:
    return script("generate", "--out", folder / "docs.jsonl.xz", "--texts", "300")


def own_articles(folder: Path) -> Callable[[pytest.MonkeyPatch], None]:
    return script("articles", "--out", folder / "docs.jsonl.xz")


def token_file(folder: Path) -> Callable[[pytest.MonkeyPatch], None]:
    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module("tokenize_corpora")
        monkeypatch.setattr(module, "read_documents", lambda *_: [("word " * 2000, False)])
        module.write_source(
            _tokenizer(folder), [], importlib.import_module("sources").read_sources()[0], folder
        )

    return run


def passages(folder: Path) -> Callable[[pytest.MonkeyPatch], None]:
    class Teacher:
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            return np.random.default_rng(0).random((len(texts), 384)).astype(np.float16)

    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module("teacher")
        module.write_source(Teacher(), _tokenizer(folder), ["some words"] * 20, folder / "source.short.npz")

    return run


def state(folder: Path) -> Callable[[pytest.MonkeyPatch], None]:
    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module("train")
        training = module.Training.start(module.llama_config(64, 1), torch.ones((8192, 384)), seed=0)
        training.save(folder / "state.pt")

    return run


def base(folder: Path) -> Callable[[pytest.MonkeyPatch], None]:
    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        _tokenizer(folder)
        script("export", "--untrained", "--data", folder / "data", "--out", folder)(monkeypatch)

    return run


def _tokenizer(folder: Path):
    """A tokenizer that knows one word, which is also kept as data/tokenizer.json."""
    module = importlib.import_module("tokenize_corpora")
    tokenizer = module.new_tokenizer()
    tokenizer.add_special_tokens([module.BEGIN, module.END])
    tokenizer.add_tokens(["word"])
    data = folder / "data" / "tokenizer.json"
    if not data.exists():
        data.parent.mkdir()
        data.write_text(tokenizer.to_str())
    return tokenizer


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (own_prose, ["docs.jsonl.xz"]),
        (own_articles, ["docs.jsonl.xz"]),
        (token_file, ["src.train.bin"]),
        (passages, ["source.short.npz"]),
        (state, ["state.pt"]),
        (base, ["model.safetensors", "config.json", "tokenizer_config.json", "tokenizer.json"]),
    ],
)
def test_a_failed_write_leaves_what_was_there(
    write: Callable[[Path], Callable[[pytest.MonkeyPatch], None]],
    names: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Where the disk is full on the way, every file has its old contents and nothing half written is left."""
    monkeypatch.syspath_prepend(str(PRETRAIN))
    monkeypatch.syspath_prepend(str(PRETRAIN / "prose"))
    sources = importlib.import_module("sources").read_sources()
    names = [name.replace("src.", f"{sources[0].name}.") for name in names]
    for name in names:
        (tmp_path / name).write_bytes(BEFORE)
    run = write(tmp_path)
    if write in (token_file, passages, base):
        _tokenizer(tmp_path)
    with full_disk(), pytest.raises(Exception, match=r"."):
        run(monkeypatch)
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    assert files == dict.fromkeys(names, BEFORE)
    run(monkeypatch)
    assert all((tmp_path / name).read_bytes() != BEFORE for name in names)
    assert not list(tmp_path.glob(".partial*"))


def test_a_file_has_its_name_only_once_it_is_whole(tmp_path: Path):
    """While it is written the old contents stand; afterwards the new ones, and nothing beside them."""
    target = tmp_path / "one.npz"
    target.write_bytes(BEFORE)
    with written_whole(target) as partial:
        partial.write_bytes(b"half")
        assert target.read_bytes() == BEFORE
        assert partial.suffix == target.suffix
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"half"]
