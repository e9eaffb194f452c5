"""`symptoms train` as a user runs it, on a tiny model behind a real server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import LlamaForCausalLM

from base_models import known_models
from command_in_process import in_process, server_over
from conftest import ROOT
from symptoms import Classifier
from symptoms.errors import DataError, InputError, RunError, SymptomsError
from symptoms.runs import RunDirectory
from symptoms.service import LocalServer, connect
from symptoms.settings import TrainingSettings
from symptoms.tokens import as_tokenizer, rendered, to_datum, tokenize
from symptoms.train import load_training_data, prepare
from symptoms.train.request import recommended_settings
from symptoms.train.training_loop import TrainingLoop, new_adapter
from symptoms.train.watching.interruption import Interruption
from symptoms.train.watching.live_view import LiveView, sparkline
from tiny_models import tiny_tokenizer
from training_in_process import Train
from training_runs import lines_of, run, summary_of, write_examples, write_experiment


def test_the_original_settings_give_the_original_losses(tmp_path: Path, tiny_model: Path):
    """The file through `symptoms train`, or --repeat of the script's run, repeats the script bit for bit."""
    data = str(write_experiment(tmp_path / "data.json", epochs=3, learning_rate=0.01, test_examples=[2]))
    told = ("--data", data, "--base-model", str(tiny_model))
    flat = run(tmp_path, str(ROOT / "train_mental_health.py"), *told, "--run", "flat")
    assert flat.returncode == 0, flat.stderr
    with server_over(tmp_path, str(tiny_model)) as server:
        done = in_process(tmp_path, "train", *told, "--run", "new", server=server)
        again = in_process(tmp_path, "train", "--repeat", "flat", "--run", "again", server=server)
    assert done.returncode == 0, done.stderr
    assert json.dumps(lines_of(tmp_path, "new")) == json.dumps(lines_of(tmp_path, "flat"))
    assert len(lines_of(tmp_path, "new")) == 18
    assert again.returncode == 0, again.stderr
    assert json.dumps(lines_of(tmp_path, "again")) == json.dumps(lines_of(tmp_path, "flat"))
    assert summary_of(tmp_path, "new")["test_cases"] == summary_of(tmp_path, "flat")["test_cases"]
    assert "step   18 of 18" in done.stdout


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("taken", "The run runs/taken exists already; choose another name."),
        ("a/b", "cannot name a run"),
    ],
)
def test_a_name_that_no_run_can_have_is_told_before_connecting(tmp_path: Path, name: str, sentence: str):
    """By the command and by the script; a dry run, which makes none, needs no name."""
    data = str(write_experiment(tmp_path / "data.json"))
    (tmp_path / "runs/taken").mkdir(parents=True)
    (tmp_path / "runs/taken/manifest.json").write_text("{}")
    nowhere = ("--service", "nonsense", "--run", name)
    script = run(tmp_path, str(ROOT / "train_mental_health.py"), "--data", data, *nowhere)
    for done in (in_process(tmp_path, "train", "--data", data, *nowhere), script):
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "Connecting" not in done.stdout
    assert "Connecting" in in_process(tmp_path, "train", "--data", data, "--dry-run", *nowhere).stdout


def test_a_run_leaves_its_files_and_a_classifier(trained: Train, tmp_path: Path, server: LocalServer):
    """Manifest, metrics, dev metrics and checkpoints are there, and the classifier loads the best."""
    said = trained(
        "--dev", "dev.jsonl", "--run", "one", "--epochs", "3", "--batch-size", "4", "--checkpoint-every", "2",
        "--keep-checkpoints", "1", "--learning-rate", "0.01", "--reduction", "mean_per_token",
    )  # fmt: skip
    directory = RunDirectory(tmp_path / "runs/one")
    assert [line.step for line in directory.metrics()] == list(range(1, 10))
    assert [line["step"] for line in directory.evaluations()] == [3, 6, 9]
    manifest = directory.manifest()
    assert manifest["loss_reduction"] == "weighted mean over the trained tokens of a step"
    assert len(manifest["dev_sha256"]) == 64
    kinds = [line["kind"] for line in directory.checkpoints()]
    assert kinds.count("training") == 1
    assert kinds.count("best") == 1
    summary = summary_of(tmp_path, "one")
    best = min(directory.evaluations(), key=lambda line: line["dev_loss"])
    assert (summary["best_dev_loss"], summary["best_step"]) == (best["dev_loss"], best["step"])
    assert summary["test_cases"] == []
    assert directory.final_checkpoint() == summary["checkpoint"]
    assert summary["checkpoint"].endswith(f"best-step-{best['step']}")
    # What was deleted from the list was deleted from the service.
    import tinker

    rest = tinker.RestClient(base_url=server.url, api_key=server.api_key)
    kept = rest.list_checkpoints(summary["checkpoint"].split("/")[2]).result().checkpoints
    assert sorted(one.tinker_path for one in kept) == sorted(line["path"] for line in directory.checkpoints())
    assert "dev loss" in said
    assert "falls short of the original" not in said
    with Classifier.load("one") as classifier:
        assessment = classifier.assess("no")
    assert assessment.leading[0].condition in {label.id for label in directory.labels()}
    assert not assessment.calibrated


