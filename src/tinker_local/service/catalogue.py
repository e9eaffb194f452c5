"""What there is: runs and checkpoints as the REST routes list them.

A run is known as long as it is in memory or has a checkpoint on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tinker_local.errors import NotFoundError
from tinker_local.service.checkpoints import CheckpointInfo, CheckpointStore, parse_path
from tinker_local.service.training_runs import Run, Runs
from tinker_local.wire import answers

Entry = TypeVar("Entry")
KINDS = {"weights": "training", "sampler_weights": "sampler", "external_weights": "external"}


class Catalogue:
    """Listings over the store and the runs in memory, newest first."""

    def __init__(self, store: CheckpointStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    def checkpoints(self) -> list[answers.Checkpoint]:
        """Checkpoints of all runs."""
        return self._newest_first(self._store.list())

    def checkpoints_of(self, run_id: str) -> list[answers.Checkpoint]:
        """Checkpoints of one run; raises NotFoundError where there is none."""
        infos = list(self._store.list(run_id))
        if not infos and self._runs.get(run_id) is None:
            raise _no_run(run_id)
        return self._newest_first(infos)

    def training_runs(self) -> list[answers.TrainingRun]:
        """All runs, the one used last first."""
        infos_of: dict[str, list[CheckpointInfo]] = {run.run_id: [] for run in self._runs.all()}
        for info in self._store.list():
            infos_of.setdefault(parse_path(info.path).run, []).append(info)
        runs = [self._training_run(key, self._runs.get(key), infos) for key, infos in infos_of.items()]
        return sorted(runs, key=lambda run: run.last_request_time, reverse=True)

    def training_run(self, run_id: str) -> answers.TrainingRun:
        """One run; raises NotFoundError where there is none."""
        run, infos = self._runs.get(run_id), list(self._store.list(run_id))
        if run is None and not infos:
            raise _no_run(run_id)
        return self._training_run(run_id, run, infos)

    def weights_info(self, text: str) -> answers.WeightsInfo:
        """What a checkpoint's adapter needs; raises NotFoundError where there is none."""
        info = self._store.info(parse_path(text))
        return answers.WeightsInfo(
            base_model=info.base_model,
            lora_rank=info.rank,
            train_unembed=info.train_unembed,
            train_mlp=info.train_mlp,
            train_attn=info.train_attn,
        )

    def _newest_first(self, infos: Iterable[CheckpointInfo]) -> list[answers.Checkpoint]:
        return [self._checkpoint(info) for info in sorted(infos, key=lambda one: one.created, reverse=True)]

    def _checkpoint(self, info: CheckpointInfo) -> answers.Checkpoint:
        path = parse_path(info.path)
        return answers.Checkpoint(
            checkpoint_id=f"{path.kind}/{path.name}",
            checkpoint_type=KINDS[path.kind],
            time=info.created,
            tinker_path=info.path,
            size_bytes=self._store.size(path),
            user_metadata=info.user_metadata,
            expires_at=info.expires,
        )

    def _training_run(
        self, run_id: str, run: Run | None, infos: Sequence[CheckpointInfo]
    ) -> answers.TrainingRun:
        by_age = sorted(infos, key=lambda info: info.created)
        newest = {parse_path(info.path).kind: info for info in by_age}
        last = {kind: self._checkpoint(info) for kind, info in newest.items()}
        if run is not None:
            base_model, rank = run.base.name, run.lora.rank
            used, metadata = run.last_request, run.user_metadata
        else:
            base_model, rank = infos[0].base_model, infos[0].rank
            used, metadata = by_age[-1].created, None
        return answers.TrainingRun(
            training_run_id=run_id,
            base_model=base_model,
            lora_rank=rank,
            last_request_time=used,
            last_checkpoint=last.get("weights"),
            last_sampler_checkpoint=last.get("sampler_weights"),
            user_metadata=metadata,
        )


def _no_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"There is no training run {run_id!r} on this server.")


def page(entries: Sequence[Entry], offset: int, limit: int) -> tuple[list[Entry], answers.Cursor]:
    """A page of a listing and where it stands."""
    cursor = answers.Cursor(offset=offset, limit=limit, total_count=len(entries))
    return list(entries[offset : offset + limit]), cursor
