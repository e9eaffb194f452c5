"""The cases: which work is measured, and who takes part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.contestants import Case, Contestant, Worker
from benchmarks.flops import step_flops
from benchmarks.models import SHAPES, Model, find_model, in_q8_0
from benchmarks.places import ROOT

RANK = 32
PROMPT_TOKENS, NEW_TOKENS, SEQUENCES = 48, 64, 32
DESCRIPTION_TOKENS = 64
TOKENS, BATCHES, RANKS = (32, 64, 128, 256, 512, 1024), (1, 2, 4, 8, 16), (8, 16, 32, 64)

OURS, OURS_FLOAT32, BESIDE = "ours", "ours, float32", "ours at the other commit"
PEFT, PEFT_NARROW, PEFT_FLOAT32 = "peft, bfloat16", "peft, all in bfloat16", "peft, float32"
TRL, SERVER = "TRL, bfloat16", "ours, through the server"
GENERATE, GENERATE_WIDE = "transformers.generate, bfloat16", "transformers.generate, float32"
ALL_LABELS, PROMPT_READ = (
    "ours, 30 labels as the classifier asks",
    "ours, the description's log-probabilities",
)
ONE_SERVER, BOTH_SERVERS = "one server alone", "the slower of two at once"
MANY = f" x {SEQUENCES}"
Q8_0, Q4_1 = "llama.cpp, Q8_0", "llama.cpp, Q4_1"

find = cache(find_model)


@dataclass(frozen=True)
class Plan:
    """A case that has not been prepared, since that may take a model to be written."""

    name: str
    make: Callable[[], Case]


def plans(beside: bool) -> list[Plan]:
    """All cases in their order. With `beside`, ours at another commit takes part in training."""

    def training(
        name: str, model: str, count: int, length: int, trained: int, who: Sequence[str], **more: Any
    ) -> Plan:
        chosen = [*who[:1], *([BESIDE] if beside else []), *who[1:]]
        return Plan(name, lambda: training_case(name, model, count, length, trained, chosen, **more))

    everyone = (OURS, OURS_FLOAT32, PEFT, PEFT_NARROW, PEFT_FLOAT32, TRL)
    pair = (OURS, PEFT)
    small, large = {"steps": (1, 2)}, {"steps": (0, 1)}
    found = [
        training("train-135m", "smollm2-135m", 1, 128, 64, (*everyone, SERVER), **small),
        training("train-135m-batch", "smollm2-135m", 15, 110, 55, (OURS, PEFT, PEFT_NARROW, TRL), **large),
        training(
            "train-135m-batch-float32", "smollm2-135m", 15, 110, 55, (OURS_FLOAT32, PEFT_FLOAT32), **large
        ),
        training("memory-135m-server", "smollm2-135m", 15, 110, 55, (SERVER, PEFT), **large),
        training("train-1b", "llama-3.2-1b-shape", 1, 80, 40, (OURS, PEFT, PEFT_NARROW), **large),
        training("train-6m", "symptoms-base", 1, 124, 62, (OURS, SERVER, PEFT_FLOAT32), steps=(3, 10)),
        Plan("decode-135m", decoding),
        Plan("labels-135m", labels),
        Plan("two-servers", two_servers),
    ]
    curve = {"repetitions": 3}
    for tokens in TOKENS:
        more = {"curve": ("tokens", tokens), **curve, "steps": (1, 2 if tokens <= 256 else 1)}
        found.append(training(f"curve-tokens-{tokens}", "smollm2-135m", 1, tokens, tokens // 2, pair, **more))
    for count in BATCHES:
        more = {"curve": ("batch", count), **curve, "steps": (1, 1)}
        found.append(training(f"curve-batch-{count}", "smollm2-135m", count, 128, 64, pair, **more))
    for rank in RANKS:
        more = {"curve": ("rank", rank), **curve, "steps": (1, 2), "rank": rank}
        found.append(training(f"curve-rank-{rank}", "smollm2-135m", 1, 128, 64, pair, **more))
    for name, shape in SHAPES.items():
        more = {"curve": ("model", shape.parameters), **curve, "steps": (1, 1)}
        found.append(training(f"curve-model-{name}", name, 1, 128, 64, pair, **more))
    return found


def choose(found: Iterable[Plan], only: Sequence[str]) -> list[Plan]:
    """The plans that are named, or whose name begins with one of these and a hyphen; all without names.

    Raises ValueError where a name is none's.
    """
    every = list(found)
    for name in only:
        if not any(_is_meant(plan.name, name) for plan in every):
            raise ValueError(f"There is no case {name}; --list shows them.")
    return [plan for plan in every if not only or any(_is_meant(plan.name, name) for name in only)]


def _is_meant(name: str, asked: str) -> bool:
    # The batch of train-135m is a case of its own, so a whole name means only itself.
    return name == asked or (asked.startswith("curve") and name.startswith(f"{asked}-"))


def training_case(
    name: str,
    model: str,
    count: int,
    length: int,
    trained: int,
    who: Sequence[str],
    *,
    steps: tuple[int, int],
    rank: int = RANK,
    repetitions: int = 5,
    curve: tuple[str, float] | None = None,
) -> Case:
    """A step over `count` texts of `length` tokens, `trained` of each counting, by those who take part."""
    found, shape = find(model), SHAPES[model]
    work = {"count": count, "length": length, "trained": trained, "rank": rank, "steps": steps}
    theirs = {**work, "model": str(found.folder)}

    def ours(dtype: str, environment: str = "ours") -> Worker:
        return Worker(
            "benchmarks.ours.training_step", {**work, "model": found.name, "dtype": dtype}, environment
        )

    def peft(dtype: str, adapters: str = "float32") -> Worker:
        settings = {**theirs, "dtype": dtype, "adapters": adapters}
        return Worker("benchmarks.peers.peft_step", settings, "peers")

    def trl(dtype: str) -> Worker:
        return Worker("benchmarks.peers.trl_steps", {**theirs, "dtype": dtype}, "peers")

    through_server = {"model": found.name, "training": {**work, "vocabulary": shape.vocabulary}}
    workers = {
        OURS: lambda: ours("auto"),
        OURS_FLOAT32: lambda: ours("float32"),
        BESIDE: lambda: ours("auto", "beside"),
        SERVER: lambda: Worker("benchmarks.ours.server", through_server),
        PEFT: lambda: peft("bfloat16"),
        PEFT_NARROW: lambda: peft("bfloat16", "bfloat16"),
        PEFT_FLOAT32: lambda: peft("float32"),
        TRL: lambda: trl("bfloat16"),
    }
    texts = f"{count} text{'s' if count > 1 else ''} of {length} tokens"
    return Case(
        name=name,
        title=f"{model}, {texts}, {trained} of each trained, rank {rank}: a step",
        unit="step",
        contestants=tuple(Contestant(each, workers[each]()) for each in who),
        flops=step_flops(shape, count, length, trained, rank),
        repetitions=repetitions,
        curve=curve,
        shape={"model": model, "parameters": shape.parameters, **work},
    )


def decoding() -> Case:
    """Writing 64 tokens behind prompts of 48: one sequence, and 32 together."""
    model = find("smollm2-135m")
    prompts = real_prompts(model, PROMPT_TOKENS)
    work = {"prompts": prompts, "new_tokens": NEW_TOKENS, "many": SEQUENCES}
    server = Worker("benchmarks.ours.server", {"model": model.name, "sampling": work})

    def generate(dtype: str) -> Worker:
        return Worker(
            "benchmarks.peers.generate", {**work, "model": str(model.folder), "dtype": dtype}, "peers"
        )

    def llama_cpp(file: str, slots: int) -> Worker:
        return Worker("benchmarks.peers.llama_cpp", {**work, "file": file, "slots": slots}, "peers")

    def files() -> dict[str, str]:
        return {Q8_0: str(in_q8_0(model)), Q4_1: str(model.source)}

    contestants: list[Contestant] = []
    for action, count in (("one", 1), ("many", SEQUENCES)):
        mark = "" if count == 1 else MANY
        contestants += [
            Contestant(OURS + mark, server, action),
            Contestant(GENERATE + mark, generate("bfloat16"), action),
            Contestant(GENERATE_WIDE + mark, generate("float32"), action),
            *(Contestant(name + mark, llama_cpp(file, count), action) for name, file in files().items()),
        ]
    return Case(
        name="decode-135m",
        title=f"smollm2-135m, {NEW_TOKENS} tokens behind {PROMPT_TOKENS}, at temperature 1: a token",
        unit="token",
        contestants=tuple(contestants),
        shape={"model": "smollm2-135m", "prompt": PROMPT_TOKENS, "new": NEW_TOKENS, "many": SEQUENCES},
    )


def labels() -> Case:
    """30 labels behind one description, beside reading the description alone."""
    from tokenizers import Tokenizer

    from symptoms.taxonomy import conditions

    model = find("smollm2-135m")
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    texts = [f" Primary concern: {condition.label}\n" for condition in conditions()]
    endings = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    prompts = real_prompts(model, DESCRIPTION_TOKENS)
    names = [condition.label for condition in conditions()]
    work = {"prompts": prompts, "labels": endings, "new_tokens": NEW_TOKENS, "many": SEQUENCES}
    server = Worker("benchmarks.ours.server", {"model": model.name, "sampling": {**work, "names": names}})

    def theirs(dtype: str) -> Worker:
        return Worker(
            "benchmarks.peers.generate", {**work, "model": str(model.folder), "dtype": dtype}, "peers"
        )

    return Case(
        name="labels-135m",
        title=f"smollm2-135m, {len(endings)} labels behind a description of {DESCRIPTION_TOKENS} tokens",
        unit="description",
        contestants=(
            Contestant(ALL_LABELS, server, "named labels"),
            Contestant("ours, 30 labels as 30 requests", server, "labels"),
            Contestant(PROMPT_READ, server, "prompt"),
            Contestant("ours, the description's next token", server, "first token"),
            Contestant("transformers, forward pass of the description, float32", theirs("float32"), "prompt"),
            Contestant(
                "transformers, forward pass of the description, bfloat16", theirs("bfloat16"), "prompt"
            ),
        ),
        shape={"model": "smollm2-135m", "prompt": DESCRIPTION_TOKENS, "labels": len(endings)},
    )


def two_servers() -> Case:
    """A server that trains alone, and beside another that does the same."""
    model, shape = find("smollm2-135m"), SHAPES["smollm2-135m"]
    work = {"count": 1, "length": 128, "trained": 64, "steps": (1, 4), "vocabulary": shape.vocabulary}

    def server(number: int) -> Worker:
        return Worker("benchmarks.ours.server", {"model": model.name, "training": work, "number": number})

    return Case(
        name="two-servers",
        title="smollm2-135m, 1 text of 128 tokens through the server, alone and beside another: a step",
        unit="step",
        contestants=(
            Contestant(ONE_SERVER, server(1)),
            Contestant(BOTH_SERVERS, server(1), also=(server(2),)),
        ),
        as_it_is=True,
        flops=step_flops(shape, 1, 128, 64, RANK),
        shape={"model": "smollm2-135m", "count": 1, "length": 128, "trained": 64, "rank": RANK},
    )


def real_prompts(model: Model, length: int) -> list[list[int]]:
    """Pieces of real descriptions, of this many tokens each, one behind the other and none twice."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    lines = (ROOT / "data" / "train-900.jsonl").read_text().splitlines()
    ids = [token for line in lines for token in tokenizer.encode(json.loads(line)["input"]).ids]
    return [ids[start : start + length] for start in range(0, len(ids) - length, length)]