def test_the_dev_loss_is_that_of_the_reference(trained: Train, tmp_path: Path, tiny_model: Path):
    """With steps too small to matter, both dev losses are what transformers computes on the base model."""
    still = ("--steps", "1", "--learning-rate", "1e-12", "--best-by", "dev_concern_loss")
    trained("--dev", "dev.jsonl", "--run", "still", *still)
    model = LlamaForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = as_tokenizer(tiny_tokenizer())
    lost: list[float] = []
    lost_on_the_concern: list[float] = []
    for example in load_training_data(tmp_path / "dev.jsonl", "dev").examples:
        tokenized = tokenize(tokenizer, example)
        line = f" {rendered(example).splitlines()[0]}\n"
        in_line = len(tokenizer.encode(line, add_special_tokens=False, split_special_tokens=True))
        tokens = torch.tensor([tokenized.tokens])
        with torch.no_grad():
            scores = model(tokens).logits[0, :-1].log_softmax(-1)
        logprobs = scores.gather(1, tokens[0, 1:, None])[:, 0].tolist()
        trained_on = [-one for one, weight in zip(logprobs, tokenized.weights[1:], strict=True) if weight]
        lost += trained_on
        lost_on_the_concern += trained_on[:in_line]
    [line] = lines_of(tmp_path, "still", "dev_metrics.jsonl")
    assert line["dev_loss"] == pytest.approx(np.mean(lost), rel=1e-4)
    assert line["dev_concern_loss"] == pytest.approx(np.mean(lost_on_the_concern), rel=1e-4)


def test_the_best_checkpoint_is_the_best_by_the_measure_that_was_chosen(trained: Train, tmp_path: Path):
    """The same run keeps other weights by its whole loss, by its concern's, and where the last are wanted."""
    kept: list[int] = []
    for measure in ("dev_loss", "dev_concern_loss", "last"):
        trained(
            "--run", measure, "--dev", "dev.jsonl", "--epochs", "8", "--learning-rate", "0.1",
            "--batch-size", "2", "--best-by", measure, "--learning-rate-schedule", "constant",
        )  # fmt: skip
        evaluations = lines_of(tmp_path, measure, "dev_metrics.jsonl")
        best = evaluations[-1] if measure == "last" else min(evaluations, key=lambda one: one[measure])
        summary = summary_of(tmp_path, measure)
        assert summary["best_by"] == measure
        kind = "last" if measure == "last" else "best"
        assert summary["checkpoint"].endswith(f"{kind}-step-{best['step']}")
        assert (summary["used_dev_loss"], summary["used_step"]) == (best["dev_loss"], best["step"])
        assert RunDirectory(tmp_path / "runs" / measure).used_dev_loss() == best["dev_loss"]
        kept.append(best["step"])
    # Each measure had something to decide: with one and the same step for all, nothing would be shown.
    assert len(set(kept)) > 1


def test_accumulated_batches_train_like_one(trained: Train, tmp_path: Path):
    """Four examples at once, and two times two gathered for one step, lead through the same losses."""
    same = ("--steps", "6", "--learning-rate", "0.01", "--reduction", "mean_per_example")
    trained("--run", "whole", "--batch-size", "4", *same)
    trained("--run", "parts", "--batch-size", "2", "--gradient-accumulation", "2", *same)
    whole, parts = lines_of(tmp_path, "whole"), lines_of(tmp_path, "parts")
    assert [line["num_tokens"] for line in whole] == [line["num_tokens"] for line in parts]
    assert [line["loss"] for line in whole] == pytest.approx([line["loss"] for line in parts], rel=1e-4)
    # The third step ends an epoch of ten examples, and has the two that are left.
    assert [line["epoch"] for line in whole] == [1, 1, 1, 2, 2, 2]


