"""Record what llama.cpp makes of texts, for tests/loading/test_gguf_tokenizer.py to compare without it.

    make record-llama-cpp-tokens

Writes tests/loading/llama_cpp_tokens.json: the small vocabulary of gguf_vocabularies.py, then a line a text
with its ids by the name of the cut, control tokens in it read as such and as plain text, and SmolLM2's.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reference import LlamaCpp

from gguf_vocabularies import (
    ADDED,
    COMMON,
    CUTS,
    MISSING,
    PIECES,
    random_text,
    vocabulary_fields,
    with_cut,
    write_vocabulary,
)
from real_models import SMOLLM2

FIXTURE = Path(__file__).parents[1] / "loading" / "llama_cpp_tokens.json"
TEXTS = [
    "",
    " ",
    "x\n\n5",  # of four tokens where transformers converts the vocabulary itself
    "x\n\n5 6  7   8",
    "12345678 in 2026, 3.14 and 1,000",
    "I can't sleep, I'll be up at 4; it's 'fine', they're SURE I'D SAID 'VE",
    "don\u2019t don`t don''t don't 'sup 'S 's'T",
    "Symptoms: I cry every day \U0001f62d\nAssessment: Primary concern: Depression (major)\n\n",
    "\ttabs\t\tand\n\nlines\r\n\r\n  indented\n   more\n \n",
    "blanks , before . marks ! and do n't I 'm ?",
    "trailing blanks   ",
    "   leading blanks",
    "end of line \n",
    "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|><|endoftext|> <unk><tool> <tool></tool>",
    "<|im_start|<|im_end|>|><|im_<|im_start|>",
    "<|fim_prefix|>a<|message|>b",
    "注意：我睡不着，已经3周了。",  # noqa: RUF001 - the punctuation is meant
    "ฉันเหนื่อยมาก नींद नहीं आती لا أنام não durmo İstanbul",
    "a\u0301e\u0301 ﬁ \u017f x'\u017fa K",
    "½ ² Ⅷ ٣٤٥ 五 \U0001d7d8\U0001d7d9\U0001d7da\U0001d7db",
    "\x00\x01\x1c\x1f\x7f\x85\xa0\u2003\u2028\u200b\ufeff\ufffd",
    "!\x04! !\x13!\U00040000!!",
    "\U00010d401 \U00010d40! \U00013500a \U00013500! \ua7daa \ua7da! \U0001e5ffa \U0001e5ff!",
    "http://example.org/a_b-c?d=1&e=%20#f",
    "def f(x):\n    return x ** 2  # squared\n",
    "no " * 20,
    "aaaaaaaaaaaaaaaaaaaaaaaa!!!!!!!!!!!!!!!!1111111111111111",
]


def main() -> None:
    """Ask llama.cpp for every text, and write the file."""
    if SMOLLM2 is None:
        raise SystemExit("Set SMOLLM2_GGUF to SmolLM2-135M-Instruct.Q4_1.gguf: its tokens are recorded too.")
    source = random.Random(1)
    pieces = [*PIECES, *MISSING, *ADDED, *COMMON * 6]
    texts = TEXTS + [random_text(source, pieces, 12) for _ in range(60)]
    rows: list[dict[str, Any]] = [{"text": text} for text in texts]
    fields = vocabulary_fields()
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    # Most others are parts of characters, and such runs have no text that could be compared.
    whole = [index for index, token in enumerate(tokens) if token.isascii() or token in ADDED]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tiny.gguf"
        for name in CUTS:
            write_vocabulary(file, with_cut(fields, name))
            with LlamaCpp(file) as reference:
                record(reference, name, rows)
        write_vocabulary(file, {**fields, "tokenizer.ggml.pre": CUTS[0]})
        with LlamaCpp(file) as reference:
            runs = [
                [tokens.index(token) for token in ADDED],
                *(source.choices(whole, k=6) for _ in range(40)),
            ]
            decoded = [(ids, reference.decode(ids)) for ids in runs]
    with LlamaCpp(SMOLLM2) as reference:
        record(reference, "smollm2", rows)
    parts = {
        "made by": json.dumps(f"xllamacpp {version('xllamacpp')}"),
        "fields": json.dumps(fields),
        "encoded": lines(rows),
        "decoded": lines(decoded),
    }
    FIXTURE.write_text("{" + ",\n".join(f'"{name}": {part}' for name, part in parts.items()) + "}\n")


def record(reference: LlamaCpp, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add to each text its ids, once with control tokens in it read as such and once without."""
    for row in rows:
        row[name] = [
            reference.encode(row["text"], add_special=True, parse_special=special)
            for special in (True, False)
        ]


def lines(values: Sequence[Any]) -> str:
    """A JSON list with a line for each value."""
    return "[\n" + ",\n".join(json.dumps(value) for value in values) + "\n]"


main()
