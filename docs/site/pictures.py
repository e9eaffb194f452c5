"""Draw the pictures of docs/explanation from one real run: `make pictures`, some five minutes on one core.

It trains `symptoms-base` on three examples of each condition, with the commands that a reader has, into
build/pictures (a second call takes the run that is there), asks base and run through the Tinker SDK, and
writes the SVG files and figures.json, in which every number stands that the pages tell. A test compares the
two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "pictures"
OUT = ROOT / "docs" / "explanation"
RUN = "ninety"
EACH = 3
"""How many examples of each of the 30 conditions the run is trained on."""
TRAIN = (
    "--data",
    "ninety.jsonl",
    "--dev",
    "data/dev.jsonl",
    "--base-model",
    "symptoms-base",
    "--steps",
    "150",
)
WATCH = ("--evaluate-every", "10", "--dev-accuracy")
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"
WIDTH = 5.0
"""Inches: narrow enough that a phone shows the letters as large as its own."""
LAYERS = ("gate_proj", "up_proj", "down_proj")


def main() -> None:
    """Train, ask, draw."""
    train_and_evaluate()
    matplotlib.rcParams.update({"svg.hashsalt": "site", "font.size": 10, "axes.spines.top": False})
    matplotlib.rcParams.update({"axes.spines.right": False, "legend.frameon": False})
    figures: dict[str, Any] = {
        "curve": draw_curve(),
        "calibration": draw_calibration(),
        "adapter": draw_adapter(),
    }
    figures |= draw_tokens()
    (OUT / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def train_and_evaluate() -> None:
    """The run that every picture is of, made by the commands that the pages tell."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("data", "mental_health_data.json"):
        if not (FOLDER / name).exists():
            (FOLDER / name).symlink_to(ROOT / name)
    os.environ.update(TINKER_LOCAL_HOME=str(FOLDER / "home"), TINKER_TELEMETRY="0")
    os.chdir(FOLDER)
    if not Path("runs", RUN, "summary.json").exists():
        of_each: Counter[str] = Counter()
        with Path("ninety.jsonl").open("w", encoding="utf-8") as file:
            for line in Path("data/train-900.jsonl").read_text(encoding="utf-8").splitlines():
                of_each[condition := json.loads(line)["condition"]] += 1
                if of_each[condition] <= EACH:
                    print(line, file=file)
        _symptoms("train", *TRAIN, *WATCH, "--run", RUN)
    if not list(Path("runs", RUN).glob("evaluations/*/predictions.jsonl")):
        _symptoms("evaluate", RUN, "--data", "data/test.jsonl")


def draw_curve() -> dict[str, float]:
    """The loss on what is trained, the loss on dev, and how often dev is named right."""
    steps = _lines("metrics.jsonl")
    dev = _lines("dev_metrics.jsonl")
    epoch = 6  # steps of 15 texts over 90 examples
    losses = [step["loss"] for step in steps]
    smooth = [float(np.mean(losses[max(0, end - epoch) : end])) for end in range(1, len(losses) + 1)]
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    above.plot(range(1, len(smooth) + 1), smooth, color=BLUE)
    above.plot(
        [one["step"] for one in dev], [one["dev_loss"] for one in dev], "--o", color=ORANGE, markersize=4
    )
    above.annotate(
        "90 texts it is trained on", (75, smooth[74]), (0, 10), textcoords="offset points", color=BLUE
    )
    last = dev[-1]
    above.annotate(
        "150 texts it never sees", (last["step"], last["dev_loss"]), (-2, 8), textcoords="offset points",
        color=ORANGE, ha="right",
    )  # fmt: skip
    above.set_ylabel("loss, nats a token")
    above.set_ylim(0, None)
    below.plot(
        [one["step"] for one in dev], [one["dev_accuracy"] for one in dev], "--o", color=ORANGE, markersize=4
    )
    below.axhline(1 / 30, color=GREY, linewidth=1)
    below.annotate("guessing", (150, 1 / 30), (0, -12), textcoords="offset points", color=GREY, ha="right")
    below.set(xlabel="step", ylabel="named right", ylim=(0, 0.2))
    for axes in (above, below):
        axes.grid(alpha=0.25)
    _save(figure, "training-loss")
    lowest = min(dev, key=lambda one: one["dev_loss"])
    return {
        "training_loss_first": losses[0],
        "training_loss_last": smooth[-1],
        "dev_loss_lowest": lowest["dev_loss"],
        "dev_loss_lowest_step": lowest["step"],
        "dev_loss_last": last["dev_loss"],
        "dev_accuracy_at_lowest": lowest["dev_accuracy"],
        "dev_accuracy_last": last["dev_accuracy"],
    }