def test_submitting_ahead_changes_nothing(trained: Train, tmp_path: Path):
    """One step at a time and four ahead give the same metrics, evaluations included."""
    for ahead in ("1", "4"):
        trained(
            "--run", ahead, "--dev", "dev.jsonl", "--epochs", "2", "--in-flight", ahead, "--batch-size", "2"
        )
    for file in ("metrics.jsonl", "dev_metrics.jsonl"):
        assert lines_of(tmp_path, "1", file) == lines_of(tmp_path, "4", file)


def test_training_stops_when_the_dev_loss_no_longer_falls(trained: Train, tmp_path: Path):
    """With steps far too large the run ends early, and the weights from before stay the final ones."""
    said = trained(
        "--run", "early", "--dev", "dev.jsonl", "--evaluate-every", "1", "--patience", "2", "--steps", "30",
        "--learning-rate", "0.5", "--learning-rate-schedule", "constant",
    )  # fmt: skip
    losses = [line["dev_loss"] for line in lines_of(tmp_path, "early", "dev_metrics.jsonl")]
    best = losses.index(min(losses)) + 1
    assert len(losses) == len(lines_of(tmp_path, "early")) == best + 2 < 30
    assert summary_of(tmp_path, "early")["checkpoint"].endswith(f"best-step-{best}")
    assert "Stopped early" in said


def folder_of(checkpoint: str) -> Path:
    """Where the server keeps a checkpoint."""
    run_id, kind, name = checkpoint.removeprefix("tinker://").split("/")
    return Path(os.environ["TINKER_LOCAL_HOME"]) / "runs" / quote(run_id, safe="") / kind / name


def test_which_layers_are_trained(trained: Train, tmp_path: Path):
    """Leaving layers out reaches the service: the checkpoint says which were adapted, and the rank."""
    trained("--run", "attention", "--steps", "1", "--no-train-mlp", "--no-train-unembed", "--lora-rank", "4")
    adapter = folder_of(summary_of(tmp_path, "attention")["checkpoint"]) / "adapter_config.json"
    settings = json.loads(adapter.read_text())
    assert set(settings["target_modules"]) == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert settings["r"] == 4


