"""A folder in which the cookbook finds, under the names it knows, a model and data sets made here.

The cookbook's recipes name a base model and data sets of the model hub. Both transformers and datasets
look for a folder of that name in the working directory before they ask the hub, so the recipes run
unmodified and offline on what is written here. The model under Llama's name is the bundled one.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from environments import BASE_MODEL, ROOT

MODEL_NAME = "meta-llama/Llama-3.2-1B"
"""A base model in the cookbook's table, which gives it the renderer role_colon."""

ANIMALS = ["dog", "cat", "horse", "cow", "sheep", "goat", "pig", "fox", "wolf", "lion", "bear", "deer"]
SUFFIX = " Provide a numerical answer without units, written inside \\boxed{}."
# What rl_loop.py puts before every question.
EXAMPLE = [
    {"role": "user", "content": "How many r's are in strawberry?" + SUFFIX},
    {
        "role": "assistant",
        "content": "Let's spell the word out and number all the letters: 1) s 2) t 3) r 4) a 5) w 6) b 7) e "
        "8) r 9) r 10) y. We have r's at positions 3, 8, and 9. \\boxed{3}",
    },
]


def write_workplace(folder: Path) -> None:
    """Everything anew, the same at every call."""
    shutil.rmtree(folder, ignore_errors=True)
    model = folder / MODEL_NAME
    shutil.copytree(ROOT / "src" / "base_models" / "bundled" / BASE_MODEL, model)
    choose = random.Random(0)

    no_robots = folder / "HuggingFaceH4" / "no_robots"
    _write_jsonl(no_robots / "train.jsonl", [_chat(choose) for _ in range(256)])
    # As many as a batch of sl_basic.py: the cookbook leaves out a batch that is not full.
    _write_jsonl(no_robots / "test.jsonl", [_chat(choose) for _ in range(128)])

    # rl_loop.py asks with an example before each question, so its first policy is trained on that form.
    _write_jsonl(folder / "conversations.jsonl", [_chat(choose, EXAMPLE) for _ in range(160)])

    gsm8k = folder / "openai" / "gsm8k"
    problems = [
        {"question": _question(choose.choice(ANIMALS)), "answer": "It walks on four.\n#### 4"}
        for _ in range(64)
    ]
    _write_jsonl(gsm8k / "train.jsonl", problems)
    _write_jsonl(gsm8k / "test.jsonl", problems[:16])
    files = "".join(f"  - split: {split}\n    path: {split}.jsonl\n" for split in ("train", "test"))
    (gsm8k / "README.md").write_text(f"---\nconfigs:\n- config_name: main\n  data_files:\n{files}---\n")


def _question(animal: str) -> str:
    return f"How many legs does a {animal} have?"


def _chat(choose: random.Random, before: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """A question and an answer that is wrong half of the time, so that rewards can tell them apart."""
    question = _question(choose.choice(ANIMALS)) + SUFFIX
    answer = f"\\boxed{{{choose.choice('46')}}}"
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [*before, *turns]}


def _write_jsonl(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
