"""What llama.cpp's quantisations change in a classifier's labels, and how much of that is the weights.

python -m benchmarks.crossed.quantisations shipped 40                # texts of data/test.jsonl, evenly taken
python -m benchmarks.crossed.quantisations shipped 40 q8_0 q4_0      # these alone

A table of docs/export.md. Each is made of the merged float32 model by llama.cpp's own function, which the
package `xllamacpp` has inside, and asked twice: in our engine, with the numbers that the blocks stand for,
which shows the weights alone; and in llama.cpp, which rounds what is multiplied with them as well. Both are
held against our engine on the float32 model.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from benchmarks.places import ROOT
from symptoms.data.dataset import load_dataset
from symptoms.data.written_assessment import CONCERN
from symptoms.runs import run_by_name
from symptoms.shipped import FOLDER as SHIPPED
from symptoms.tokens import in_sentence_case, prompt_text
from tinker_local.cli import default_home
from tinker_local.engine.model.llama import Llama
from tinker_local.engine.model.lora import Adapter
from tinker_local.export import open_source, own_answers, read_questions
from tinker_local.export.checking.own_answers import OwnAnswer
from tinker_local.export.checking.questions import Questions
from tinker_local.export.checking.verification import LLAMA_CPP, Reader, _answers
from tinker_local.export.exporting import _plain_token
from tinker_local.export.gguf_files import _add_keys, _reordered
from tinker_local.export.gguf_keys import gguf_architecture, model_keys
from tinker_local.export.source import Source
from tinker_local.loading.gguf.tensors import gguf_name
from tinker_local.loading.safetensors_headers import EMBEDDING

Array = NDArray[np.float32]

FALLBACK = {
    Kind.Q6_K: Kind.Q8_0,
    Kind.Q5_K: Kind.Q5_1,
    Kind.Q4_K: Kind.Q5_0,
    Kind.Q3_K: Kind.IQ4_NL,
}
"""What llama-quantize takes for rows that are no multiple of 256, as SmolLM2-135M's of 576 are not."""
KINDS = {
    "q8_0": (Kind.Q8_0, Kind.Q8_0),
    "q6_k": (Kind.Q6_K, Kind.Q8_0),
    "q5_1": (Kind.Q5_1, Kind.Q8_0),
    "q5_0": (Kind.Q5_0, Kind.Q8_0),
    "q4_k": (Kind.Q4_K, Kind.Q8_0),
    "q4_1": (Kind.Q4_1, Kind.Q8_0),
    "q4_0": (Kind.Q4_0, Kind.Q8_0),
    "q4_0, head too": (Kind.Q4_0, Kind.Q4_0),
    "q3_k": (Kind.Q3_K, Kind.Q8_0),
}
"""By name: the matrices' type, and the embedding's, a tied model's head, which is finer in llama-quantize."""


