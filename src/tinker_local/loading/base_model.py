"""A base model by its name or path: weights, tokenizer, and what clients call it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import psutil
import torch
from tokenizers import Tokenizer
from torch import Tensor

from base_models import BaseModelError, ResolvedModel, resolve
from tinker_local.engine.kernels.matmul import cpu_flags
from tinker_local.engine.kernels.native.library import takes_bfloat16
from tinker_local.engine.model.llama import Llama, weight_shapes
from tinker_local.engine.model.packing import EMBEDDING, laid_out_copy
from tinker_local.errors import StartupError
from tinker_local.loading.config.architectures import find_architecture
from tinker_local.loading.config.config_json import end_tokens, read_config
from tinker_local.loading.conversion_cache import converted
from tinker_local.loading.gguf.paths import find_gguf, part_paths
from tinker_local.loading.json_file import read_json
from tinker_local.loading.other_layouts import refuse_other_layouts
from tinker_local.loading.safetensors_headers import check_tensors, stored_tensors, weight_files
from tinker_local.loading.safetensors_weights import map_weights, read_weights
from tinker_local.loading.tokenizer_file import read_tokenizer

STORED_TYPES = {"F32": torch.float32, "BF16": torch.bfloat16}
"""Types that a file's tensors may be computed in as they lie."""
COMPUTES_IN_BFLOAT16_FROM = 500_000_000
"""From this many parameters on, bfloat16 is worth its rounding, where the processor is fast at it."""
TRAINS_IN_BFLOAT16_FROM = 100_000_000
"""The same for training alone, which takes far longer and whose steps are noisy in any case."""
COPIED_TO_TRAIN_UP_TO = 100_000_000
"""Up to this many parameters training has a copy of its own, in which layers of one input are joined."""
MOST_OF_MEMORY = 1 / 4
"""Of what the machine has, that a copy of a larger model may take which the kernels read faster."""


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model with the name clients use and the files its tokenizer lies in."""

    name: str
    folder: Path
    """In Hugging Face's layout; what a GGUF file was converted to."""
    paths: frozenset[Path]
    """Every path, resolved, by which the model may be meant: that folder, and a GGUF file and its parts."""
    architecture: str
    model: Llama
    tokenizer: Tokenizer
    end_tokens: frozenset[int]
    training_dtype: torch.dtype
    """The type in which training computes; `model` may be finer, for what it writes and scores."""

    reread: Callable[[], Mapping[str, Tensor]] | None
    """Maps the weights anew, with none of them in memory yet; None where they are not memory-mapped."""

    def training_model(self) -> Llama:
        """The model that adapters are trained on, shared by all runs; made when it is first asked for."""
        return self._copy if self._trains_on_a_copy else self.model

    def sampling_model(self) -> Llama:
        """The model that is sampled from: that of training, where this computes in bfloat16, too."""
        if not self._is_the_kernels_type:
            return self.model
        copy = self.training_model()
        return copy if copy.laid_out else self.model

    @property
    def _is_the_kernels_type(self) -> bool:
        return takes_bfloat16(self.model.weights[EMBEDDING])

    @cached_property
    def _trains_on_a_copy(self) -> bool:
        if self.training_dtype != self.model.dtype or self.model.num_parameters <= COPIED_TO_TRAIN_UP_TO:
            return True
        if not self._is_the_kernels_type:
            return False
        memory = psutil.virtual_memory()
        # By what the machine has, so that one seed gives the same figures whatever else runs, if it can be.
        return self.model.num_bytes <= min(MOST_OF_MEMORY * memory.total, memory.available / 2)

    @cached_property
    def _copy(self) -> Llama:
        self._forget_what_was_read()
        copy = laid_out_copy(self.model, self.training_dtype, self._forget_what_was_read)
        self._forget_what_was_read()
        return copy

    def _forget_what_was_read(self) -> None:
        """What was read to check the weights, or to copy them, would else stay in memory beside the copy."""
        if self.reread is not None:
            self.model.weights = self.reread()

    @property
    def model_type(self) -> str:
        """The architecture's name as a config.json's `model_type` has it, such as `llama`."""
        return self.architecture.removesuffix("ForCausalLM").lower()

    @property
    def tokenizer_source(self) -> str:
        """The folder from which the SDK can load the tokenizer, in a form that it does not misread.

        The SDK takes a name with exactly two slashes for `org/model/variant` and drops the last part,
        so a path such as /models/tiny gets one more slash. The hub's name would not do: the SDK looks
        for some models' tokenizers under another one, and the hub may be out of reach.
        """
        path = str(self.folder)
        return f"{path}/" if path.count("/") == 2 else path


