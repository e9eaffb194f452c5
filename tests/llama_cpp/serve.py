"""Serve one GGUF file with llama.cpp until standard input ends; prints the address.

Its attention is computed and kept in float32, as ours is. It is a process of its own, because llama.cpp ends
the one that it runs in where a file is not as it should be, and now and then never ends when it is put away.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

xllamacpp: Any = importlib.import_module("xllamacpp")


def serve(file: str, context: int) -> None:
    """Until standard input ends, with a context of so many tokens."""
    settings = xllamacpp.CommonParams()
    settings.model.path = file
    settings.n_ctx = context
    settings.n_parallel = 1
    settings.warmup = False
    settings.verbosity = 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


serve(sys.argv[1], int(sys.argv[2]))
