"""The head of a pull's reply: which contents of the table the rows are of, and which known rows have changed.

It goes before the rows, as metadata of a message of its own::

    version      int64, little-endian
    before_push  int64
    changed      int32 [c]: places among the known ids, ascending; their rows follow those that were asked for
"""

import struct
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.parameter_server.refusals import RequestError

_NUMBERS = struct.Struct("<qq")


@dataclass(frozen=True, kw_only=True)
class ReplyHead:
    """What a server says before the rows."""

    version: int
    """Names the contents of the table, as ``EmbeddingTable.version``."""
    before_push: int
    """The version before, if the newest change is a push; else ``version``."""
    changed: I64
    """int64 [c]: places of the known ids whose rows have changed"""


@dataclass(frozen=True, kw_only=True)
class PulledRows:
    """A pull's reply."""

    head: ReplyHead
    parts: tuple[F32, ...]
    """float32 [n, D] each, as they came; together the rows that were asked for, then those that have changed. They may
    be read-only."""


def encode_head(head: ReplyHead) -> bytes:
    """Return the bytes of a head."""
    return _NUMBERS.pack(head.version, head.before_push) + head.changed.astype("<i4").tobytes()


def decode_head(data: bytes, *, known: int) -> ReplyHead:
    """Return the head that ``encode_head`` wrote, for ``known`` known ids.

    Raises:
        RequestError: It is none, or names other places.
    """
    if len(data) < _NUMBERS.size or (len(data) - _NUMBERS.size) % 4:
        raise RequestError(f"its reply begins with {len(data)} bytes, which are not the head of one")
    version, before_push = _NUMBERS.unpack_from(data)
    changed = np.frombuffer(data, dtype="<i4", offset=_NUMBERS.size).astype(np.int64)
    if len(changed) and (changed[0] < 0 or changed[-1] >= known or not (changed[1:] > changed[:-1]).all()):
        raise RequestError(f"its reply names places of changed rows that are not among the {known} known ones")
    return ReplyHead(version=version, before_push=before_push, changed=changed)