def test_figures_of_a_caller_are_kept(tmp_path: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch):
    """Whoever calls for training can add figures to each evaluation, from a sampler of the weights so far."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINKER_API_KEY", server.api_key)
    data = load_training_data(write_examples(tmp_path / "train.jsonl", 4), "train")
    config = TrainingSettings(data="train.jsonl", dev="train.jsonl", epochs=2)
    with connect(server.url, server.base_model) as service:
        training = new_adapter(config, service)
        job = prepare(config, data, data, service.tokenizer(training), service.context_length)
        run = RunDirectory.create("own")
        view = LiveView(Console(quiet=True), job.num_steps)

        def logprobs(sampler: Any) -> dict[str, float]:
            tokens = to_datum(job.dev_examples[0]).model_input
            return {"logprob": sum(one or 0.0 for one in sampler.compute_logprobs(tokens).result())}

        loop = TrainingLoop(job, run, service, training, view, evaluator=logprobs)
        assert loop.run(Interruption(service, Console(quiet=True)))
    first, second = (line["logprob"] for line in run.evaluations())
    assert first != second


def test_the_dev_data_can_be_classified_as_well(trained: Train, tmp_path: Path):
    """Accuracy and macro-F1 rise to 1 on descriptions that the model learns by heart, if that is allowed."""
    allowed = [f"--allow-duplicate=train:{number}" for number in range(1, 11)]
    trained(
        "--run", "heart", "--dev", "train.jsonl", "--dev-accuracy", "--steps", "60", "--evaluate-every", "30",
        "--learning-rate", "0.01", "--concern-weight", "3", *allowed,
    )  # fmt: skip
    last = lines_of(tmp_path, "heart", "dev_metrics.jsonl")[-1]
    assert (last["dev_accuracy"], last["dev_macro_f1"]) == (1.0, 1.0)
    assert (
        "Primary concern line weigh 3" in RunDirectory(tmp_path / "runs/heart").manifest()["loss_reduction"]
    )


def test_dev_data_that_were_trained_on_stop_a_training_unless_allowed_by_name(trained: Train, tmp_path: Path):
    """Nothing is begun, a copy of a text is named by its place, and a repeated run keeps what was allowed."""
    with pytest.raises(InputError, match=r"train\.jsonl is named twice, so nothing is held out"):
        trained("--run", "same", "--dev", "train.jsonl", "--steps", "1")
    [copied, *_] = (tmp_path / "train.jsonl").read_text().splitlines(keepends=True)
    dev = tmp_path / "leaky.jsonl"
    dev.write_text((tmp_path / "dev.jsonl").read_text() + copied)
    told = r"leaky\.jsonl:6: input: nearly repeats train\.jsonl:1 .*allow it with --allow-duplicate leaky:6"
    with pytest.raises(DataError, match=told):
        trained("--run", "allowed", "--dev", "leaky.jsonl", "--steps", "1")
    assert not (tmp_path / "runs").exists()
    trained("--run", "allowed", "--dev", "leaky.jsonl", "--steps", "1", "--allow-duplicate", "leaky:6")
    trained("--repeat", "allowed", "--run", "again", data=False)
    trained("--repeat", "allowed", "--run", "other", "--dev", "dev.jsonl", data=False)


def test_a_repeated_run_is_the_same_run(trained: Train, tmp_path: Path):
    """--repeat takes every setting of a run and gives its metrics; options win; changed data is refused."""
    trained("--run", "first", "--steps", "5", "--batch-size", "3", "--seed", "7")
    trained("--repeat", "first", "--run", "second", data=False)
    assert lines_of(tmp_path, "second") == lines_of(tmp_path, "first")
    # What a run leaves holds both, worked out; only told beside each other they are refused.
    config = json.loads((tmp_path / "runs/first/config.json").read_text())
    assert (config["steps"], config["epochs"]) == (5, 5)
    trained("--repeat", "first", "--run", "epochs", "--epochs", "1", data=False)
    assert len(lines_of(tmp_path, "epochs")) == 4
    trained("--repeat", "first", "--run", "third", "--seed", "8", data=False)
    assert lines_of(tmp_path, "third") != lines_of(tmp_path, "first")
    write_examples(tmp_path / "train.jsonl", 11)
    with pytest.raises(RunError, match="has changed since the run first"):
        trained("--repeat", "first", data=False)


def test_options_win_over_a_file(trained: Train, tmp_path: Path):
    """Settings come from a TOML file, and those given as options replace them."""
    (tmp_path / "run.toml").write_text('data = "train.jsonl"\nsteps = 3\nbatch_size = 2\nwarmup_steps = 1\n')
    trained("run.toml", "--run", "both", "--batch-size", "5", data=False)
    assert [line["num_tokens"] > 0 for line in lines_of(tmp_path, "both")] == [True] * 3
    config = json.loads((tmp_path / "runs/both/config.json").read_text())
    assert (config["steps"], config["batch_size"], config["warmup_steps"]) == (3, 5, 1)
    (tmp_path / "epochs.toml").write_text('data = "train.jsonl"\nepochs = 3\nbatch_size = 5\n')
    trained("epochs.toml", "--run", "steps", "--steps", "1", data=False)
    assert len(lines_of(tmp_path, "steps")) == 1


def test_steps_beside_epochs_are_refused_in_a_file_too(trained: Train, tmp_path: Path):
    """In a file both stand for the same thing, and one of them would count for nothing."""
    (tmp_path / "run.toml").write_text('data = "train.jsonl"\nsteps = 3\nepochs = 2\n')
    with pytest.raises(InputError, match="steps and epochs say the same thing twice; give one of them"):
        trained("run.toml", data=False)


def test_the_recommended_settings_that_it_took_are_told_at_the_start(
    trained: Train, server: LocalServer, monkeypatch: pytest.MonkeyPatch
):
    """One line has those that nobody told; a model that is not in the table has a rate by its width."""
    by_width = "learning_rate 0.013, recommended for models of this width"
    assert by_width in trained("--steps", "1", "--run", "none").splitlines()
    assert "recommended" not in trained("--steps", "1", "--learning-rate", "0.01", "--run", "told")
    row = known_models()["symptoms-base"]
    suited = row.model_copy(update={"data_sets": {"batch_size": 5, "concern_weight": 2.0}})
    monkeypatch.setattr(recommended_settings, "known_models", lambda: {server.base_model: suited})
    said = trained("--steps", "1", "--batch-size", "2", "--run", "some").splitlines()
    assert "concern_weight 2, recommended for this base model" in said


def test_runs_are_listed_shown_and_removed(trained: Train, tmp_path: Path, server: LocalServer):
    """A run shows up with its state and losses, and goes with its checkpoints."""
    trained("--run", "one", "--steps", "2")
    listed = trained("list", to="runs")
    assert "one" in listed
    assert "finished, 2 steps" in listed
    shown = trained("show", "one", to="runs")
    assert "sum over the trained tokens" in shown
    checkpoint = summary_of(tmp_path, "one")["checkpoint"]
    assert checkpoint in shown
    assert folder_of(checkpoint).exists()
    with (
        RunDirectory(tmp_path / "runs/one").held(),
        pytest.raises(RunError, match="being worked on by process"),
    ):
        trained("rm", "one", "--yes", to="runs")
    assert checkpoint in trained("show", "one", to="runs")
    assert "Removed" in trained("rm", "one", "--yes", "--checkpoints", to="runs")
    assert not (tmp_path / "runs/one").exists()
    assert not folder_of(checkpoint).exists()
    assert "There are no runs" in trained("list", to="runs")


def test_a_run_that_is_not_finished_has_no_final_loss(trained: Train, tmp_path: Path):
    """Neither in the list, nor by itself, nor beside others, as it may go on."""
    for name in ("done", "going"):
        trained("--run", name, "--steps", "2")
    run = RunDirectory(tmp_path / "runs/going")
    loss = f"{run.final_loss():.3f}"
    assert loss in trained("list", to="runs").splitlines()[-1]
    (run.path / "summary.json").unlink()
    assert loss not in trained("list", to="runs").splitlines()[-1]
    assert loss not in trained("show", "going", to="runs")
    [group] = json.loads(trained("done", "going", "--json", to="compare"))["groups"]
    assert [(one["name"], one["final_loss"] is None) for one in group["runs"]] == [
        ("done", False),
        ("going", True),
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("--data", "none.jsonl"), DataError, "no such file"),
        (("--repeat", "nothing"), RunError, "There is no run 'nothing'"),
        (("--resume", "one", "--epochs", "3"), InputError, "with the settings of its run"),
        (("--steps", "3", "--epochs", "3"), InputError, "say the same thing twice"),
        (("--repeat", "one", "--steps", "3", "--epochs", "3"), InputError, "say the same thing twice"),
        (("--measure",), InputError, "--measure is a part of --dry-run"),
        (("--log-to", "paper"), InputError, "log_to.0 cannot be 'paper'"),
        (("--learning-rate", "0"), InputError, "learning_rate cannot be 0.0"),
    ],
)
def test_mistakes_are_told_before_connecting(
    trained: Train, arguments: tuple[str, ...], kind: type[SymptomsError], sentence: str
):
    """Wrong options end in a sentence."""
    with pytest.raises(kind, match=sentence):
        trained(*arguments)


def test_a_missing_writer_is_told_at_once(trained: Train, monkeypatch: pytest.MonkeyPatch):
    """Asking for a package that is not installed names the extra to install."""
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(InputError, match=r"pip install '\.\[trackio\]' in the checkout"):
        trained("--log-to", "trackio", "--steps", "1")


def test_of_several_splits_only_one_is_trained_on(tmp_path: Path):
    """A file that holds its own test set never has it trained on, and says what was left out."""
    file = write_examples(tmp_path / "all.jsonl", 6)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["split"] = ("train", "dev", "test")[number % 3]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [example.input for example in load_training_data(file, "train").examples] == [
        lines[0]["input"], lines[3]["input"],
    ]  # fmt: skip
    dev = load_training_data(file, "dev")
    assert len(dev.examples) == 2
    assert "taking the 2 of 6 examples of split dev" in dev.notes[-1]


def test_a_sparkline_is_the_course_of_the_values():
    """Falling values fall in it, many are drawn in few characters, and none gives none."""
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1], 8) == "█▇▆▅▄▃▂▁"
    assert sparkline([2, 2, 1, 1], 2) == "█▁"
    assert sparkline([1.0], 5) == "▁"
    assert sparkline([], 5) == ""
