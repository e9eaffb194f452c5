"""What the base model learns: to predict the next token, and to gather a passage's meaning at the last."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.model.llama import Llama

TEMPERATURE = 0.05


def language_model_loss(model: Llama, batch: Tensor) -> Tensor:
    """Mean negative log-likelihood per token, in nats, of int64 [n, length + 1]."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.logits(model.hidden(batch[:, :-1]))
    return F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


def passage_losses(
    model: Llama,
    readout: Tensor,
    tokens: Tensor,
    targets: Tensor,
    last: Tensor,
    wanted: Tensor,
    others: Tensor,
) -> tuple[Tensor, Tensor]:
    """The language-model loss of a batch of passages, and how far their last states are from the teacher.

    `readout` [384, hidden] maps a state to the teacher's space and is thrown away after training. The second
    loss is InfoNCE (van den Oord et al. 2018) of each passage's own embedding against those of the batch and
    of `others`, plus one minus the cosine.
    """
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.hidden(tokens)
        logits = model.logits(hidden)
    language = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)
    states = hidden[torch.arange(len(last)), last].float()
    said = F.normalize(states @ readout.T, dim=-1)
    cosines = said @ torch.cat([wanted, others]).T
    own = torch.arange(len(last))
    meaning = F.cross_entropy(cosines / TEMPERATURE, own) + (1 - cosines[own, own]).mean()
    return language, meaning
