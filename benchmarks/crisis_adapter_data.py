"""`python -m benchmarks.crisis_adapter_data FOLDER`: what the crisis screen's adapter is trained on.

Writes train.jsonl, dev.jsonl and taxonomy.json: the texts of data/crisis that are for fitting, ordinary
sentences and descriptions of the training set with them, and the held-out ones beside. docs/safety.md has the
command that trains. Of `hands.jsonl` the first eleven hands are learned from: with five more it was no better
(docs/log.md), so that those measure what it makes of other hands' texts.
"""

from __future__ import annotations

import json
import lzma
import random
import sys
from pathlib import Path

from symptoms.safety.rules_layer import shipped_rules

DATA = Path(__file__).parents[1] / "data"
FILES = ("english", "english-pairs", "english-in-descriptions", "other-languages", "written", "hands")
HANDS, FIRST_HAND_LEFT_OUT = "hands-", "hands-l"
NUM_ORDINARY, NUM_DESCRIPTIONS = 300, 450
DANGER, SAFE = "danger", "safe"
TAXONOMY = [{"id": DANGER, "name": "Danger now"}, {"id": SAFE, "name": "No danger now"}]


def main(folder: Path) -> None:
    """Write the files into a folder that is made where there is none."""
    texts = [json.loads(line) for name in FILES for line in _lines(DATA / "crisis" / f"{name}.jsonl")]
    texts = [text for text in texts if text["id"] < FIRST_HAND_LEFT_OUT or not text["id"].startswith(HANDS)]
    fitting = [_row(text["input"], text["crisis"]) for text in texts if text["split"] == "fit"]
    held_out = [_row(text["input"], text["crisis"]) for text in texts if text["split"] == "held-out"]
    chosen = random.Random(0)
    ordinary = lzma.decompress((DATA / "crisis" / "ordinary.jsonl.xz").read_bytes()).decode().splitlines()
    fitting += [
        _row(json.loads(line).get("text") or json.loads(line)["input"], False)
        for line in chosen.sample(ordinary, NUM_ORDINARY)
    ]
    described = [json.loads(line)["input"] for line in _lines(DATA / "train.jsonl")]
    without_danger = [text for text in described if shipped_rules().screen(text) is None]
    fitting += [_row(text, False) for text in chosen.sample(without_danger, NUM_DESCRIPTIONS)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", fitting), ("dev", held_out)):
        # The same words with the same label twice would be refused, and once is enough.
        once = list({row["input"]: row for row in rows}.values())
        written = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in once)
        (folder / f"{name}.jsonl").write_text(written, encoding="utf-8")
        print(f"{name}: {len(once)} texts, {sum(row['condition'] == DANGER for row in once)} of danger")
    (folder / "taxonomy.json").write_text(json.dumps(TAXONOMY, indent=1) + "\n", encoding="utf-8")


def _row(text: str, crisis: bool) -> dict[str, object]:
    # Only the line of the concern is asked for; what follows it is the same for all and costs little.
    condition = DANGER if crisis else SAFE
    return {"input": text, "condition": condition, "symptoms": [], "recommendation": "See the notice."}


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
