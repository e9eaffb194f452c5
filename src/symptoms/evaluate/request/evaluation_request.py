"""What to evaluate, on what, and beside what."""

from dataclasses import dataclass
from pathlib import Path

from symptoms.evaluate.measures.abstention import RISK


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, on what, and beside what.

    `also` are further test sets, of which the headline is reported; None for those beside `data`. The
    columns are those of the files told here, None for what the run's own files have. `words` is whether the
    words of the training set may have a vote beside the model, `read_symptoms` whether key symptoms may be
    read from conditions, words and cues in place of what the model writes.
    """

    run_or_path: str
    data: Path
    also: tuple[Path, ...] | None = None
    dev: Path | None = None
    train: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    full: bool = False
    words: bool = True
    read_symptoms: bool = True
    baselines: bool = True
    beside: tuple[str, ...] = ()
    external: tuple[tuple[str, Path], ...] = ()
    allowed_duplicates: tuple[str, ...] = ()
    risk: float = RISK
    seed: int = 0
    service: str | None = None
    base_model: str | None = None
