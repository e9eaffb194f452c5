"""Learning-rate schedules, against those of transformers."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup, get_wsd_schedule

from symptoms.schedules import Schedule, fraction_of_peak

STEPS, WARMUP = 40, 6


def reference(schedule: str) -> list[float]:
    """Its fraction at each step; transformers counts steps from 0 and begins a warm-up at zero."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    made = {
        "linear": lambda: get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS),
        "cosine": lambda: get_cosine_schedule_with_warmup(optimizer, WARMUP, STEPS),
        "wsd": lambda: get_wsd_schedule(optimizer, WARMUP, 10, num_training_steps=STEPS, decay_type="linear"),
    }[schedule]()
    rates: list[float] = []
    for _ in range(STEPS):
        rates.append(made.get_last_lr()[0])
        optimizer.step()
        made.step()
    return rates


@pytest.mark.parametrize("schedule", ["linear", "cosine", "wsd"])
def test_after_the_warm_up_a_schedule_is_the_reference(schedule: Schedule):
    """Every step after the warm-up has the fraction that transformers gives."""
    ours = [
        fraction_of_peak(schedule, step, STEPS, WARMUP, decay_fraction=0.25) for step in range(1, STEPS + 1)
    ]
    assert ours[WARMUP:] == pytest.approx(reference(schedule)[WARMUP:], abs=1e-12)


@given(st.sampled_from(get_args(Schedule)), st.integers(2, 500), st.data())
def test_a_schedule_rises_to_its_peak_and_stays_above_zero(
    schedule: Schedule, steps: int, data: st.DataObject
):
    """The warm-up rises to exactly 1 at its last step, and no step has a rate of zero."""
    warmup = data.draw(st.integers(0, steps - 1))
    fractions = [fraction_of_peak(schedule, step, steps, warmup) for step in range(1, steps + 1)]
    assert all(0 < fraction <= 1 for fraction in fractions)
    assert fractions[:warmup] == sorted(fractions[:warmup])
    if warmup:
        assert fractions[warmup - 1] == 1.0
    assert fractions[warmup:] == sorted(fractions[warmup:], reverse=True)
