"""Answers: a status, headers, and a body that is JSON wherever it is not figures for Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson

JSON_TYPE = "application/json"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE


def json_answer(value: Any, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer of JSON.

    Args:
        value: plain values, and arrays of NumPy; a float32 is written with as many digits as bring it back
        status: its status
        headers: headers beside the usual ones
    """
    body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return Answer(status=status, body=body, headers=dict(headers or {}))


def error_answer(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the answer to a request that is refused: ``{"error": text}``."""
    # What the text quotes of a request may be no text: half of a surrogate pair, from an address
    plain = text.encode("utf-8", errors="backslashreplace").decode()
    return json_answer({"error": plain}, status=status, headers=headers)
