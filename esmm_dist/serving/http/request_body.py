"""The body of a request, read within its limits of bytes and of time."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Receive

from esmm_dist.serving.http.refusals import RefusedError
from esmm_dist.serving.limits import RequestLimits


class ClientGoneError(Exception):
    """The client has closed the connection: nobody reads an answer."""


async def read_body(receive: Receive, headers: Mapping[str, str], limits: RequestLimits) -> bytes:
    """Return the whole body, with or without a length that was said before.

    Raises:
        RefusedError: It is too large, which ends the reading at once, or too slow.
        ClientGoneError: The client has gone before its end.
    """
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > limits.max_body_bytes:
        raise _too_large(f"{length[:20]} bytes", limits)
    try:
        async with asyncio.timeout(limits.upload_timeout_s):
            return await _all_parts(receive, limits)
    except TimeoutError as e:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not arrive within {limits.upload_timeout_s:g} s (--upload-timeout-s). Send it again",
            {"Connection": "close"},
        ) from e


async def _all_parts(receive: Receive, limits: RequestLimits) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limits.max_body_bytes:
            raise _too_large("more bytes", limits)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(said: str, limits: RequestLimits) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has {said}; the server takes {limits.max_body_bytes} (--max-body-bytes). Ask for fewer candidates "
        "a request",
    )
