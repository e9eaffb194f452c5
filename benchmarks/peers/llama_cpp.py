"""Worker: writing by llama.cpp's server, as the package xllamacpp brings it."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version
from itertools import cycle

import xllamacpp

from benchmarks.pipe import Prepared, Settings, serve


def prepare(settings: Settings) -> Prepared:
    """One slot for each of `slots` sequences; all else is left as llama.cpp has it."""
    params = xllamacpp.CommonParams()
    params.model.path = settings["file"]
    params.n_parallel = settings["slots"]
    longest = len(settings["prompts"][0]) + settings["new_tokens"]
    params.n_ctx = settings["slots"] * max(256, longest)
    params.verbosity = 0
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    prompts = cycle(settings["prompts"])
    pool = ThreadPoolExecutor(settings["slots"])

    def complete(prompt: Sequence[int]) -> int:
        body = {
            "prompt": list(prompt),
            "n_predict": settings["new_tokens"],
            "ignore_eos": True,
            "temperature": 1.0,
            "samplers": ["temperature"],
            "cache_prompt": False,
        }
        # The server is put away where nothing refers to it, so it is asked for its address each time.
        address = server.listening_address.removeprefix("http://")
        with closing(http.client.HTTPConnection(address, timeout=600)) as connection:
            connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        return answer["tokens_predicted"]

    def write(count: int) -> float:
        chosen = [next(prompts) for _ in range(count)]
        started = time.perf_counter()
        written = sum(pool.map(complete, chosen))
        return (time.perf_counter() - started) / written

    facts = {"threads": threads, "versions": {"xllamacpp": version("xllamacpp")}}
    actions = {"one": lambda: write(1), "many": lambda: write(settings["slots"])}
    return Prepared(actions, facts)


if __name__ == "__main__":
    try:
        serve(prepare)
    finally:
        # Putting llama.cpp away now and then never ends.
        os._exit(0)
