"""Worker: writing by transformers' own generate, and its forward pass of a prompt."""

from __future__ import annotations

import time
from importlib.metadata import version
from itertools import cycle

import torch
from transformers import AutoModelForCausalLM

from benchmarks.pipe import Prepared, Settings, serve


def prepare(settings: Settings) -> Prepared:
    """Samples at temperature 1 from the whole distribution; prompts of one length, so nothing is padded."""
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=getattr(torch, settings["dtype"])
    ).eval()
    prompts = cycle(settings["prompts"])
    new_tokens: int = settings["new_tokens"]

    def write(count: int) -> float:
        ids = torch.tensor([next(prompts) for _ in range(count)])
        started = time.perf_counter()
        with torch.inference_mode():
            written = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=new_tokens,
                eos_token_id=None,
                pad_token_id=0,
            )
        seconds = time.perf_counter() - started
        return seconds / (written.numel() - ids.numel())

    def read() -> float:
        ids = torch.tensor([next(prompts)])
        started = time.perf_counter()
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False)
        return time.perf_counter() - started

    facts = {
        "dtype": settings["dtype"],
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    actions = {"one": lambda: write(1), "many": lambda: write(settings["many"]), "prompt": read}
    return Prepared(actions, facts)


if __name__ == "__main__":
    serve(prepare)