def draw_calibration() -> dict[str, float]:
    """How sure the run is of its label against how often that is right, before and after the temperature."""
    [path] = Path("runs", RUN).glob("evaluations/*/predictions.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    logprobs = np.array([row["logprobs"] for row in rows])
    evaluation = json.loads((path.parent / "evaluation.json").read_text(encoding="utf-8"))
    order = evaluation["details"]["test"]["label_ids"]
    right = np.array(
        [order[best] == row["condition"] for best, row in zip(logprobs.argmax(1), rows, strict=True)]
    )
    temperature = json.loads(Path("runs", RUN, "calibration.json").read_text(encoding="utf-8"))["temperature"]
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    told: dict[str, float] = {"temperature": temperature, "accuracy": float(right.mean())}
    for axes, divisor, name in zip(
        figure.subplots(1, 2, sharey=True), (1.0, temperature), ("raw", "fitted"), strict=True
    ):
        sure = _softmax(logprobs / divisor).max(axis=1)
        groups = np.array_split(np.argsort(sure), 6)
        gap = sum(len(group) * abs(sure[group].mean() - right[group].mean()) for group in groups) / len(sure)
        told |= {f"confidence_{name}": float(sure.mean()), f"gap_{name}": float(gap)}
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        for group in groups:
            x, y = sure[group].mean(), right[group].mean()
            axes.plot([x, x], [x, y], color=ORANGE, linewidth=1)
            axes.plot(x, y, "o", color=BLUE)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability", aspect="equal")
        axes.set_title(
            "as the model has it" if name == "raw" else f"divided by {temperature:.1f}", fontsize=10
        )
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("share that is right")
    figure.axes[0].annotate(
        "as sure as right", (0.42, 0.47), color=GREY, rotation=45, ha="center", va="bottom"
    )
    _save(figure, "calibration")
    return told


def draw_adapter() -> dict[str, float]:
    """How far the adapter moves each matrix of the base, and how many numbers it has."""
    [folder] = (FOLDER / "home").glob("runs/*/sampler_weights/*150")
    adapter = load_file(folder / "adapter_model.safetensors")
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    scale = settings["lora_alpha"] / settings["r"]
    base = load_file(ROOT / "src/base_models/bundled/symptoms-base/model.safetensors")
    moved = np.zeros((len(LAYERS), 6))
    for row, name in enumerate(LAYERS):
        for layer in range(6):
            key = f"model.layers.{layer}.mlp.{name}"
            down, up = (adapter[f"base_model.model.{key}.lora_{one}.weight"].double() for one in "AB")
            moved[row, layer] = (scale * up @ down).norm() / base[f"{key}.weight"].double().norm()
    numbers = sum(one.numel() for one in adapter.values())
    of_base = sum(one.numel() for one in base.values())
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(moved, cmap="Blues", vmin=0, vmax=moved.max() * 1.3, aspect="auto")
    for row in range(len(LAYERS)):
        for layer in range(6):
            dark = moved[row, layer] > 0.75 * moved.max()
            axes.text(
                layer,
                row,
                f"{moved[row, layer]:.0%}",
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
    axes.set_xticks(range(6), [f"layer {layer + 1}" for layer in range(6)])
    axes.set_yticks(range(len(LAYERS)), ["gate", "up", "down"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("size of what the adapter adds, by the size of the base's matrix", fontsize=10)
    _save(figure, "adapter-layers")
    return {
        "numbers": numbers,
        "numbers_of_base": of_base,
        "rank": settings["r"],
        "moved_least": float(moved.min()),
        "moved_most": float(moved.max()),
    }


def draw_tokens() -> dict[str, Any]:
    """Weights and losses token by token of one example, and the labels of one text, before and after."""
    from tinker import ModelInput

    from symptoms.service import connect
    from symptoms.tokens import concern_beginnings, prompt_tokens

    checkpoint = next(
        one["path"] for one in _lines("checkpoints.jsonl")[::-1] if "sampler_weights" in one["path"]
    )
    labels = list(
        json.loads(Path("runs", RUN, "manifest.json").read_text(encoding="utf-8"))["labels"].values()
    )
    example = _example("ninety.jsonl", "specific_phobia-01")
    unseen = _example("data/test.jsonl", "panic-37")
    written = (
        f"Primary concern: Specific Phobia\nKey symptoms: {', '.join(example['symptoms'])}\n"
        f"Recommendation: {example['recommendation']}"
    )
    told: dict[str, Any] = {}
    with connect("local", "symptoms-base") as service:
        clients = [
            service.client.create_sampling_client(base_model="symptoms-base"),
            service.client.create_sampling_client(model_path=checkpoint),
        ]
        clients = [client.result() if hasattr(client, "result") else client for client in clients]
        tokenizer = service.tokenizer()

        def logprobs(client: Any, tokens: Sequence[int]) -> list[float]:
            scored = client.compute_logprobs(ModelInput.from_ints(list(tokens))).result()
            return [0.0 if one is None else one for one in scored]

        prompt = prompt_tokens(tokenizer, example["input"])
        answer = tokenizer.encode(f" {written}\n\n", add_special_tokens=False, split_special_tokens=True)
        pieces = [_shown(tokenizer.decode([one], skip_special_tokens=False)) for one in (*prompt, *answer)]
        draw_weights(pieces, len(prompt))
        before, after = (np.array(logprobs(client, (*prompt, *answer)))[len(prompt) :] for client in clients)
        draw_losses(pieces[len(prompt) :], before, after)
        told["loss"] = {
            "tokens": len(answer),
            "prompt_tokens": len(prompt),
            "sum_before": float(-before.sum()),
            "sum_after": float(-after.sum()),
            "mean_before": float(-before.mean()),
            "mean_after": float(-after.mean()),
        }
        asked = prompt_tokens(tokenizer, unseen["input"])
        shares = []
        for client in clients:
            lines = concern_beginnings(tokenizer, labels)
            scores = [sum(logprobs(client, (*asked, *line))[len(asked) :]) for line in lines]
            shares.append(_softmax(np.array([scores]))[0])
        draw_labels(labels, shares)
        told["labels"] = {
            "text": unseen["input"],
            "condition": unseen["condition"],
            "likeliest_before": labels[int(shares[0].argmax())],
            "likeliest_after": labels[int(shares[1].argmax())],
            "before": float(shares[0].max()),
            "after": float(shares[1].max()),
        }
    return told


def draw_weights(pieces: Sequence[str], num_prompt: int) -> None:
    """Every token in a box, grey where its weight is 0, blue where it is 1."""
    figure = Figure(figsize=(WIDTH, 5.0))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.axis("off")
    renderer = FigureCanvasAgg(figure).get_renderer()
    left, top = 1.0, 97.0
    for number, piece in enumerate(pieces):
        trained = number >= num_prompt
        text = axes.text(
            left, top, piece, fontsize=9, va="center", family="DejaVu Sans Mono",
            color="white" if trained else "#333333",
            bbox={"boxstyle": "round,pad=0.25", "fc": BLUE if trained else "#DDDDDD", "ec": "white"},
        )  # fmt: skip
        box = text.get_window_extent(renderer).transformed(axes.transData.inverted())
        if left + box.width > 96 or (number == num_prompt):
            left, top = 1.0, top - (9.0 if number == num_prompt else 6.0)
            text.set_position((left, top))
        left += box.width + 2.0
    legend = "grey: weight 0, only read      blue: weight 1, to be learned"
    axes.text(1, top - 9, legend, fontsize=9)
    _save(figure, "weights", bottom=(top - 12) / 100)


def draw_losses(pieces: Sequence[str], before: Any, after: Any) -> None:
    """The loss of each token of the answer, before and after training."""
    figure = Figure(figsize=(WIDTH, 8.0), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(pieces))
    axes.barh(places - 0.2, -before, 0.4, color=GREY, label=f"before: {-before.sum():.1f} in all")
    axes.barh(places + 0.2, -after, 0.4, color=BLUE, label=f"after: {-after.sum():.1f} in all")
    axes.set_yticks(places, pieces, family="DejaVu Sans Mono", fontsize=7.5)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlabel("loss of the token, nats")
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper right", ncols=2)
    _save(figure, "loss-by-token")


def draw_labels(labels: Sequence[str], shares: Sequence[Any]) -> None:
    """The likeliest labels of one unseen text, before and after."""
    shown = sorted(range(len(labels)), key=lambda one: -max(share[one] for share in shares))[:8]
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    for offset, share, colour, name in ((-0.2, shares[0], GREY, "before"), (0.2, shares[1], BLUE, "after")):
        axes.barh(places + offset, [share[one] for one in shown], 0.4, color=colour, label=name)
    axes.set_yticks(places, [labels[one].split(" (")[0] for one in shown])
    axes.invert_yaxis()
    axes.set(xlabel="probability of the label", xlim=(0, 0.5))
    axes.grid(axis="x", alpha=0.25)
    axes.legend(loc="lower right")
    _save(figure, "adapter-labels")


def _example(path: str, name: str) -> dict[str, Any]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(one for one in map(json.loads, lines) if one["id"] == name)


def _shown(piece: str) -> str:
    return piece.replace("\n", "⏎").replace(" ", "·") or "·"


def _softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("runs", RUN, name).read_text(encoding="utf-8").splitlines()]


def _save(figure: Figure, name: str, bottom: float = 0) -> None:
    """Write the picture, without what lies below `bottom`, a share of its height."""
    width, height = figure.get_size_inches()
    whole = Bbox([[0, bottom * height], [width, height]])
    figure.savefig(OUT / f"{name}.svg", metadata={"Date": None}, facecolor="white", bbox_inches=whole)


def _symptoms(*arguments: str) -> None:
    print("symptoms", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "symptoms", *arguments], check=True)


if __name__ == "__main__":
    main()
