"""`python -m benchmarks.ship_classifier RUN`: put an evaluated run among what ships, as the classifier there.

Its adapter goes where `ship_adapter` puts one, and beside it what is known of the run: settings, labels,
calibration, accuracy and the models of words and symptoms. Nothing that tells of the machine goes along.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.ship_adapter import main as ship_adapter
from symptoms.classifier.word_models.symptom_reading import SYMPTOMS_FILE as SYMPTOMS
from symptoms.classifier.word_models.word_vote import WORDS_FILE as WORDS
from symptoms.runs import find_run, run_by_name
from symptoms.shipped import CLASSIFIER, CLASSIFIER_RUN

OF_THE_MACHINE = ("git_revision", "capabilities", "service_url", "started")


def main(name: str) -> None:
    """Write adapter and run over what was there."""
    run = find_run(name)
    old = run.final_checkpoint()
    ship_adapter(name, CLASSIFIER.name, CLASSIFIER.version)
    shutil.rmtree(CLASSIFIER_RUN, ignore_errors=True)
    CLASSIFIER_RUN.mkdir(parents=True)

    def write(file: str, value: Any, **layout: Any) -> None:
        (CLASSIFIER_RUN / file).write_text(json.dumps(value, **layout) + "\n", encoding="utf-8")

    manifest = {key: value for key, value in run.manifest().items() if key not in OF_THE_MACHINE}
    config = run.settings().model_dump()
    for path in ("data", "dev"):
        for told in (manifest, config):
            if told.get(path):
                told[path] = f"data/{Path(told[path]).name}"
    write("manifest.json", manifest | {"service": "local", "service_url": None, "started": ""}, indent=2)
    write("config.json", config, indent=2)
    if members := run.averaged():
        # By their seeds, as their checkpoints are on this machine alone.
        seeds = [{"run": f"seed {run_by_name(one.run).settings().seed}", "checkpoint": ""} for one in members]
        write("average.json", {"members": seeds, "differing": ["seed"]}, indent=1)
    last = next(line for line in reversed(run.checkpoints()) if line["path"] == old)
    write("checkpoints.jsonl", last | {"path": CLASSIFIER.checkpoint})
    for file in ("calibration.json", "accuracy.json"):
        told = json.loads((run.path / file).read_text(encoding="utf-8"))
        told["checkpoint"] = CLASSIFIER.checkpoint
        for path in ("data", "fitted_on"):
            if path in told:
                told[path] = f"data/{Path(told[path]).name}"
        for further in told.get("further", []):
            further["data"] = f"data/{Path(further['data']).name}"
        write(file, told, indent=1)
    for file in (WORDS, SYMPTOMS):
        if (run.path / file).exists():
            shutil.copy(run.path / file, CLASSIFIER_RUN / file)
    size = sum(file.stat().st_size for file in CLASSIFIER_RUN.iterdir())
    print(f"{CLASSIFIER_RUN}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
