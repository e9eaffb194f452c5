"""Every form that a checkpoint can leave in, made and checked: the table of docs/export.md.

python -m benchmarks.exports shipped                        # needs the extra `export`, and half an hour
python -m benchmarks.exports shipped gguf-q8_0 hf-f32       # these alone, in this order
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from symptoms.exchange.questions import questions_to
from symptoms.runs import run_by_name
from symptoms.shipped import FOLDER as SHIPPED
from tinker_local.cli import default_home
from tinker_local.export import CheckFailedError, export, open_source, own_answers, read_questions
from tinker_local.export.checking.verification import HEADS, row

FORMS = (
    ("peft", None),
    ("hf", "f32"),
    ("hf", "f16"),
    ("hf", "bf16"),
    ("gguf", "f32"),
    ("gguf", "f16"),
    ("gguf", "bf16"),
    ("gguf", "q8_0"),
    ("gguf-adapter", None),
)


def main() -> None:
    """Export a run in every form, or in those named, and print a line of the table for each."""
    run = run_by_name(sys.argv[1] if len(sys.argv) > 1 else "shipped")
    known = {f"{form}-{kind}" if kind else form: (form, kind) for form, kind in FORMS}
    wanted = {name: known[name] for name in sys.argv[2:]} or known
    source = open_source(run.final_checkpoint(), default_home(), [SHIPPED], progress)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.json"
        file.write_text(json.dumps(questions_to(run)), encoding="utf-8")
        questions = read_questions(file, source.base.tokenizer)
        own = own_answers(source, questions, lambda done: progress(f"own engine, {done}"))
        print(f"| form | {' | '.join(HEADS)} | MB |")
        print(f"|---|{'|'.join('---' for _ in HEADS)}|---|")
        for name, (form, kind) in wanted.items():
            output = Path(folder) / "out" / name
            try:
                done = export(source, form, kind, output, questions, own=own, tell=progress)
                found = done.comparisons
                files = [file for file in done.folder.rglob("*") if file.is_file()]
                size = f"{sum(file.stat().st_size for file in files) / 1e6:.0f}"
            except CheckFailedError as error:
                found, size = (error.found,), "removed"
            for one in found:
                print(f"| {name} | {' | '.join(row(one))} | {size} |", flush=True)
                if one.first_difference:
                    progress(f"{name}: {one.first_difference}")


def progress(what: str) -> None:
    """Tell on standard error, with the time, what is under way."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


if __name__ == "__main__":
    main()
