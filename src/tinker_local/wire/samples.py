"""The tensor of a sampling request, and the protobuf body of what was sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinker_local.domain.generation import PromptScores, SampledSequence, TokenLogprobs
from tinker_local.errors import RequestError
from tinker_local.wire import sparse
from tinker_local.wire import tinker_public_pb2 as proto
from tinker_local.wire.requests import TensorData

Array = npt.NDArray[Any]

MAX_SPARSE_WIDTH = 1024
"""Most columns that a sparse tensor of named tokens may have."""


def named_tokens(tensor: TensorData, prompt_length: int) -> Array:
    """Dense int64 [prompt_length - 1, k] of a request's target_prompt_logprobs, -1 where nothing is asked.

    Raises RequestError where its numbers do not fit together.
    """
    fault = RequestError(
        f"target_prompt_logprobs must be int64 of shape [{prompt_length - 1}, k]; make it so."
    )
    shape = tensor.shape
    if tensor.dtype != "int64" or shape is None or len(shape) != 2 or shape[0] != prompt_length - 1:
        raise fault
    if shape[1] < 1:
        raise fault
    try:
        values, rows, columns = (
            np.asarray(numbers or [], dtype=np.int64)
            for numbers in (tensor.data, tensor.sparse_crow_indices, tensor.sparse_col_indices)
        )
    except OverflowError as error:
        raise fault from error
    if tensor.sparse_crow_indices is None or tensor.sparse_col_indices is None:
        if len(values) != shape[0] * shape[1]:
            raise fault
        return values.reshape(shape)
    # A few listed cells must not unfold to gigabytes.
    if shape[1] > MAX_SPARSE_WIDTH or not sparse.fits(values, rows, columns, tuple(shape)):
        raise fault
    dense = np.full(shape, -1, dtype=np.int64)
    dense[sparse.cells(rows, columns)] = values
    return dense


def encode_sample(
    sequences: Sequence[SampledSequence], prompt: PromptScores, asked: TensorData | None
) -> bytes:
    """A SampleResponse body; scores of named tokens take the layout in which they were `asked`."""
    message = proto.SampleResponse()
    for sequence in sequences:
        added = message.sequences.add(
            stop_reason=proto.STOP_REASON_STOP if sequence.stopped else proto.STOP_REASON_LENGTH,
            tokens=np.asarray(sequence.tokens, dtype=np.int32).tobytes(),
            logprobs=np.asarray(sequence.logprobs, dtype=np.float32).tobytes(),
        )
        if sequence.top is not None:
            _fill_top(added.topk_sampled_logprobs, sequence.top)
    if prompt.logprobs is not None:
        message.prompt_logprobs = np.asarray(prompt.logprobs, dtype=np.float32).tobytes()
    if prompt.top is not None:
        _fill_top(message.topk_prompt_logprobs, prompt.top)
    if prompt.named is not None and asked is not None:
        _fill_named(message.target_prompt_logprobs, prompt.named, asked)
    if prompt.sampled is not None:
        _fill_dense(message.prompt_alt_tokens.tokens, prompt.sampled.token_ids, proto.DTYPE_INT32)
        _fill_dense(message.prompt_alt_tokens.logprobs, prompt.sampled.logprobs, proto.DTYPE_FLOAT32)
    return message.SerializeToString()


def _fill_top(message: proto.TopkLogprobs, top: TokenLogprobs) -> None:
    message.token_ids = np.asarray(top.token_ids, dtype=np.int32).tobytes()
    message.logprobs = np.asarray(top.logprobs, dtype=np.float32).tobytes()
    message.length, message.k = top.token_ids.shape


def _fill_dense(message: proto.Tensor, values: Array, dtype: proto.DType) -> None:
    message.dense, message.dtype = values.tobytes(), dtype
    message.shape.extend(values.shape)


def _fill_named(message: proto.Tensor, scores: Array, asked: TensorData) -> None:
    if asked.sparse_crow_indices is None or asked.sparse_col_indices is None:
        _fill_dense(message, scores.astype(np.float32), proto.DTYPE_FLOAT32)
        return
    message.dtype = proto.DTYPE_FLOAT32
    message.shape.extend(scores.shape)
    rows = np.asarray(asked.sparse_crow_indices, dtype=np.int64)
    columns = np.asarray(asked.sparse_col_indices, dtype=np.int64)
    message.sparse_csr.values = scores[sparse.cells(rows, columns)].astype(np.float32).tobytes()
    message.sparse_csr.crow_indices = rows.tobytes()
    message.sparse_csr.col_indices = columns.tobytes()
