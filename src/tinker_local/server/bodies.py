"""Request bodies: how large they may be, and how they are unpacked."""

from __future__ import annotations

import zstandard
from starlette.requests import Request
from starlette.types import Message, Receive

from tinker_local.errors import RequestError

MAX_BODY_BYTES = 64 * 2**20
"""The SDK splits batches at 5 MB, so an honest body is far below this, unpacked as well."""
TOO_LARGE = f"The body is over {MAX_BODY_BYTES // 2**20} MiB; send smaller batches."


class TooLargeError(Exception):
    """More of a body has arrived, or come out of it, than is accepted."""


def limited(receive: Receive) -> Receive:
    """Counts what arrives, since a chunked body does not say its length beforehand."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise TooLargeError
        return message

    return counted


async def read_body(request: Request) -> bytes:
    """The body, unpacked where the client packed it with zstd; raises RequestError where that fails."""
    body = await request.body()
    if request.headers.get("content-encoding", "").lower() != "zstd":
        return body
    try:
        # Read up to one byte too many: a few bytes can unpack to gigabytes.
        content = zstandard.ZstdDecompressor().stream_reader(body).read(MAX_BODY_BYTES + 1)
    except zstandard.ZstdError as error:
        raise RequestError("The body is not the zstd that its header promises; send it plain.") from error
    if len(content) > MAX_BODY_BYTES:
        raise TooLargeError
    return content
