"""What tinker-cookbook's weight tools make of an exported adapter, on tied bases and others.

Usage: python tests/clients/cookbook_weights.py

`build_hf_model` merges and `build_lora_adapter` rewrites, in the cookbook's own environment; what comes out
is loaded by transformers and peft here, and has to give the engine's logits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from cookbook import cookbook_environment
from peft import PeftModel
from transformers import AutoModelForCausalLM

from checkpoints_to_export import PROMPT, own_logits, saved_source
from tinker_local.export import export, general_questions
from tiny_models import write_tiny_model

CALL = """
import sys
from tinker_cookbook import weights
tool, base, adapter, output = sys.argv[1:]
getattr(weights, tool)(base_model=base, adapter_path=adapter, output_path=output)
"""
TOOLS = ("build_hf_model", "build_lora_adapter")
APART = 1e-4


def differences(python: Path, folder: Path, tied: bool) -> dict[str, float]:
    """How far logits are from the engine's, by tool; an unembedding is adapted, and the base tied or not."""
    write_tiny_model(folder / "model", "LlamaForCausalLM", tie_word_embeddings=tied)
    source = saved_source(folder / "model", folder / "home")
    exported = export(
        source, "peft", None, folder / "out", general_questions(source.base.tokenizer), checked=False
    ).folder
    base = exported / "base" if tied else folder / "model"
    found: dict[str, float] = {}
    for tool in TOOLS:
        told = [tool, str(base), str(exported), str(folder / tool)]
        subprocess.run([python, "-c", CALL, *told], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        if tool == "build_hf_model":
            model = AutoModelForCausalLM.from_pretrained(folder / tool, dtype=torch.float32)
        else:
            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder / tool)
        with torch.no_grad():
            logits = model(torch.tensor([PROMPT])).logits[0]
        found[tool] = float((logits - own_logits(source)).abs().max())
    return found


def main(python: Path | None = None) -> None:
    """Run both tools on both kinds of base, and exit with 1 where logits are not the engine's."""
    python = python or cookbook_environment()
    wrong = False
    for tied in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            for tool, apart in differences(python, Path(folder), tied).items():
                wrong |= apart > APART
                print(f"{tool} on a {'tied' if tied else 'untied'} base: logits apart by {apart:.1e}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