def main() -> None:
    """Print a line for each type of weights, read by our engine and by llama.cpp."""
    name, count, *only = [*sys.argv[1:], "shipped", "40"][: max(2, len(sys.argv) - 1)]
    run = run_by_name(name)
    examples = load_dataset(ROOT / "data" / "test.jsonl").examples
    examples = [examples[place * len(examples) // int(count)] for place in range(int(count))]
    labels = [label.text for label in run.labels()]
    source = open_source(run.final_checkpoint(), default_home(), [SHIPPED], say)
    with tempfile.TemporaryDirectory() as folder:
        questions = asked(Path(folder), [one.input for one in examples], labels, source)
        own = own_answers(source, questions, lambda done: say(f"float32, {done}"))
        right = [
            labels.index(one.label.text) if one.label and one.label.text in labels else -1 for one in examples
        ]
        print("| type | read by | right | same label | ranks moved | apart, nats | MB |")
        print("|---|---|---|---|---|---|---|")
        tell("float32", "our engine", own, [one.scores for one in own], right, 0)
        for kind in only or KINDS:
            file = Path(folder) / "model.gguf"
            weights = write(source, file, *KINDS[kind])
            size = file.stat().st_size
            rounded = replace(source, base=replace(source.base, model=weights), adapter=nothing(source))
            weights_alone = own_answers(rounded, questions, lambda done: say(f"weights, {done}"))
            tell(kind, "our engine", own, [one.scores for one in weights_alone], right, size)
            tell(kind, "llama.cpp", own, llama_cpp(source, file, questions, own), right, size)


def asked(folder: Path, texts: Sequence[str], labels: Sequence[str], source: Source) -> Questions:
    """The texts as prompts with the labels' lines; what is written is cut short, as nobody compares it."""
    file = folder / "prompts.json"
    prompts = [prompt_text(in_sentence_case(text)) for text in texts]
    lines = [f" {CONCERN}{label}\n" for label in labels]
    file.write_text(
        json.dumps({"prompts": prompts, "lines": lines, "stop": ":", "template": ""}), encoding="utf-8"
    )
    return read_questions(file, source.base.tokenizer)


def nothing(source: Source) -> Adapter:
    """An adapter without effect, for weights that have it inside."""
    adapter = source.adapter.snapshot()
    adapter.flat.zero_()
    return adapter


def write(source: Source, file: Path, kind: Kind, embedding: Kind) -> Llama:
    """The merged model in a type as a file, and as the numbers that its blocks stand for."""
    writer = gguf.GGUFWriter(file, gguf_architecture(source))
    _add_keys(writer, model_keys(source))
    writer.add_quantization_version(2)
    weights: dict[str, torch.Tensor] = {}
    for name, shape in source.shapes().items():
        merged = np.ascontiguousarray(_reordered(source, name, source.merged(name).numpy()))
        wanted = Kind.F32 if len(shape) == 1 else embedding if name == EMBEDDING else kind
        if shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0]:
            wanted = FALLBACK[wanted]
        blocks = merged.view(np.uint8) if wanted == Kind.F32 else llama_quantised(merged, wanted)
        numbers = merged if wanted == Kind.F32 else gguf.dequantize(blocks, wanted)
        weights[name] = torch.from_numpy(in_our_order(source, name, numbers).copy())
        writer.add_tensor(gguf_name(name), blocks, raw_shape=blocks.shape, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Llama(source.base.model.config, weights)


def in_our_order(source: Source, name: str, numbers: Array) -> Array:
    """The reverse of `_reordered`, found by where that puts each row."""
    if numbers.ndim == 1:
        return numbers
    rows = np.arange(len(numbers), dtype=np.float32)[:, None]
    order = _reordered(source, name, rows)[:, 0].astype(int)
    back = np.empty_like(numbers)
    back[order] = numbers
    return back


def llama_quantised(matrix: Array, kind: Kind) -> NDArray[np.uint8]:
    """Blocks of a matrix's rows, by llama.cpp's `ggml_quantize_chunk`."""
    xllamacpp = importlib.import_module("xllamacpp.xllamacpp")
    library = ctypes.CDLL(xllamacpp.__file__)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_init.restype = None
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows, width = matrix.shape
    blocks = np.empty((rows, width // block * size), np.uint8)
    written = library.ggml_quantize_chunk(
        ctypes.c_int(kind.value),
        matrix.ctypes.data_as(ctypes.c_void_p),
        blocks.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(0),
        ctypes.c_int64(rows),
        ctypes.c_int64(width),
        None,
    )
    assert written == blocks.nbytes, kind
    return blocks


def llama_cpp(
    source: Source, file: Path, questions: Questions, own: Sequence[OwnAnswer]
) -> list[tuple[float, ...]]:
    """Log-probabilities of the labels' lines behind each prompt, by llama.cpp from a file."""
    loads = {
        "file": str(file),
        "adapter": None,
        "vocab_size": source.base.model.config.vocab_size,
        "plain": _plain_token(source),
        "threads": torch.get_num_threads(),
    }
    reader = Reader("llama.cpp", LLAMA_CPP, ("xllamacpp",), loads)
    answers: list[tuple[float, ...]] = []
    for answer in _answers(reader, questions, own, source.base.end_tokens):
        answers.append(tuple(answer["scores"]))
        say(f"llama.cpp, {len(answers)}")
    return answers


def tell(
    kind: str,
    reader: str,
    own: Sequence[OwnAnswer],
    scores: Sequence[Sequence[float]],
    right: Sequence[int],
    size: int,
) -> None:
    """A row of the table; `right` has the place of each text's own label."""
    ours = np.array([one.scores for one in own])
    theirs = np.array(scores)
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    moved = int((np.argsort(-ours, 1, kind="stable") != np.argsort(-theirs, 1, kind="stable")).sum())
    near = ours > ours.max(1, keepdims=True) - 10
    apart = float(np.abs(ours - theirs)[near].max())
    hits = int((theirs.argmax(1) == np.array(right)).sum())
    cells = (
        kind,
        reader,
        f"{hits} of {len(own)}",
        f"{same} of {len(own)}",
        f"{moved} of {ours.size}",
        f"{apart:.1e}",
        f"{size / 1e6:.0f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def say(what: str) -> None:
    """Tell on standard error, with the time, what is under way."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


if __name__ == "__main__":
    main()
