"""Assess a file of any size with Ray Data: actors hold classifiers, and all of them ask one server.

    pip install 'ray[data]'
    tinker-local serve --base-model symptoms-base --port 8765 &
    export TINKER_API_KEY=tml-local
    python benchmarks/ray_rows.py runs/first many.jsonl assessed --service http://127.0.0.1:8765

Reads JSON lines with `input`, and writes a folder of JSON lines: the columns that were there, `assessment` as
`symptoms assess` writes it, and `error`. On a cluster, RUN is a folder that every machine sees. Without
`--service` each actor starts a server of its own, which is right with an actor a machine.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import ray

from symptoms import Classifier
from symptoms.errors import InputError


class Assess:
    """An actor: loads once, and answers a batch at a time, with some dozens of its rows asked at once."""

    def __init__(self, run: str, service: str | None) -> None:
        self._classifier = Classifier.load(run, service)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of columns with two more: `assessment`, and `error` where there could be none."""
        texts = [InputError("input: no text") if text is None else str(text) for text in batch["input"]]
        outcomes = list(self._classifier.outcomes(texts))
        told = [None if isinstance(one, InputError) else json.dumps(one.to_json()) for one in outcomes]
        errors = [str(one) if isinstance(one, InputError) else None for one in outcomes]
        return {**batch, "assessment": told, "error": errors}


def main() -> None:
    """Assess the file and print how many rows a second that were."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--service")
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    # An actor waits for its server most of the time; what a processor is to Ray it leaves to that.
    ray.init(num_cpus=options.actors + 1, log_to_driver=False, include_dashboard=False)
    started = time.perf_counter()
    rows = ray.data.read_json(str(options.file.resolve()), lines=True)
    assessed = rows.map_batches(
        Assess,
        fn_constructor_args=(str(options.run.resolve()), options.service),
        batch_size=options.batch,
        concurrency=options.actors,
        num_cpus=1,
    ).materialize()
    seconds = time.perf_counter() - started
    assessed.write_json(str(options.out.resolve()))
    count = assessed.count()
    print(f"{count} rows in {seconds:.0f} s, the start of the actors included: {count / seconds:.1f} rows/s")


if __name__ == "__main__":
    main()
