"""Training runs: models being trained, and the requests that change them, in order.

A request comes parsed from `server.app`, becomes `Work` and goes through `service.ordering` to
`engine.worker`, which runs it on `engine.train.trainer`; its result goes to its future in `service.futures`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import randbits
from typing import Any

from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.optimizers import OPTIMIZERS, AdamSettings, DimuonSettings
from tinker_local.engine.train.trainer import TrainingModel
from tinker_local.engine.worker import Work, Worker
from tinker_local.errors import NotFoundError, RequestError
from tinker_local.loading import BaseModel
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore, check_name, parse_path
from tinker_local.service.custom_losses import CustomLosses
from tinker_local.service.futures import PROTOBUF, Future, Futures, Payload
from tinker_local.service.ordering import InOrder
from tinker_local.service.samplers import Samplers
from tinker_local.service.served_models import find_base
from tinker_local.service.sessions import Sessions
from tinker_local.wire import answers, requests
from tinker_local.wire import tinker_public_pb2 as proto
from tinker_local.wire.forward_backward import decode_forward_backward, encode_forward_backward


@dataclass
class Run:
    """One training run. `model` is set by its first piece of work, on the engine's thread.

    `chosen_optimizer` is None where it is that of the state from which the run is made.
    """

    run_id: str
    session_id: str
    base: BaseModel
    lora: LoraConfig
    order: InOrder
    chosen_optimizer: str | None = "adamw"
    model: TrainingModel | None = None
    last_request: datetime = field(default_factory=lambda: datetime.now(UTC))
    user_metadata: dict[str, str] | None = None

    @property
    def optimizer(self) -> dict[str, str | int]:
        """Its `optimizer_config`."""
        name = self.chosen_optimizer if self.model is None else self.model.optimizer
        return {"type": "dimuon", "version": 1} if name == "dimuon" else {"type": "adamw"}

    def trained(self) -> TrainingModel:
        """The model that trains; raises RequestError where it could not be created."""
        if self.model is None:
            raise RequestError(
                f"The run {self.run_id} could not be created; see the error of its first request."
            )
        return self.model


@dataclass(eq=False)
class Runs:
    """All training runs of the server."""

    _models: Mapping[str, BaseModel]
    _store: CheckpointStore
    _worker: Worker
    _futures: Futures
    _samplers: Samplers
    _sessions: Sessions
    _custom_losses: CustomLosses
    _loop: asyncio.AbstractEventLoop
    _runs: dict[str, Run] = field(default_factory=dict[str, Run])

    def create(self, request: requests.CreateModel) -> Future:
        """A new run with a fresh adapter."""
        optimizer = _checked_optimizer(request.optimizer_config)
        base = find_base(self._models, request.base_model)
        wanted = request.lora_config or requests.LoraSettings(rank=32)
        lora = LoraConfig(wanted.rank, wanted.train_attn, wanted.train_mlp, wanted.train_unembed)
        seed = randbits(63) if wanted.seed is None else wanted.seed % 2**63
        run = self._add(request.session_id, request.model_seq_id, base, lora, optimizer)
        run.user_metadata = _texts(request.user_metadata)

        def compute() -> answers.ModelCreated:
            model = base.model
            # A creation that is repeated after its result was forgotten must not undo the training.
            if run.model is None:
                adapter = Adapter.initial(model.config, lora, seed, model.device)
                run.model = TrainingModel(model, adapter, trained_on=base.training_model, optimizer=optimizer)
            return answers.ModelCreated(model_id=run.run_id)

        return self._submit(run, None, compute)

    def info(self, model_id: str) -> answers.Info:
        """The answer to POST get_info; raises NotFoundError where there is no such run."""
        run = self.find(model_id)
        return answers.Info(
            model_id=run.run_id,
            model_data=answers.ModelData(
                arch=run.base.architecture, model_name=run.base.name, tokenizer_id=run.base.tokenizer_source
            ),
            model_name=run.base.name,
            lora_rank=run.lora.rank,
            optimizer_config=run.optimizer,
        )

    def forward_backward(self, message: proto.ForwardBackwardRequest) -> Future:
        """Log-probabilities and, unless only the forward pass is asked for, gradients added to the run's."""
        run = self.find(message.model_id)

        def compute() -> Payload:
            request = decode_forward_backward(message)
            model, forward_only = run.trained(), request.forward_only
            if request.loss_fn == "custom":
                loss = self._custom_losses.find(run.session_id, request.loss_config.get("loss_id"))
                outputs, metrics = model.forward_backward_custom(request.datums, loss, forward_only)
            else:
                outputs, metrics = model.forward_backward(
                    request.datums, request.loss_fn, forward_only, request.loss_config
                )
            return Payload(encode_forward_backward(outputs, metrics), PROTOBUF)

        return self._submit(run, message.seq_id, compute, message.ByteSize(), adds_up=True)

    def optim_step(self, request: requests.OptimStep) -> Future:
        """One step, which clears the gradients; raises RequestError where its numbers are missing."""
        run = self.find(request.model_id)
        adam, dimuon = request.adam_params, request.optimizer_params
        if adam is not None:
            settings = AdamSettings(**adam.model_dump())
        elif dimuon is not None:
            settings = DimuonSettings(dimuon.learning_rate, dimuon.beta1, dimuon.grad_clip_norm)
        else:
            raise RequestError("The step has no numbers; pass AdamParams or DimuonParams to optim_step.")
        return self._submit(
            run, request.seq_id, lambda: answers.StepTaken(metrics=run.trained().optim_step(settings))
        )

    def save_weights(self, request: requests.SaveWeights) -> Future:
        """Adapter and optimizer state to disk."""
        run = self.find(request.model_id)
        name = request.path or f"step-{request.seq_id}"
        check_name(name)
        path = CheckpointPath(run.run_id, "weights", name)

        def compute() -> answers.WeightsSaved:
            model = run.trained()
            told = (request.overwrite, expiry(request.ttl_seconds), request.user_metadata)
            self._store.save(path, run.base.name, model.adapter, model.optimizer_state(), *told)
            return answers.WeightsSaved(path=str(path))

        return self._submit(run, request.seq_id, compute)

    def save_weights_for_sampler(self, request: requests.SaveWeightsForSampler) -> Future:
        """A named checkpoint to sample from, or an unnamed snapshot in memory for one sampling session."""
        run = self.find(request.model_id)
        if request.kind != "snapshot":
            raise RequestError(
                f"Sampling clients of kind {request.kind!r} are not offered here; use 'snapshot'."
            )
        if request.path is not None:
            check_name(request.path)

        def compute() -> answers.SamplerWeightsSaved:
            model = run.trained()
            if request.path is None:
                number = request.sampling_session_seq_id
                # Without a number, the request's own place: no client counts so, and none is given twice.
                name = f"{run.run_id.rpartition(':')[2]}-{request.seq_id}" if number is None else number
                sampler = self._samplers.add(run.session_id, name, run.base, model.adapter.snapshot())
                return answers.SamplerWeightsSaved(sampling_session_id=sampler.sampler_id)
            path = CheckpointPath(run.run_id, "sampler_weights", request.path)
            ends, told = expiry(request.ttl_seconds), request.user_metadata
            self._store.save(path, run.base.name, model.adapter, expires=ends, user_metadata=told)
            return answers.SamplerWeightsSaved(path=str(path))

        return self._submit(run, request.seq_id, compute)

    def save_weights_external(self, request: requests.SaveWeightsExternal) -> Future:
        """A checkpoint to download, in PEFT's layout, and a copy in the folder of exports.

        What has an end of its own is not copied: it was saved for a download, as the tinker command does.
        """
        run = self.find(request.model_id)
        if request.age_encryption_recipients:
            raise RequestError("Exports are not encrypted here; leave age_encryption_recipients out.")
        check_name(request.path)
        path = CheckpointPath(run.run_id, "external_weights", request.path)

        def compute() -> answers.ExternalWeightsSaved:
            if request.ttl_seconds is None:
                self._store.check_export(request.path)
            ends = expiry(request.ttl_seconds)
            self._store.save(path, run.base.name, run.trained().adapter, expires=ends)
            if request.ttl_seconds is None:
                self._store.export(path)
            return answers.ExternalWeightsSaved(path=str(path), size_bytes=self._store.size(path))

        return self._submit(run, request.seq_id, compute)

    def load_weights(self, request: requests.LoadWeights) -> Future:
        """A checkpoint onto an existing run, or as the beginning of a new one."""
        path = parse_path(request.path)
        optimizer = _checked_optimizer(request.optimizer_config)
        if request.model_id is not None:
            run, seq_id = self.find(request.model_id), request.seq_id or 0
        elif request.session_id is not None and request.model_seq_id is not None:
            info = self._store.info(path)
            base = find_base(self._models, request.base_model or info.base_model)
            # That of the state is known once the state is read.
            chosen = None if request.optimizer else optimizer
            run = self._add(request.session_id, request.model_seq_id, base, info.lora, chosen)
            seq_id = None
            run.user_metadata = _texts(request.user_metadata)
        else:
            raise RequestError("A load needs either model_id and seq_id, or session_id and model_seq_id.")

        def compute() -> answers.WeightsLoaded:
            # Looked for only now, when what was asked before has been done: it may have saved this.
            info, adapter = self._store.load(path, run.base.model.config)
            if info.lora != run.lora:
                raise RequestError(
                    f"{path} has another rank or other layers than this run; create a run from it."
                )
            state = self._store.load_optimizer(path) if request.optimizer else None
            moved = adapter.to(run.base.model.device)
            if run.model is None:
                run.model = TrainingModel(
                    run.base.model, moved, state, run.base.training_model, run.chosen_optimizer
                )
            # A creation that is repeated after its result was forgotten must not undo the training.
            elif seq_id is not None:
                run.model.load(moved, state)
            return answers.WeightsLoaded(path=str(path), model_id=run.run_id)

        return self._submit(run, seq_id, compute)

    def all(self) -> list[Run]:
        """The runs in memory, the oldest first; those of sessions that are over are not among them."""
        return list(self._runs.values())

    def get(self, model_id: str) -> Run | None:
        """None where the run is not in memory, whether or not it left checkpoints."""
        return self._runs.get(model_id)

    def find(self, model_id: str) -> Run:
        """As `get`, but raises NotFoundError where the run is not in memory."""
        run = self.get(model_id)
        if run is None:
            raise NotFoundError(
                f"There is no training run {model_id!r} on this server; it may have restarted; create one."
            )
        return run

    def end_session(self, session_id: str) -> None:
        """Release the runs of a finished session; their checkpoints stay."""
        for run in [run for run in self._runs.values() if run.session_id == session_id]:
            del self._runs[run.run_id]
            run.order.close()

    def refuse(self, numbered: requests.Numbered, error: RequestError) -> Future:
        """Let a request fail in its turn, since those after it wait for its number.

        Raises RequestError where there is no such run, or its number was taken.
        """

        def fail() -> answers.Answer:
            raise error

        return self._submit(self.find(numbered.model_id), numbered.seq_id, fail, adds_up=True)

    def _add(
        self, session_id: str, model_seq_id: int, base: BaseModel, lora: LoraConfig, optimizer: str | None
    ) -> Run:
        self._sessions.require(session_id)
        # The SDK derives the same name for models that it creates from a checkpoint.
        run_id = f"{session_id}:train:{model_seq_id}"
        order = InOrder(self._loop, self._worker.submit)
        return self._runs.setdefault(run_id, Run(run_id, session_id, base, lora, order, optimizer))

    def _submit(
        self,
        run: Run,
        seq_id: int | None,
        compute: Callable[[], Payload | answers.Answer],
        num_bytes: int = 0,
        adds_up: bool = False,
    ) -> Future:
        """Queue work on the run's lane when its turn comes, unless this very request was queued before.

        Without a number, which what creates the run has not, its turn is now.
        """
        self._sessions.heard(run.session_id)
        request_id = f"{run.run_id}/{'create' if seq_id is None else seq_id}"
        known = self._futures.find(request_id)
        if known is not None:
            return known
        if seq_id is not None:
            run.order.check(seq_id, adds_up)
        # What held work waits for is always taken, since the room that the held work fills depends on it.
        if seq_id is None or not run.order.awaits(seq_id):
            held = sum(other.order.held_bytes for other in self._runs.values())
            self._worker.require_room(num_bytes, held)
        run.last_request = datetime.now(UTC)
        future = self._futures.create(request_id)

        def run_it() -> Payload | answers.Answer:
            if not self._futures.begin(future):
                # Cancelled after it was taken from the queue; its client has been told already.
                raise RequestError("The request was cancelled by its client.")
            return compute()

        def finish(outcome: Payload | answers.Answer) -> None:
            if isinstance(outcome, Payload):
                self._futures.complete(future, outcome)
            else:
                self._futures.complete_with(future, outcome)

        work = Work(
            lane=run.run_id,
            run=run_it,
            finish=finish,
            fail=lambda error: self._futures.fail(future, error),
            num_bytes=num_bytes,
            is_wanted=lambda: not future.cancelled,
        )
        if seq_id is not None:
            run.order.add(seq_id, work, adds_up)
        else:
            self._worker.submit(work)
        return future


def _checked_optimizer(config: requests.OptimizerConfig | None) -> str:
    if config is None:
        return "adamw"
    if config.type not in OPTIMIZERS or config.version != 1:
        raise RequestError(
            f"The optimizer {config.type!r} of version {config.version} is not offered here; use one of: "
            f"{', '.join(OPTIMIZERS)}, of version 1."
        )
    return config.type


def _texts(metadata: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if metadata is None else {key: str(value) for key, value in metadata.items()}


def expiry(ttl_seconds: int | None) -> datetime | None:
    """The moment that lies this many seconds ahead."""
    return None if ttl_seconds is None else datetime.now(UTC) + timedelta(seconds=ttl_seconds)
