"""That a translated training moves a layer as the other tool's does, by AdamW of torch and its schedules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from symptoms.schedules import fraction_of_peak
from symptoms.settings.translated import translate

WIDTH, RANK = 24, 4


def steps_of_a_layer(
    scale: float, rate: float, eps: float, decay: float, clip: float, count: int
) -> list[Tensor]:
    """What an adapter of this scale adds to a layer after each of `count` steps of AdamW on one loss."""
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.randn(64, WIDTH, generator=generator) for _ in range(2))
    a = ((torch.rand(RANK, WIDTH, generator=generator) * 2 - 1) * WIDTH**-0.5).requires_grad_()
    b = torch.zeros(WIDTH, RANK, requires_grad=True)
    adam = torch.optim.AdamW([a, b], lr=rate, betas=(0.9, 0.999), eps=eps, weight_decay=decay)
    added = []
    for _ in range(count):
        adam.zero_grad()
        (scale * (x @ a.T @ b.T) - target).square().mean().backward()
        if clip:
            torch.nn.utils.clip_grad_norm_([a, b], clip)
        adam.step()
        added.append((scale * (b @ a)).detach())
    return added


@pytest.mark.parametrize(("alpha", "rslora"), [(4, False), (16, False), (64, False), (16, True)])
@pytest.mark.parametrize(("eps", "clip"), [(1e-8, 0.0), (1e-3, 0.0), (1e-3, 1e-3)])
def test_the_first_steps_are_theirs(alpha: int, rslora: bool, eps: float, clip: float):
    """Rate, eps and norm for our scale give the layer's first step to four digits, the fifth one nearly."""
    told = {
        "use_peft": True,
        "lora_r": RANK,
        "lora_alpha": alpha,
        "use_rslora": rslora,
        "learning_rate": 1e-4,
        "adam_epsilon": eps,
        "max_grad_norm": clip,
        "weight_decay": 0.1,
    }
    ours = translate("trl", told).settings
    scale = alpha / (RANK**0.5 if rslora else RANK)
    theirs = steps_of_a_layer(scale, 1e-4, eps, 0.1, clip, 5)
    mine = steps_of_a_layer(
        32 / RANK,
        ours["learning_rate"],
        ours["adam_eps"],
        ours["weight_decay"],
        ours["grad_clip_norm"],
        5,
    )
    size = theirs[0].abs().max()
    assert (theirs[0] - mine[0]).abs().max() < 1e-4 * size
    assert (theirs[-1] - mine[-1]).abs().max() < 0.05 * theirs[-1].abs().max()
    untouched = steps_of_a_layer(32 / RANK, 1e-4, eps, 0.1, clip, 1)[0]
    if scale != 32 / RANK:
        assert (theirs[0] - untouched).abs().max() > 0.3 * size


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant_with_warmup"])
def test_a_schedule_of_trl_is_ours_with_a_warm_up_one_step_ahead(kind: str):
    """The rates of transformers 5.23.0's schedulers are ours after the warm-up, which begins there at 0."""
    from transformers import get_scheduler

    steps, warmup = 30, 6
    told = {"use_peft": True, "lr_scheduler_type": kind, "warmup_steps": warmup, "max_steps": steps}
    settings = translate("trl", told).settings
    adam = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = get_scheduler(kind, adam, num_warmup_steps=warmup, num_training_steps=steps)
    theirs = []
    for _ in range(steps):
        theirs.append(adam.param_groups[0]["lr"])
        adam.step()
        scheduler.step()
    ours = [
        fraction_of_peak(settings["learning_rate_schedule"], step, steps, settings["warmup_steps"])
        for step in range(1, steps + 1)
    ]
    assert ours[warmup:] == pytest.approx(theirs[warmup:])
    assert ours[: warmup - 1] == pytest.approx(theirs[1:warmup])
    assert theirs[0] == 0
