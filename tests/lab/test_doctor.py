"""`symptoms doctor` tells what is there and what is broken."""

from __future__ import annotations

import subprocess
from pathlib import Path

from base_models import BUNDLED_BASE, DEFAULT_BASE, known_models
from command_in_process import in_process
from symptoms import __version__


def doctor(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    own = {"TINKER_LOCAL_MODELS": str(folder / "models")}
    return in_process(folder, "doctor", *arguments, settings={**own, **settings})


def test_a_machine_that_has_all_is_fine(tmp_path: Path):
    """Versions, the base model's digest, folders and the local server; a run is not there yet."""
    done = doctor(tmp_path, SYMPTOMS_BASE_MODEL=BUNDLED_BASE)
    assert done.returncode == 0, done.stdout
    states = {line[7:21].strip(): line.split()[0] for line in done.stdout.splitlines()}
    assert states.pop("newest run") == "note"
    assert states.pop("answers by") == "note"
    assert set(states) == {
        "python", "symptoms", "tinker SDK", "torch", "API key", "default base", "base model", "checkpoints",
        "runs", "service",
    }  # fmt: skip
    assert set(states.values()) == {"ok"}
    assert __version__ in done.stdout
    assert "symptoms-base" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_default_base_that_was_not_got_is_a_note(tmp_path: Path):
    """In both places where it matters, with the command that gets it; nothing is broken."""
    done = doctor(tmp_path, "--service", "local", SYMPTOMS_BASE_MODEL="")
    assert done.returncode == 0, done.stdout
    told = {line[7:21].strip(): line for line in done.stdout.splitlines()}
    assert "smollm2-135m" in told["answers by"]
    for what in ("default base", "service"):
        assert told[what].startswith("note")
        assert told[what].endswith("'symptoms models get smollm2-135m' gets it (93 MB).")
    assert "The local server was not tried" in told["service"]


def test_a_default_base_that_has_changed_is_broken(tmp_path: Path):
    """A file of another size, and one of another digest; both are got again by the same command."""
    known = known_models()[DEFAULT_BASE].package
    assert known is not None
    file = tmp_path / "models" / "got" / DEFAULT_BASE / known.file_name
    file.parent.mkdir(parents=True)
    for size in (1, known.file_bytes):
        with file.open("wb") as written:
            # Without blocks on the disk, which would take a while.
            written.truncate(size)
        done = doctor(tmp_path, "--service", "http://127.0.0.1:9", SYMPTOMS_BASE_MODEL="")
        (line,) = [line for line in done.stdout.splitlines() if line[7:21].strip() == "default base"]
        assert line.startswith("broken")
        assert line.endswith(f"'symptoms models get {DEFAULT_BASE}' gets it again.")


def test_what_is_broken_is_told_with_the_next_step(tmp_path: Path):
    """A server that does not answer, a folder that cannot be written and a run that cannot be read."""
    (tmp_path / "runs" / "bad").mkdir(parents=True)
    (tmp_path / "runs" / "bad" / "manifest.json").write_text('{"labels": {"a": "A"}}')
    (tmp_path / "runs" / "bad" / "checkpoints.jsonl").write_text(
        '{"path": "tinker://a", "step": 1, "kind": "sampler"}\n'
    )
    (tmp_path / "runs" / "bad" / "summary.json").write_text("{}")
    (tmp_path / "runs" / "bad" / "calibration.json").write_text("{}")
    key = "tml-secret-value"
    settings = {"TINKER_API_KEY": key, "TINKER_LOCAL_HOME": "/proc/nowhere"}
    done = doctor(tmp_path, "--service", "http://127.0.0.1:9", **settings)
    assert done.returncode == 1
    broken = [line for line in done.stdout.splitlines() if line.startswith("broken")]
    assert len(broken) == 3
    assert "set TINKER_LOCAL_HOME to another folder." in broken[0]
    assert "write it anew with 'symptoms evaluate bad'." in broken[1]
    assert "check the address and the network." in broken[2]
    assert "set in environment" in done.stdout
    assert key not in done.stdout + done.stderr
