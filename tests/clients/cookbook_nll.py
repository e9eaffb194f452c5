"""The cookbook's two NLL evaluators on one checkpoint: both see the same model, so they must agree.

Runs in the cookbook's environment. Usage: cookbook_nll.py STATE_PATH MODEL_NAME CONVERSATIONS
"""

# Of tinker_cookbook, which is installed where this runs and not here, no types are known; what is called of
# the SDK, older versions have, too.
# pyright: basic, reportMissingImports=false
from __future__ import annotations

import asyncio
import json
import sys
import warnings
from pathlib import Path

import tinker
from tinker_cookbook import model_info, renderers
from tinker_cookbook.supervised.data import conversation_to_datum
from tinker_cookbook.supervised.nll_evaluator import NLLEvaluator, SamplerNLLEvaluator
from tinker_cookbook.tokenizer_utils import get_tokenizer

WITHIN = 1e-4
"""Scoring reads a prompt through the sampler's batch, training through its own; floats differ a little."""


async def main() -> None:
    """Print what both say, and exit with a sentence where they differ."""
    state_path, model_name, conversations = sys.argv[1:]
    tokenizer = get_tokenizer(model_name)
    renderer = renderers.get_renderer(model_info.get_recommended_renderer_name(model_name), tokenizer)
    rows = [json.loads(line) for line in Path(conversations).read_text().splitlines()]
    data = [conversation_to_datum(row["messages"], renderer, max_length=512) for row in rows]

    service = tinker.ServiceClient()
    training = await service.create_training_client_from_state_async(state_path)
    sampling = await training.save_weights_and_get_sampling_client_async()
    with warnings.catch_warnings():
        # The older evaluator announces its end at every use; servers meet it for as long as it is there.
        warnings.simplefilter("ignore")
        trained = await NLLEvaluator(data, tokenizer=tokenizer)(training)
    sampled = await SamplerNLLEvaluator(data, tokenizer=tokenizer)(sampling)
    print(json.dumps({"NLLEvaluator": trained, "SamplerNLLEvaluator": sampled}))
    gap = max(abs(trained[key] - sampled[key]) for key in trained)
    if gap > WITHIN:
        sys.exit(f"The evaluators differ by {gap}.")


if __name__ == "__main__":
    asyncio.run(main())
