"""The headers of all calls to a server, and their JSON form.

The header of a pull or push is its Flight command, that of an action the action's body. Nothing in one is ever
unpickled or evaluated.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, TypeVar, cast

import pydantic

from esmm_dist.embedding.table_files import TableFile
from esmm_dist.parameter_server.config import UpdateMode, Wire
from esmm_dist.parameter_server.refusals import RequestError

Header = TypeVar("Header")

_MAX_HEADER_BYTES = 4 << 20  # the largest is a restore of some ten thousand files


@dataclass(frozen=True, kw_only=True)
class PullHeader:
    """Read rows; their ids follow."""

    run: str
    generation: int
    table: str
    rows: int
    """Number of ids that follow, whose rows are wanted."""
    wire: Wire
    step: int | None
    """The optimizer step that the rows are for; None: as they are now."""
    patience_s: float
    """How long the server may wait for the steps before it; then it says which rank's push is missing."""
    known: int = 0
    """Number of ids that follow after those: of rows that the client has, and wants only where they have changed."""
    known_version: int = 0
    """The ``ReplyHead.version`` with which it got them."""


@dataclass(frozen=True, kw_only=True)
class PushHeader:
    """Take the gradients of one rank in one step; ids and gradients follow."""

    run: str
    generation: int
    table: str
    rows: int
    wire: Wire
    step: int
    rank: int
    impressions: int
    """Impressions of the whole step, over all ranks."""
    rate_factor: float


@dataclass(frozen=True, kw_only=True)
class OpenHeader:
    """Open a run, join it, or resume it after a fence."""

    run: str
    """Names the run: where it is stored, without credentials."""
    location: str
    """Folder or URI of the run, below which the server writes and reads checkpoints."""
    generation: int
    """Grows with each start of the run: calls of an older one are refused."""
    index: int
    count: int
    """Which server the client takes this one for."""
    world_size: int
    update_mode: UpdateMode
    max_staleness_steps: int
    first_step: int
    """Steps done before; the first push is of the step after."""
    keep_undo: bool
    """Whether the last applied step can be undone; of use in ``sync`` only, where a step is applied as a whole."""
    tables: tuple[str, ...]
    embedding: dict[str, Any]
    """``EmbeddingConfig`` as plain values."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class RunHeader:
    """A call about a run that needs nothing else. A fence names the generation that begins with it."""

    run: str
    generation: int


@dataclass(frozen=True, kw_only=True)
class SaveHeader:
    """Write the rows into a folder of the run's checkpoints."""

    run: str
    generation: int
    step: int
    folder: str
    """Plain name below ``checkpoints/`` of the run."""
    call_id: str = ""
    """The same in each repetition of one call; see ``repeated_calls.py``. Empty: never repeated."""
    patience_s: float = 20.0
    """How long the server may work before it says that it is still working."""


@dataclass(frozen=True, kw_only=True)
class RestoreHeader:
    """Replace all rows by those of a checkpoint's files."""

    run: str
    generation: int
    step: int
    """The next push is of the step after this one."""
    location: str
    """Folder or URI of the run that holds the checkpoint: this one, or the one that it starts from."""
    folder: str
    files: tuple[TableFile, ...]
    call_id: str = ""
    patience_s: float = 20.0


@dataclass(frozen=True, kw_only=True)
class SurveyHeader:
    """Ask how many rows each step changed last."""

    run: str
    generation: int
    table: str


@dataclass(frozen=True, kw_only=True)
class LastSteps:
    """Answer a ``SurveyHeader``."""

    steps: tuple[int, ...]
    rows: tuple[int, ...]
    """As many as ``steps``: how many rows each of them changed last."""


@dataclass(frozen=True, kw_only=True)
class TieHeader:
    """Ask for the hashes of the rows that one step changed last."""

    run: str
    generation: int
    table: str
    step: int


@dataclass(frozen=True, kw_only=True)
class EvictHeader:
    """Remove the rows that a rule chooses; the fields are those of ``EvictionRule``."""

    run: str
    generation: int
    table: str
    rule: dict[str, int]
    call_id: str = ""
    patience_s: float = 20.0


def encode_header(header: Any) -> bytes:
    """Return the bytes of a header dataclass."""
    return json.dumps(asdict(header)).encode()


def decode_header(cls: type[Header], data: bytes) -> Header:
    """Return the header that ``encode_header`` wrote, every value checked.

    Raises:
        RequestError: It is not such a header.
    """
    if len(data) > _MAX_HEADER_BYTES:
        raise RequestError(f"the request's header has {len(data)} bytes; at most {_MAX_HEADER_BYTES} are read")
    try:
        header: Header = _adapter(cast(Any, cls)).validate_json(data, strict=True)
    except pydantic.ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"the request's header is not a {cls.__name__}: {where or 'it'}: {first['msg']}") from e
    return header


def encode_reply(mapping: Mapping[str, Any]) -> bytes:
    """Return a mapping of plain values as the JSON body of a reply."""
    return json.dumps(mapping).encode()


@cache
def _adapter(cls: Any) -> "pydantic.TypeAdapter[Any]":
    return pydantic.TypeAdapter(cls)
