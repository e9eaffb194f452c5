"""What safetensors files hold by their headers, and whether these are the weights of a configuration.

A header tells names, types and shapes. Weights are read here only where a file stores more than its model
needs, to see that the rest says the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from tinker_local.engine.model.llama import LlamaConfig, rope_frequencies, weight_shapes
from tinker_local.errors import StartupError
from tinker_local.loading.json_file import read_json, shown

READ_TYPES = ("F32", "F16", "BF16")
"""The stored types that are numbers as they are; all others stand for numbers by some rule beside them."""

UNEMBEDDING, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"

_FREQUENCIES = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file. The type is written as in the file's header, such as BF16."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder; raises StartupError where one is missing."""
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    # A whole file wins over shards, as in transformers.
    places = _indexed(index) if index.exists() and not whole.exists() else {"": whole.name}
    missing = sorted(name for name in set(places.values()) if not (folder / name).is_file())
    if missing:
        raise StartupError(
            f"{folder} has no {missing[0]}; point --base-model at a folder that holds weights."
        )
    return [folder / name for name in sorted(set(places.values()))]


def _indexed(index: Path) -> dict[str, str]:
    """The file of each tensor, by the index of a model in several files."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise StartupError(f"{index} has no weight_map; it may be damaged.")
    for file in cast(dict[str, Any], places).values():
        if not isinstance(file, str) or Path(file).name != file:
            raise StartupError(f"{index} names {file!r}, which is no file beside it; it may be damaged.")
    return cast(dict[str, str], places)


def stored_tensors(files: Sequence[Path]) -> dict[str, StoredTensor]:
    """All tensors of these files by name; raises StartupError where one is damaged or the index is wrong."""
    found: dict[str, StoredTensor] = {}
    for file in files:
        try:
            opened: Any = safe_open(file, framework="pt")
            with opened as stored:
                for name in cast(list[str], stored.keys()):
                    if name in found:
                        raise StartupError(
                            f"{found[name].file} and {file.name} both hold {name}; remove the file that is "
                            "stale."
                        )
                    header = stored.get_slice(name)
                    found[name] = StoredTensor(file, header.get_dtype(), tuple(header.get_shape()))
        except (SafetensorError, OSError) as error:
            raise StartupError(f"{file} is damaged ({shown(str(error))}); download it again.") from error
    index = files[0].parent / "model.safetensors.index.json"
    if files[0].name != "model.safetensors":
        for name, file in _indexed(index).items():
            if name not in found or found[name].file.name != file:
                raise StartupError(
                    f"{index} says that {file} holds {name}, which it does not; download both again."
                )
    return found


def check_tensors(stored: Mapping[str, StoredTensor], config: LlamaConfig, folder: Path) -> None:
    """Raise StartupError unless these are the weights of the configuration, stored as plain numbers.

    Besides them there may be what follows from them: the frequencies of the positions, which older versions
    of transformers saved, and the unembedding of a tied model.
    """
    wanted = weight_shapes(config)
    spare: list[str] = []
    for name in sorted(stored.keys() - wanted.keys()):
        if _FREQUENCIES.fullmatch(name):
            _check_frequencies(name, stored[name], config)
        elif name == UNEMBEDDING:
            _check_unembedding(stored)
        else:
            spare.append(name)
    if spare:
        more = f" and {len(spare) - 1} more tensors" if len(spare) > 1 else ""
        raise StartupError(
            f"{folder} stores {shown(spare[0])}{more}, for which a model of its config.json has no use; "
            "choose another model, or save this one without."
        )
    for name, shape in wanted.items():
        if name not in stored:
            raise StartupError(f"The weights in {folder} lack {name}; they do not fit config.json.")
        _check_type(name, stored[name])
        if stored[name].shape != shape:
            raise StartupError(
                f"{name} in {folder} has shape {stored[name].shape} where config.json means {shape}."
            )


def _check_type(name: str, tensor: StoredTensor) -> None:
    if tensor.dtype not in READ_TYPES:
        raise StartupError(
            f"{name} in {tensor.file} is stored as {tensor.dtype}, which is not supported (supported: "
            f"{', '.join(READ_TYPES)}); choose the model before it was quantised or converted."
        )


def _check_frequencies(name: str, tensor: StoredTensor, config: LlamaConfig) -> None:
    _check_type(name, tensor)
    own = rope_frequencies(config)
    with open_tensors(tensor.file) as stored:
        theirs = cast(Tensor, stored.get_tensor(name)).float()
    # As far apart as rounding to bfloat16, or to the small numbers of float16, puts them.
    if theirs.shape != own.shape or not bool(((theirs - own).abs() <= 0.01 * own + 1e-7).all()):
        raise StartupError(
            f"{name} in {tensor.file} is not what config.json means by its rope settings; correct rope_theta "
            "there, or choose another model."
        )


def _check_unembedding(stored: Mapping[str, StoredTensor]) -> None:
    """Raise StartupError unless the unembedding that a tied model stores is its embedding.

    Where it is not, transformers 5 scores with the stored one and transformers 4 with the embedding.
    """
    own, embedding = stored[UNEMBEDDING], stored.get(EMBEDDING)
    _check_type(UNEMBEDDING, own)
    if embedding is None or embedding.dtype not in READ_TYPES:
        return  # told by what is checked next
    same = own.shape == embedding.shape
    if same:
        with open_tensors(own.file) as one, open_tensors(embedding.file) as other:
            first, second = one.get_slice(UNEMBEDDING), other.get_slice(EMBEDDING)
            # Some rows at a time, since the whole can be gigabytes.
            same = all(
                bool((first[at : at + _ROWS_AT_ONCE] == second[at : at + _ROWS_AT_ONCE]).all())
                for at in range(0, own.shape[0], _ROWS_AT_ONCE)
            )
    if not same:
        raise StartupError(
            f"{own.file.parent} ties its unembedding to its embedding (tie_word_embeddings in config.json) "
            f"and stores a {UNEMBEDDING} that differs from it; set tie_word_embeddings to false to use what "
            "is stored, or take that tensor out."
        )


def open_tensors(file: Path) -> Any:
    """The open file as a context manager; its library leaves it untyped."""
    return safe_open(file, framework="pt")
