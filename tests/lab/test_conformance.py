"""Every row of the conformance table can fail, and names the fault; our own server has none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_in_process import in_process
from faulty_server import Wrap, answered, edited, regraded, renumbered
from http_in_process import KEY, serving
from symptoms.conformance import ALL_CHECKS, Probe, Row, measured_rows, with_reference
from symptoms.service import LocalServer, connect, connection
from tinker_local.domain.datum import DatumOutput
from tinker_local.engine.model import lora
from tinker_local.engine.train import trainer
from tinker_local.service import training_runs
from tinker_local.wire import tinker_public_pb2 as proto
from tiny_models import LLAMA3_ROPE, write_tiny_llama
from waiting import PATIENCE

CHECKS = {check.name: check for check in ALL_CHECKS}
# What hosted Tinker no longer has, or has by another route.
APART = {"a checkpoint can be taken away", "an unloaded adapter leaves nothing"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose positions are scaled, so that a server that forgets it errs."""
    folder = tmp_path_factory.mktemp("models") / "scaled"
    write_tiny_llama(folder, rope_scaling=LLAMA3_ROPE)
    return folder


@pytest.fixture(scope="module")
def reference(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A second process with the model, beside which servers are measured that err."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_LOCAL_HOME", str(tmp_path_factory.mktemp("reference")))
        server = LocalServer(str(model))
    with server:
        yield server


