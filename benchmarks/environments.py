"""Where workers run: ours in this environment, another commit of ours too, the peers in one of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import ROOT, cache

REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
# All contestants get what a user gets who sets nothing.
NOT_PASSED_ON = ("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "DNNL_", "ONEDNN_", "TORCH_", "PYTHONPATH")


@dataclass(frozen=True)
class Threads:
    """What every contestant's OpenMP is told; nothing, where a user would tell it nothing."""

    number: int | None = None
    sleep: bool = False
    """Threads sleep at barriers and do not spin, which on a busy machine costs many times the work."""


@dataclass(frozen=True)
class Environment:
    """An interpreter, and the folders that it imports this package and ours from."""

    python: Path
    folders: tuple[Path, ...]

    def variables(self, threads: Threads) -> dict[str, str]:
        """The environment variables of a worker."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
        kept |= {
            "PYTHONPATH": os.pathsep.join(map(str, self.folders)),
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "TINKER_TELEMETRY": "0",
            "GGML_NO_BACKTRACE": "1",
            "TINKER_LOCAL_HOME": str(cache() / "checkpoints"),
        }
        kept |= {} if threads.number is None else {"OMP_NUM_THREADS": str(threads.number)}
        return kept | ({"OMP_WAIT_POLICY": "PASSIVE"} if threads.sleep else {})


def ours(checkout: Path = ROOT) -> Environment:
    """The interpreter that runs now, with the source of a checkout."""
    return Environment(Path(sys.executable), (checkout / "src", checkout))


def of_commit(commit: str) -> Environment:
    """The same with another commit's source, unpacked into the cache. It has to have this package, too."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", f"{commit}^{{commit}}"]
    name = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    folder = cache() / "commits" / name
    if not folder.exists():
        command = ["git", "-C", str(ROOT), "archive", name, "src", "benchmarks"]
        packed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
    return ours(folder)


def peers() -> Environment:
    """The environment of the peers, made where it is not there, with the versions of its requirements.

    It also sees the packages of this environment, behind its own: so torch, which is large, is the same build
    on both sides. pip installs what is not there in the version that is wanted.
    """
    folder = cache() / "peers"
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"Making the environment of the peers in {folder}.", file=sys.stderr)
        venv.create(folder, with_pip=True)
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        stdout=subprocess.PIPE, check=True, text=True,
    ).stdout.strip()  # fmt: skip
    (Path(own) / "main_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if not _has_all(python):
        install = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", REQUIREMENTS], check=True)
    return Environment(python, (ROOT,))


def _has_all(python: Path) -> bool:
    """Whether every requirement is there in its version, which pip would take seconds to say."""
    pinned = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    script = "import sys; from importlib.metadata import version; "
    script += "sys.exit(any(version(n) != v for n, v in (pin.split('==') for pin in sys.argv[1:])))"
    done = subprocess.run([python, "-c", script, *pinned], stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0
