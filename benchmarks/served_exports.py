"""An export behind an OpenAI-compatible server, held against our own engine: vLLM's rows in docs/export.md.

python -m benchmarks.served_exports first http://127.0.0.1:8000/v1 NAME      # as the server calls the model
python -m benchmarks.served_exports first http://127.0.0.1:8000/v1 NAME 8    # the first eight prompts alone

It asks what `symptoms export` asks of the program that an export is for.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.exports import progress
from symptoms.exchange.questions import questions_to
from symptoms.runs import run_by_name
from symptoms.shipped import FOLDER as SHIPPED
from tinker_local.cli import default_home
from tinker_local.export import open_source, own_answers, read_questions
from tinker_local.export.checking.verification import HEADS, Reader, compare, row

TIE = 0.001
"""Nats between two tokens or lines that count as the same, as for an export in float32."""


def main() -> None:
    """Print the row of what the server answers."""
    name, url, model = sys.argv[1:4]
    run = run_by_name(name)
    source = open_source(run.final_checkpoint(), default_home(), [SHIPPED], progress)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.json"
        file.write_text(json.dumps(questions_to(run)), encoding="utf-8")
        questions = read_questions(file, source.base.tokenizer)
    if len(sys.argv) > 4:
        questions = replace(questions, prompts=questions.prompts[: int(sys.argv[4])])
    own = own_answers(source, questions, lambda done: progress(f"own engine, {done}"))
    # Its path is whole, so that it is not looked for beside the readers that ship.
    script = str(Path(__file__).with_name("served_answers.py").resolve())
    reader = Reader(model, script, (), {"url": url, "model": model})
    found = compare(
        reader,
        questions,
        own,
        frozenset(source.base.end_tokens),
        TIE,
        lambda tokens: source.base.tokenizer.decode(list(tokens)),
        lambda done: progress(f"{url}, {done}"),
    )
    print(f"| {' | '.join(HEADS)} |")
    print(f"|{'|'.join('---' for _ in HEADS)}|")
    print(f"| {' | '.join(row(found))} |")
    if found.first_difference:
        progress(found.first_difference)


if __name__ == "__main__":
    main()
