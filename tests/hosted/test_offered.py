"""A base model that is not on offer ends in one sentence that names the nearest, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_in_process import in_process
from faulty_service import Between
from symptoms.service.offered import nearest_of
from training_runs import write_examples

OCTOBER = (
    "thinkingmachines/Inkling", "thinkingmachines/Inkling-Small", "Qwen/Qwen3.8-27B",
    "Qwen/Qwen3.8-27B:peft:262144", "Qwen/Qwen3.6-35B-A3B", "Qwen/Qwen3.5-397B-A17B", "Qwen/Qwen3.5-9B",
    "Qwen/Qwen3.5-4B", "Qwen/Qwen3-8B", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "openai/gpt-oss-120b",
    "openai/gpt-oss-120b:peft:131072", "openai/gpt-oss-20b", "deepseek-ai/DeepSeek-V3.1",
    "moonshotai/Kimi-K2.6", "moonshotai/Kimi-K2.6:peft:131072",
)  # fmt: skip
"""Most of what hosted Tinker offered in October 2026."""

ALLOWED = tuple(f"--allow-duplicate=test:{number}" for number in range(1, 5))


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ("openai/gpt-oos-20b", "openai/gpt-oss-20b"),
        ("qwen/qwen3.5-9b", "Qwen/Qwen3.5-9B"),
        ("Qwen3-8B", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3.6-27B", "Qwen/Qwen3.8-27B"),
        ("Qwen/Qwen3-30B-A3B", "Qwen/Qwen3.6-35B-A3B"),
        ("Qwen/Qwen3-4B-Instruct-2507", "Qwen/Qwen3.5-4B"),
        ("moonshotai/Kimi-K2.5:peft:131072", "moonshotai/Kimi-K2.6:peft:131072"),
        ("moonshotai/Kimi-K2.5", "moonshotai/Kimi-K2.6"),
        ("meta-llama/Llama-3.2-1B", "Qwen/Qwen3.5-4B"),
        ("meta-llama/Llama-3.3-70B-Instruct", "openai/gpt-oss-120b"),
    ],
)
def test_the_nearest_is_of_like_name_or_family_or_size(wanted: str, nearest: str):
    """What was misspelt comes first, then the family by size, then whatever is of its size."""
    assert nearest_of(wanted, OCTOBER)[0] == nearest


@pytest.fixture
def retired(between: Between, tmp_path: Path) -> Path:
    """A folder with data, and a service that offers what hosted Tinker did and not the tiny model."""
    between.offered = [{"model_name": name, "max_context_length": 65_536} for name in OCTOBER]
    write_examples(tmp_path / "train.jsonl", 8)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--data", "train.jsonl"),
        ("train", "--data", "train.jsonl", "--dry-run"),
        ("sweep", "--data", "train.jsonl", "--seeds", "2"),
        ("sweep", "--data", "train.jsonl", "--seeds", "2", "--dry-run"),
    ],
)
def test_what_is_not_on_offer_is_told_before_anything_is_sent(
    arguments: tuple[str, ...], retired: Path, between: Between
):
    """One sentence with the nearest three and where all are listed; only the list was asked for."""
    done = in_process(retired, *arguments, "--base-model", "Qwen/Qwen3.5-9b", settings=between.settings)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"{between.url} does not offer Qwen/Qwen3.5-9b; nearest of the 16 that it offers:" in done.stderr
    assert ": Qwen/Qwen3.5-9B, Qwen/Qwen3-8B, Qwen/Qwen3.5-4B; choose one with --base-model" in done.stderr
    assert set(between.asked) == {"get_server_capabilities"}


def test_a_run_whose_base_was_retired_is_told_with_what_trains_its_like(retired: Path, between: Between):
    """For resuming, asking and evaluating it; its checkpoints can be deleted all the same."""
    on_offer, between.offered = between.offered, None
    write_examples(retired / "test.jsonl", 4, first=8)
    begun = ("--data", "train.jsonl", "--steps", "2", "--lora-rank", "2", "--base-model", between.model)
    assert in_process(retired, "train", *begun, "--run", "old", settings=between.settings).returncode == 0
    between.offered = on_offer
    for arguments in (
        ("train", "--repeat", "old", "--run", "new"),
        ("assess", "--run", "old", "I sleep badly."),
        ("evaluate", "old", "--data", "test.jsonl", *ALLOWED),
    ):
        done = in_process(retired, *arguments, settings=between.settings)
        assert done.returncode == 3, done.stderr
        assert "which the run old was trained on" in done.stderr
        assert "symptoms train --repeat old --base-model" in done.stderr
        assert done.stderr.strip().count("\n") == 0
    (retired / "runs/old/summary.json").unlink()
    done = in_process(retired, "train", "--resume", "old", settings=between.settings)
    assert "which the run old was trained on, so that it can neither go on nor be asked" in done.stderr
    done = in_process(retired, "runs", "rm", "old", "--checkpoints", "--yes", settings=between.settings)
    assert done.returncode == 0, done.stderr
    assert not (retired / "runs/old").exists()
