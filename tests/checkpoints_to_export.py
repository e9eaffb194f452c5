"""Checkpoints of tiny models, with adapters that change every layer, for tests of what leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tinker_local.engine.model.llama import LlamaConfig
from tinker_local.engine.model.lora import Adapter, LoraConfig, num_parameters
from tinker_local.export import Source, open_source
from tinker_local.loading import load_base_model
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore

PROMPT = [0, *(5 + 7 * place % 250 for place in range(30))]


def random_adapter(model: LlamaConfig, **changes: Any) -> Adapter:
    """One whose two matrices both are not zero, so that no layer's term can go missing unseen."""
    settings: dict[str, Any] = {"rank": 4, **changes}
    config = LoraConfig(**settings)
    generator = torch.Generator().manual_seed(1)
    flat = torch.randn(num_parameters(model, config), generator=generator) * 0.05
    return Adapter(model, config, flat)


def saved_source(base_model: Path, home: Path, **changes: Any) -> Source:
    """A checkpoint of such an adapter on a base, saved as the server saves one, and opened again."""
    base = load_base_model(str(base_model), "float32", torch.device("cpu"))
    path = CheckpointPath("tiny:train:0", "sampler_weights", "1")
    adapter = random_adapter(base.model.config, **changes)
    CheckpointStore(home).save(path, str(base_model), adapter, None, True, None, None)
    return open_source(str(path), home, [])


def own_logits(source: Source) -> torch.Tensor:
    """What the engine computes with base and adapter apart, float32 [tokens, vocabulary]."""
    model, project = source.base.model, source.adapter.project
    with torch.no_grad():
        return model.logits(model.hidden(torch.tensor([PROMPT]), project), project)[0]


def with_a_merge(folder: Path) -> None:
    """Give a tiny tokenizer one merge, without which llama.cpp takes no tokenizer."""
    file = folder / "tokenizer.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    stored["model"]["vocab"]["he"] = len(stored["model"]["vocab"])
    stored["model"]["merges"] = [["h", "e"]]
    file.write_text(json.dumps(stored), encoding="utf-8")
