"""Plans of sweeps: which runs come of them, and what is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from symptoms.errors import DataError, InputError, ServiceError
from symptoms.sweep import PlannedRun, SweepPlan, preset_names, read_preset, read_sweep_file
from symptoms.sweep.plan_file import with_options
from symptoms.sweep.requested_runs import check_named_by_user, request_runs
from training_runs import write_examples


def test_a_grid_is_every_combination_with_every_seed():
    """Names tell what varies and nothing else, and settings hold for all."""
    plan = SweepPlan({"epochs": 2}, grid={"batch_size": [1, 4], "lora_rank": [8], "shuffle": [True, False]})
    runs = plan.varied({}).runs()
    assert [run.name for run in runs] == [
        "batch_size-1-shuffle-True-seed0",
        "batch_size-1-shuffle-False-seed0",
        "batch_size-4-shuffle-True-seed0",
        "batch_size-4-shuffle-False-seed0",
    ]
    assert runs[2].settings == {"epochs": 2, "batch_size": 4, "lora_rank": 8, "shuffle": True, "seed": 0}


def test_paths_become_names_of_folders():
    """The last part of a path is enough, unless two have the same."""
    short = SweepPlan({}, grid={"base_model": ["/models/a b", "org/c"]}).runs()
    assert [run.name for run in short] == ["base_model-a-b-seed0", "base_model-c-seed0"]
    alike = SweepPlan({}, grid={"base_model": ["one/model", "two/model"]}).runs()
    assert [run.name for run in alike] == ["base_model-one-model-seed0", "base_model-two-model-seed0"]


def test_a_file_holds_the_whole_plan(tmp_path: Path):
    """Base settings, named settings, a grid, seeds and the test set are read."""
    file = tmp_path / "plan.toml"
    file.write_text(
        'data = "a.jsonl"\nseeds = [3, 5]\nevaluate = "t.jsonl"\n[grid]\nlora_rank = [2, 4]\n'
        '[[list]]\nname = "calm"\nlearning_rate = 1e-4\n[[list]]\nname = "quick"\nlearning_rate = 1e-2\n'
    )
    plan = read_sweep_file(file)
    runs = plan.runs()
    assert len(runs) == 8
    assert (runs[0].name, runs[-1].name) == ("calm-lora_rank-2-seed3", "quick-lora_rank-4-seed5")
    assert runs[-1].settings == {"data": "a.jsonl", "learning_rate": 1e-2, "lora_rank": 4, "seed": 5}
    assert plan.evaluate == "t.jsonl"


def test_every_fault_of_a_file_is_told_with_its_line(tmp_path: Path):
    """Unknown keys are told with the nearest that there is, whether at the top, in the grid or in a list."""
    file = tmp_path / "plan.toml"
    file.write_text(
        "batchsize = 4\nseeds = [1, 1]\n[grid]\nlora_ranks = [8]\nepochs = 3\n"
        '[[list]]\nname = "a"\nseed = 1\n'
    )
    with pytest.raises(DataError) as error:
        read_sweep_file(file)
    told = str(error.value).replace(str(file), "")
    assert ":1: batchsize: unknown key; did you mean 'batch_size'?" in told
    assert ":2: seeds: expected each seed once" in told
    assert ":4: lora_ranks: unknown key; did you mean 'lora_rank'?" in told
    assert ":5: epochs: expected a list of values" in told
    assert "expected seeds = [0, 1, 2] at the top" in told


def test_options_win_over_the_file():
    """Lists replace or join those of the grid, numbers are read as numbers, and text stays text."""
    plan = SweepPlan({"data": "a", "dev": "b", "epochs": 3}, grid={"batch_size": [1, 2]})
    base = {"data": "c", "steps": 10}
    told = with_options(plan, base, ["batch_size=4,8", "learning_rate=1e-3,2", "data=x,y"], "2", "t")
    assert told.grid == {"batch_size": [4, 8], "learning_rate": [1e-3, 2], "data": ["x", "y"]}
    assert told.base == {"data": "c", "steps": 10}
    assert (told.seeds, told.evaluate) == ((0, 1), "t")
    assert with_options(plan, {}, [], "7,", None).seeds == (7,)


def test_steps_and_epochs_of_options_replace_each_other_in_the_plan():
    """Whether told for all runs or varied, the one that is told counts and the other one goes."""
    plan = SweepPlan({"steps": 100, "lora_rank": 2})
    [only] = with_options(plan, {"epochs": 3}, [], None, None).runs()
    assert only.settings == {"lora_rank": 2, "epochs": 3, "seed": 0}
    two = with_options(plan, {}, ["epochs=2,4"], None, None).runs()
    assert [dict(run.settings) for run in two] == [
        {"lora_rank": 2, "epochs": epochs, "seed": 0} for epochs in (2, 4)
    ]


@pytest.mark.parametrize(
    ("plan", "base", "varied", "run"),
    [
        ("steps = 9\nepochs = 3\n", {}, [], "base-seed0"),
        ("steps = 9\n[grid]\nepochs = [2, 4]\n", {}, [], "epochs-2-seed0"),
        ('epochs = 3\n[[list]]\nname = "long"\nsteps = 9\n', {}, [], "long-seed0"),
        ('[[list]]\nname = "long"\nsteps = 9\n', {"epochs": 3}, [], "long-seed0"),
        ("", {"steps": 9, "epochs": 3}, [], "base-seed0"),
        ("", {"steps": 9}, ["epochs=2,4"], "epochs-2-seed0"),
    ],
)
def test_steps_beside_epochs_are_refused(
    plan: str, base: dict[str, object], varied: list[str], run: str, tmp_path: Path
):
    """Wherever the two stand, the run that would have both is named, since one would count for nothing."""
    file = tmp_path / "plan.toml"
    file.write_text(plan)
    complete = with_options(read_sweep_file(file), base, varied, None, None)
    with pytest.raises(InputError, match=f"The run {run} cannot be: steps and epochs say the same thing"):
        complete.runs()


def test_a_sweep_that_was_begun_with_steps_beside_epochs_goes_on(tmp_path: Path):
    """Its runs were planned before the two were refused, and have the steps that they had."""
    data = str(write_examples(tmp_path / "train.jsonl", 8))
    begun = PlannedRun("a-seed0", "a", {"data": data, "steps": 9, "epochs": 3, "seed": 0})
    assert [run.num_steps for run in request_runs([begun], "local", None)] == [9]


@pytest.mark.parametrize(
    ("base", "varied", "seeds", "sentence"),
    [
        ({}, ["learning_rat=1,2"], None, "did you mean 'learning_rate'?"),
        ({}, ["learning_rate"], None, "is no list"),
        ({}, ["seed=1,2"], None, "give --seeds"),
        ({"seed": 3}, [], None, "give --seeds"),
        ({"batch_size": 3}, [], None, "instead of --batch-size"),
        ({}, [], "0", "between 1 and"),
        ({}, [], "1,1", "a seed twice"),
        ({}, [], "x", "neither how many nor which"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    base: dict[str, object], varied: list[str], seeds: str | None, sentence: str
):
    """Each with a sentence on what to write instead."""
    with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
        with_options(SweepPlan({}, grid={"batch_size": [1, 2]}), base, varied, seeds, None)


def test_a_value_that_cannot_be_names_its_run(tmp_path: Path):
    """It is found before any run is trained."""
    data = str(write_examples(tmp_path / "train.jsonl", 8))
    runs = SweepPlan({"data": data}, grid={"batch_size": [4, -1]}).runs()
    with pytest.raises(InputError, match=r"The run batch_size--1-seed0 cannot be: batch_size cannot be -1"):
        request_runs(runs, "local", None)


def test_the_presets_are_those_of_the_experiments_list(tmp_path: Path):
    """Each varies what its name says, and all of their settings can be."""
    varied = {
        name: [dict(setting.changes) for setting in read_preset(name).settings()] for name in preset_names()
    }
    assert [one["batch_size"] for one in varied["batch"]] == [1, 4, 8]
    assert [one["examples_per_condition"] for one in varied["examples"]] == [1, 3, 10, 30, 90]
    assert [one["lora_rank"] for one in varied["rank"]] == [8, 32, 64]
    schedules = [one["learning_rate_schedule"] for one in varied["schedules"]]
    assert schedules == ["constant", "linear", "cosine", "wsd"]
    assert ["3B" in one["base_model"] for one in varied["larger-models"]] == [True, False]
    assert "8B" in varied["larger-models"][1]["base_model"]
    data = str(write_examples(tmp_path / "train.jsonl", 80))
    for name in varied:
        plan = with_options(read_preset(name), {"data": data}, [], None, None)
        assert request_runs(plan.runs(), "local", None)
    with pytest.raises(InputError, match="did you mean 'batch'"):
        read_preset("batches")


def test_a_preset_of_larger_models_needs_weights_on_the_local_service():
    """It says what is on offer, and how to name weights."""
    with pytest.raises(ServiceError, match=r"offers symptoms-base .* name yours with --set base_model=PATH"):
        check_named_by_user("larger-models", ["a-3B", "b-8B"], "local")