def load_base_model(
    name: str, dtype: str, device: torch.device, tell: Callable[[str], None] = lambda _: None
) -> BaseModel:
    """Load weights and tokenizer; raises StartupError where they are missing, wrong or too large.

    `tell` is given a line where a GGUF file has to be converted first.
    """

    def chosen_dtype(num_parameters: int) -> torch.dtype:
        chosen = choose_dtype(dtype, num_parameters, device)
        _check_memory(num_parameters * chosen.itemsize, device)
        return chosen

    resolved = _find(name)
    found = resolved.path
    gguf = find_gguf(found)
    folder = found if gguf is None else converted(gguf, chosen_dtype, tell, resolved.check_digest)
    sources = () if gguf is None else part_paths(gguf)
    refuse_other_layouts(folder)
    settings = read_json(folder / "config.json")
    config = read_config(settings, folder)
    stored = stored_tensors(weight_files(folder))
    num_parameters = sum(math.prod(shape) for shape in weight_shapes(config).values())
    # What `Llama` makes of its positions: angles, cosines and sines.
    _check_memory(3 * config.max_position_embeddings * config.head_dim * torch.float32.itemsize, device)
    chosen = chosen_dtype(num_parameters)
    check_tensors(stored, config, folder)
    # What is quickly told comes before the weights, which can take minutes.
    tokenizer = read_tokenizer(folder, config.vocab_size)
    ends = end_tokens(folder, settings, config.vocab_size)
    weights = read_weights(stored, config, chosen, device)
    # Only there is nothing converted and nothing copied to a device.
    stored_types = {STORED_TYPES.get(stored[each].dtype) for each in weights}
    stays_mapped = device.type == "cpu" and stored_types == {chosen}
    return BaseModel(
        name=name,
        folder=folder.resolve(),
        paths=frozenset(path.resolve() for path in (found, folder, *sources)),
        architecture=find_architecture(settings, folder).name,
        model=Llama(config, weights),
        reread=partial(map_weights, stored, config) if stays_mapped else None,
        tokenizer=tokenizer,
        end_tokens=ends,
        training_dtype=choose_training_dtype(dtype, chosen, num_parameters, device),
    )


def _find(name: str) -> ResolvedModel:
    try:
        return resolve(name)
    except BaseModelError as error:
        raise StartupError(str(error)) from error


def choose_dtype(wanted: str, num_parameters: int, device: torch.device) -> torch.dtype:
    """The type to compute in: as told, or by the model's size and what the machine is fast at."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16
    # A small model's steps are dominated by overhead, so it may as well have float32's accuracy.
    return (
        torch.bfloat16
        if _fast_at_bfloat16() and num_parameters >= COMPUTES_IN_BFLOAT16_FROM
        else torch.float32
    )


def choose_training_dtype(
    wanted: str, computing: torch.dtype, num_parameters: int, device: torch.device
) -> torch.dtype:
    """The type to train in: as told, or bfloat16 from a smaller size on than for all else."""
    if wanted != "auto" or device.type == "cuda":
        return computing
    return torch.bfloat16 if _fast_at_bfloat16() and num_parameters >= TRAINS_IN_BFLOAT16_FROM else computing


def _fast_at_bfloat16() -> bool:
    return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())


def _check_memory(needed: int, device: torch.device) -> None:
    available = (
        torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    )
    if needed > available:
        raise StartupError(
            f"The model takes {needed / 2**30:.1f} GiB and {available / 2**30:.1f} GiB of memory are free; "
            "choose a smaller base model."
        )
