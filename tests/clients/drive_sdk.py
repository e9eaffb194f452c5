"""Drive the core flow of the Tinker SDK that this interpreter has, against a running server.

    python drive_sdk.py URL MODEL        the key is taken from TINKER_API_KEY

Needs only `tinker`, so that it runs in the bare environment of any SDK version. Prints one line a step
and ends with status 1 and one sentence where something is not as it should be.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import time
from typing import Any

os.environ.setdefault("TINKER_TELEMETRY", "0")

import tinker
from tinker import AdamParams, Datum, ModelInput, SamplingParams, TensorData, TrainingClient

ADAM = AdamParams(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-8)
TOKENS = [0, *range(300, 330)]
PROMPT = 5
RANK = 8
WAIT_SECONDS = 60.0


class DriveError(Exception):
    """Something that the server or the SDK did is not what the flow needs."""


def check(holds: bool, sentence: str) -> None:
    """Raises DriveError with the sentence where something does not hold."""
    if not holds:
        raise DriveError(sentence)


def resolved(value: Any) -> Any:
    """The client itself: constructors answer with a future since 0.38 and with the client before."""
    return value.result(WAIT_SECONDS) if hasattr(value, "result") else value


def datum() -> Datum:
    """A text of tokens without meaning, trained behind its prompt."""
    return Datum(
        model_input=ModelInput.from_ints(TOKENS[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=TOKENS[1:], dtype="int64"),
            "weights": TensorData(
                data=[float(index >= PROMPT) for index in range(1, len(TOKENS))], dtype="float32"
            ),
        },
    )


def train(client: TrainingClient, steps: int) -> list[float]:
    """The summed loss before each of these steps."""
    losses: list[float] = []
    for _ in range(steps):
        gradients = client.forward_backward([datum()], "cross_entropy")
        update = client.optim_step(ADAM)
        result = gradients.result(WAIT_SECONDS)
        logprobs = result.loss_fn_outputs[0]["logprobs"].tolist()
        check(len(logprobs) == len(TOKENS) - 1, f"{len(logprobs)} logprobs came back for {len(TOKENS) - 1}.")
        ours = -sum(logprobs[PROMPT - 1 :])
        theirs = result.metrics["loss:sum"]
        check(
            math.isclose(ours, theirs, rel_tol=1e-4), f"The loss is {theirs}, its logprobs add up to {ours}."
        )
        update.result(WAIT_SECONDS)
        losses.append(theirs)
    return losses


def drive(service: tinker.ServiceClient, model: str) -> None:
    """Train, save, resume, sample and score, with a line for each; raises DriveError at the first fault."""
    # Newer versions deprecate it, and older ones have nothing else.
    offers = service.get_server_capabilities()  # pyright: ignore[reportDeprecated]
    offered = [one.model_name for one in offers.supported_models]
    check(model in offered, f"The server offers {offered}, not {model}.")

    training = resolved(service.create_lora_training_client(base_model=model, rank=RANK, seed=1))
    info = training.get_info()
    check(info.model_data.model_name == model, f"get_info names {info.model_data.model_name}, not {model}.")
    print(f"get_info            {info.model_data.model_name}")

    losses = train(training, 30)
    check(losses[-1] < 0.05 * losses[0], f"The loss went from {losses[0]:.3f} to {losses[-1]:.3f} only.")
    print(f"training            loss {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps")

    name = f"drive-{int(time.time() * 1000)}"
    state = training.save_state(name).result(WAIT_SECONDS).path
    check(state.startswith("tinker://"), f"save_state answered {state}.")
    expected = train(training, 5)
    resumed = resolved(service.create_training_client_from_state_with_optimizer(state))
    actual = train(resumed, 5)
    check(actual == expected, f"After resuming, the losses are {actual}, and they should be {expected}.")
    print(f"resumed             {len(actual)} losses equal to the last digit")

    path = training.save_weights_for_sampler(name).result(WAIT_SECONDS).path
    sampler = resolved(service.create_sampling_client(model_path=path))
    sample_and_score(sampler, "sampled checkpoint ")
    snapshot = training.save_weights_and_get_sampling_client()
    sample_and_score(resolved(snapshot), "sampled snapshot   ")

    if importlib.util.find_spec("transformers") is None:
        print("get_tokenizer       left out: this SDK comes without transformers")
    else:
        tokenizer = training.get_tokenizer()
        check(tokenizer.decode(tokenizer.encode("a b", add_special_tokens=False)) == "a b", "a b is lost.")
        print("get_tokenizer       decodes what it encodes")


def sample_and_score(sampler: Any, what: str) -> None:
    """Greedy sampling must repeat what was trained, and its log-probabilities must be the model's."""
    greedy = SamplingParams(max_tokens=len(TOKENS) - PROMPT, temperature=0.0)
    prompt = ModelInput.from_ints(TOKENS[:PROMPT])
    sampled = sampler.sample(prompt=prompt, num_samples=1, sampling_params=greedy).result(WAIT_SECONDS)
    sequence = sampled.sequences[0]
    check(list(sequence.tokens) == TOKENS[PROMPT:], f"Greedy sampling wrote {list(sequence.tokens)}.")
    check(sequence.stop_reason == "length", f"The stop reason is {sequence.stop_reason}, not length.")
    scored = sampler.compute_logprobs(ModelInput.from_ints(TOKENS)).result(WAIT_SECONDS)
    check(len(scored) == len(TOKENS), f"compute_logprobs gave {len(scored)} numbers for {len(TOKENS)}.")
    check(scored[0] is None, f"compute_logprobs begins with {scored[0]}, not None.")
    gap = max(abs(a - b) for a, b in zip(scored[PROMPT:], sequence.logprobs, strict=True))
    check(gap < 1e-3, f"Scoring and sampling differ by {gap} in the same tokens' logprobs.")
    print(f"{what} greedy repeats the training text, scoring agrees within {gap:.1e}")


def main() -> None:
    """Drive the server and the model in the arguments."""
    url, model = sys.argv[1:]
    print(f"tinker {tinker.__version__}, Python {sys.version.split()[0]}")
    service = tinker.ServiceClient(base_url=url)
    try:
        drive(service, model)
    except (DriveError, tinker.TinkerError) as error:
        print(f"drive_sdk: {error}", file=sys.stderr)
        sys.exit(1)
    print("passed")


if __name__ == "__main__":
    main()