@contextmanager
def beside(model: Path, home: Path, reference: LocalServer, patch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """A server's probe that has the reference, which is not started anew."""
    with serving(model, home) as server:
        patch.setenv("TINKER_API_KEY", KEY)
        patch.setattr(connection, "LocalServer", lambda _: nullcontext(reference))
        with connect(server.url, server.model) as service, with_reference(service, None, PATIENCE) as probe:
            yield probe


@contextmanager
def probed(model: Path, home: Path, wrap: Wrap = lambda app: app) -> Iterator[Probe]:
    with serving(model, home, wrap) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_API_KEY", KEY)
        with connect(server.url, server.model) as service:
            yield Probe(service, wait=PATIENCE)


def measured(probe: Probe, *names: str) -> list[Row]:
    return list(measured_rows(probe, [CHECKS[name] for name in names]))


def test_our_own_server_is_as_documented(model: Path, tmp_path: Path):
    """All rows hold for tinker_local over HTTP, beside a second process of it."""
    with serving(model, tmp_path) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_API_KEY", KEY)
        patch.setenv("TINKER_LOCAL_HOME", str(tmp_path / "reference"))
        with connect(server.url, server.model) as service, with_reference(service, None, PATIENCE) as probe:
            rows = list(measured_rows(probe))
    assert len(rows) == len(ALL_CHECKS) >= 45
    others = {row.name: row.came for row in rows if row.verdict != "as documented"}
    assert set(others) <= APART, others


def set_to(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets a field of a body, some levels down."""

    def edit(body: dict[str, Any]) -> None:
        for name in path[:-1]:
            body = body.setdefault(name, {})
        body[path[-1]] = value

    return edit


def all_layers(body: dict[str, Any]) -> None:
    body["lora_config"] |= {"train_attn": True, "train_mlp": True, "train_unembed": True}


def another_seed_each_time() -> Callable[[dict[str, Any]], None]:
    made = iter(range(10**6))
    return lambda body: body["lora_config"].update(seed=next(made))


def no_empty_stop(body: dict[str, Any]) -> None:
    if body["sampling_params"].get("stop") == []:
        del body["sampling_params"]["stop"]


def no_context(body: dict[str, Any]) -> None:
    for one in body["supported_models"]:
        one.pop("max_context_length")


def served_model(model: Path) -> Callable[[dict[str, Any]], None]:
    return set_to("base_model", value=str(model))


def settings_of_the_first_step() -> Callable[[dict[str, Any]], None]:
    """As servers do that build the optimizer once, and then follow the learning rate alone."""
    first: dict[str, dict[str, Any]] = {}

    def edit(body: dict[str, Any]) -> None:
        kept = first.setdefault(body["model_id"], dict(body["adam_params"]))
        body["adam_params"] = {**kept, "learning_rate": body["adam_params"]["learning_rate"]}

    return edit


def no_older_sdk(body: dict[str, Any]) -> None:
    if body["sdk_version"] == "0.30.0":
        body["tags"] = "none of this version"


REQUESTS: list[tuple[str, str, str, Any]] = [
    ("SDK versions", "create_session", "cannot use the server", no_older_sdk),
    ("train_attn", "create_model", "the flags are ignored", all_layers),
    ("train_mlp", "create_model", "the flags are ignored", all_layers),
    ("train_unembed", "create_model", "the flags are ignored", all_layers),
    ("the flags are all there is", "create_model", "no flag names", all_layers),
    ("the adapter's seed", "create_model", "differ from the first step", another_seed_each_time()),
    ("the adapter's seed", "create_model", "differ", set_to("lora_config", "seed", value=1)),
    ("get_info", "create_model", "told wrong", set_to("lora_config", "rank", value=5)),
    ("an unknown base model", "create_model", "another model is trained", served_model),
    ("Adam's eps", "optim_step", "epsilon is fixed", set_to("adam_params", "eps", value=1e3)),
    ("Adam's settings of a later step", "optim_step", "schedules", settings_of_the_first_step()),
    ("Adam's beta1", "optim_step", "momentum", set_to("adam_params", "beta1", value=0.9)),
    ("weight decay", "optim_step", "ignored", set_to("adam_params", "weight_decay", value=0.0)),
    ("gradient clipping", "optim_step", "not clipped", set_to("adam_params", "grad_clip_norm", value=0.0)),
    ("sampling seeds", "asample", "cannot be had again", set_to("sampling_params", "seed", value=None)),
    ("sampling seeds", "asample", "cannot be had again", set_to("sampling_params", "seed", value=3)),
    ("temperature 0", "asample", "vary", set_to("sampling_params", "temperature", value=30.0)),
    ("the end token ends", "asample", "run on", set_to("sampling_params", "stop", value=[])),
    ("stop=[]", "asample", "after an end token", no_empty_stop),
    ("stop tokens", "asample", "do not end where", set_to("sampling_params", "stop", value=None)),
    ("stop strings", "asample", "do not end where", set_to("sampling_params", "stop", value=None)),
    ("num_samples", "asample", "alike", set_to("num_samples", value=1)),
    ("num_samples", "asample", "alike", set_to("sampling_params", "temperature", value=0.0)),
    ("prompt_logprobs", "asample", "cannot be scored", set_to("prompt_logprobs", value=False)),
    ("topk_prompt_logprobs", "asample", "alternatives", set_to("topk_prompt_logprobs", value=2)),
    ("resume with the optimizer", "load_weights", "another way", set_to("optimizer", value=False)),
    ("resume without the optimizer", "load_weights", "momentum", set_to("optimizer", value=True)),
    ("forward and prompt_logprobs agree", "create_sampling_session", "ratios", "the base model"),
    (
        "an old checkpoint, then the present weights",
        "create_sampling_session",
        "not sampled with",
        "the base model",
    ),
]


@pytest.mark.parametrize(
    ("name", "route", "words", "fault"),
    REQUESTS,
    ids=lambda value: getattr(value, "__name__", str(value))[:30],
)
def test_a_request_that_is_taken_otherwise_is_named(
    name: str, route: str, words: str, fault: Any, model: Path, tmp_path: Path
):
    """A server that reads one field of a request otherwise differs in that row, which says what follows."""
    if fault is served_model:
        fault = served_model(model)
    elif fault == "the base model":
        fault = lambda body: body.update(model_path=None, base_model=str(model))  # noqa: E731
    with probed(model, tmp_path, edited(route, fault)) as probe:
        (row,) = measured(probe, name)
    assert row.verdict == "differs", row
    assert words in row.consequence, row


def weights_of(datum: proto.Datum) -> np.ndarray:
    return np.frombuffer(datum.loss_fn_inputs["weights"].dense, dtype=np.float32)


def reweighted(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[proto.ForwardBackwardRequest], None]:
    def edit(message: proto.ForwardBackwardRequest) -> None:
        for datum in message.data:
            datum.loss_fn_inputs["weights"].dense = change(weights_of(datum)).astype(np.float32).tobytes()

    return edit


def mean_over_datums(message: proto.ForwardBackwardRequest) -> None:
    count = len(message.data)
    reweighted(lambda weights: weights / count)(message)


def gradients_though_forward(message: proto.ForwardBackwardRequest) -> None:
    message.forward_only = False


def any_loss(message: proto.ForwardBackwardRequest) -> None:
    message.loss_fn = "cross_entropy"


def cut_off(message: proto.ForwardBackwardRequest) -> None:
    for datum in message.data:
        for tensor in datum.loss_fn_inputs.values():
            size = 8 if tensor.dtype == proto.DTYPE_INT64 else 4
            tensor.dense = tensor.dense[: 200 * size]
            if tensor.shape:
                tensor.shape[0] = min(tensor.shape[0], 200)
        datum.model_input[0].encoded_text.tokens = datum.model_input[0].encoded_text.tokens[: 200 * 4]


GRADIENTS: list[tuple[str, str, Callable[[proto.ForwardBackwardRequest], None]]] = [
    (
        "weights scale the gradient",
        "divided by the sum of weights",
        reweighted(lambda w: w / max(w.sum(), 1)),
    ),
    ("weights scale the gradient", "", reweighted(np.ones_like)),
    ("negative weights", "the wrong way", reweighted(np.abs)),
    ("loss:sum", "not the loss", reweighted(np.ones_like)),
    ("a step spends its gradients", "used again", reweighted(np.ones_like)),
    ("datums of a call add up", "a mean over the call", mean_over_datums),
    ("forward adds no gradient", "trains on the evaluation", gradients_though_forward),
    ("an unknown loss", "another loss", any_loss),
    ("a datum that is too long", "cut in silence", cut_off),
]


@pytest.mark.parametrize(
    ("name", "words", "fault"), GRADIENTS, ids=lambda value: getattr(value, "__name__", str(value))[:30]
)
def test_gradients_that_are_made_otherwise_are_named(
    name: str, words: str, fault: Callable[[proto.ForwardBackwardRequest], None], model: Path, tmp_path: Path
):
    """A server that weighs, gathers or cuts otherwise differs in that row."""
    with probed(model, tmp_path, regraded(fault)) as probe:
        (row,) = measured(probe, name)
    assert row.verdict == "differs", row
    assert words in row.consequence, row


def test_what_comes_twice_is_not_to_be_done_twice(model: Path, tmp_path: Path):
    """A server that takes a repeated request for a new one differs in both rows of it."""
    with probed(model, tmp_path, renumbered()) as probe:
        rows = measured(probe, "forward_backward is done once", "optim_step is done once")
    assert [row.verdict for row in rows] == ["differs", "differs"], rows
    assert "counts twice" in rows[0].consequence


def test_which_sdk_versions_are_let_in_is_told(model: Path, tmp_path: Path):
    """One that the server refuses is named with the reason, the others with what it says of them."""
    warn = answered("create_session", lambda body: body.update(warning_message="Soon retired."))
    with probed(model, tmp_path / "warns", warn) as probe:
        (row,) = measured(probe, "SDK versions")
    assert row.verdict == "as documented", row
    assert "0.25.0: Soon retired." in row.came
    with probed(model, tmp_path / "refuses", edited("create_session", no_older_sdk)) as probe:
        (row,) = measured(probe, "SDK versions")
    assert row.came.startswith("let in: 0.25.0, 0.34.0, 0.36.0, 0.38.0; 0.30.0: status 4"), row


def test_a_context_that_is_not_told_is_named(model: Path, tmp_path: Path):
    """Capabilities without a length differ, and what needs it is not measured."""
    with probed(model, tmp_path, answered("get_server_capabilities", no_context)) as probe:
        rows = measured(probe, "capabilities", "a datum that is too long")
    assert [row.verdict for row in rows] == ["differs", "not measured"], rows


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        (lambda rank: 2.0 * rank, "alpha grows with the rank"),
        (lambda _: 16.0, "every learning rate means 0.5"),
        (lambda rank: 8.0 * rank**0.5, "rsLoRA"),
    ],
    ids=["twice the rank", "16", "rsLoRA"],
)
def test_another_alpha_is_recovered(
    alpha: Callable[[int], float],
    words: str,
    model: Path,
    reference: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Alpha at two ranks comes out within an eighth, and the law that it follows is named."""
    made = lora.Adapter.__init__

    def other(self: lora.Adapter, shape: Any, config: lora.LoraConfig, flat: Any) -> None:
        made(self, shape, replace(config, alpha=alpha(config.rank)), flat)

    # The reference is a process of its own, which this does not reach.
    monkeypatch.setattr(lora.Adapter, "__init__", other)
    with beside(model, tmp_path, reference, monkeypatch) as probe:
        (row,) = measured(probe, "alpha at two ranks")
    assert row.verdict == "differs", row
    assert words in row.consequence, row
    found = [float(part.split()[0]) for part in row.came.removeprefix("alpha ").split(", ")]
    assert found == pytest.approx([alpha(4), alpha(16)], rel=0.12)


def outputs_changed(
    change: Callable[
        [Sequence[DatumOutput], dict[str, float]], tuple[Sequence[DatumOutput], dict[str, float]]
    ],
    patch: pytest.MonkeyPatch,
) -> None:
    """What forward_backward answers is changed on its way out."""
    encode = training_runs.encode_forward_backward
    patch.setattr(
        training_runs,
        "encode_forward_backward",
        lambda outputs, metrics: encode(*change(outputs, dict(metrics))),
    )


def with_logprobs(
    outputs: Sequence[DatumOutput], change: Callable[[np.ndarray], np.ndarray]
) -> list[DatumOutput]:
    return [
        replace(output, fields={**output.fields, "logprobs": change(np.asarray(output.fields["logprobs"]))})
        for output in outputs
    ]


@pytest.mark.parametrize(
    ("name", "words", "change"),
    [
        ("loss:sum", "reads the loss from metrics", lambda outputs, _: (outputs, {})),
        ("loss:sum", "", lambda outputs, m: (outputs, {"loss:sum": m["loss:sum"] / 24})),
        ("log-probabilities", "another model", lambda o, m: (with_logprobs(o, lambda x: x * 1.05), m)),
        (
            "far positions",
            "long examples",
            lambda o, m: (with_logprobs(o, lambda x: x - np.arange(len(x)) / 500), m),
        ),
        (
            "a batch changes nothing",
            "padding leaks",
            lambda o, m: (with_logprobs(o, lambda x: x - 0.1 * (len(o) > 1)), m),
        ),
        (
            "a forward pass is repeatable",
            "dropout",
            lambda o, m: (with_logprobs(o, lambda x: x + np.random.default_rng().normal(0, 0.1, len(x))), m),
        ),
    ],
)
def test_answers_that_are_changed_are_named(
    name: str,
    words: str,
    change: Any,
    model: Path,
    reference: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Log-probabilities and metrics that are not the model's differ in their row."""
    with beside(model, tmp_path, reference, monkeypatch) as probe:
        outputs_changed(change, monkeypatch)
        (row,) = measured(probe, name)
    assert row.verdict == "differs", row
    assert words in row.consequence, row


def test_gradients_of_one_call_alone_are_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server that forgets the gradients of the call before differs in what adds up."""
    compute = trainer.TrainingModel.forward_backward

    def forgetful(self: Any, *arguments: Any) -> Any:
        self._gradients.zero_()
        return compute(self, *arguments)

    monkeypatch.setattr(trainer.TrainingModel, "forward_backward", forgetful)
    with probed(model, tmp_path) as probe:
        (row,) = measured(probe, "calls add up")
    assert row.verdict == "differs", row
    assert "count as one" in row.consequence


def test_an_error_is_a_row(model: Path, tmp_path: Path):
    """What the server refuses is told in its own words, and the rows after it are measured."""
    with probed(model, tmp_path, edited("asample", set_to("num_samples", value=0))) as probe:
        rows = measured(probe, "num_samples", "get_info")
    assert [row.verdict for row in rows] == ["refused", "as documented"], rows
    assert "num_samples" in rows[0].came


def test_a_server_that_is_gone_is_not_waited_for(model: Path, tmp_path: Path):
    """After a server has ended, its rows are not measured, and that is told of each."""
    with serving(model, tmp_path) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_API_KEY", KEY)
        with connect(server.url, server.model) as service:
            gone = replace(service, url="http://127.0.0.1:9")
            rows = measured(
                Probe(replace(gone, base_model="gone")), "get_info", "num_samples", "capabilities"
            )
    assert [row.verdict for row in rows] == ["refused", "not measured", "not measured"]
    assert rows[1].came == "the server no longer answers"


def test_the_command_tells_and_writes_the_table(tmp_path: Path, server: LocalServer):
    """Each check is a line, the file holds the same rows with versions, and no path of this machine."""
    done = in_process(
        tmp_path, "conformance", "local", "--base-model", server.base_model, "--json", "rows.json",
        "--name", "ours", server=server,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "rows.json").read_text()
    report = json.loads(written)
    assert report["server"] == "ours"
    assert report["sdk"]
    assert [row["name"] for row in report["rows"]] == [check.name for check in ALL_CHECKS]
    assert all(f"{row['name']}: " in done.stdout for row in report["rows"])
    assert str(Path(server.base_model).parent) not in written
    assert server.url not in written


def test_one_check_by_its_name(tmp_path: Path, server: LocalServer):
    """--only measures that check alone, and a name that is none is told with those there are."""
    done = in_process(
        tmp_path, "conformance", "local", "--base-model", server.base_model, "--only", "num_samples",
        server=server,
    )  # fmt: skip
    assert "1 check of" in done.stdout
    assert "1 as documented, 0 differs" in done.stdout
    wrong = in_process(tmp_path, "conformance", "local", "--only", "numsamples", server=server)
    assert wrong.returncode == 2
    assert "'num_samples'" in wrong.stderr
