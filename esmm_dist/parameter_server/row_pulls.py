"""Pulls of rows from servers: all at once, or those that the step before does not change while it still runs.

::

    rank 0   step t    pull_ahead(t + 1)              push(t)   pull(t + 1)
                       ids that it does not push in t           the others, and of those that it has
                             │        rows, version                those that other ranks changed in t
    server   t - 1 ──────────┴──────────────────────────> t ───────────┴───>

Which rows of ``pull_ahead`` still hold is the server's to say (``table_changes.py``), by the version that came with
them. So a call may be repeated, and nothing is kept on a server for a client that may be gone.
"""

from dataclasses import replace

import numpy as np

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.embedding.ticket import RowsAhead, Ticket
from esmm_dist.errors import EsmmError
from esmm_dist.kernels.sorted_ids import places_apart, put_rows
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.headers import PullHeader
from esmm_dist.parameter_server.pull_reply import PulledRows
from esmm_dist.parameter_server.refusals import NotReadyError
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.parameter_server.server_group import ServerGroup

_PATIENCE_S = 1.0  # of a server with one try of a pull, after which the client looks whether it was interrupted


class RowPulls:
    """Pulls rows of a run's tables. Thread-safe."""

    def __init__(self, servers: ServerGroup, config: ClientConfig, run: RunIdentity) -> None:
        """Pull nothing yet."""
        self._servers, self._config, self._run = servers, config, run

    def pull(self, ticket: Ticket, embedding_dim: int, *, step: int | None) -> F32:
        """Return the rows of a ticket, float32 [U, D]: the rest of them, if some are there already."""
        ahead, ticket.ahead = ticket.ahead, None
        if ahead is not None and step is not None and self._complete(ticket, ahead, step):
            return ahead.rows
        rows = np.empty((len(ticket.ids), embedding_dim), dtype=np.float32)

        def pull_from(index: int, connection: Connection) -> None:
            places = ticket.places[index] if ticket.places else np.arange(len(ticket.ids))
            if len(places):
                ids = ticket.ids.take(places) if ticket.places else ticket.ids
                reply = connection.pull(self._header(ticket, len(ids), step), ids, embedding_dim)
                _put(reply, rows, places)

        self._servers.call(pull_from)
        return rows

    def pull_ahead(self, ticket: Ticket, embedding_dim: int, *, step: int, before: Ids) -> None:
        """Read the rows of ids that are not among ``before``, as they are before ``step``, into ``ticket.ahead``.

        Makes one try and raises nothing: what goes wrong meets the pull and the push of the step too, which repeat
        their calls and say what it was.
        """
        if ticket.places:
            parts = [(places, places_apart(ticket.ids.take(places), before)) for places in ticket.places]
            early, late = (tuple(places.take(part[kind]) for places, part in parts) for kind in (0, 1))
        else:
            early, late = ((part,) for part in places_apart(ticket.ids, before))
        rows = np.empty((len(ticket.ids), embedding_dim), dtype=np.float32)

        def pull_from(index: int, connection: Connection) -> int:
            ids = ticket.ids.take(early[index])
            if len(ids) == 0:
                return 0
            reply = connection.pull(self._header(ticket, len(ids), step), ids, embedding_dim, once=True)
            _put(reply, rows, early[index])
            return reply.head.version

        try:
            versions = tuple(self._servers.call(pull_from))
        except (EsmmError, NotReadyError):
            return
        ticket.ahead = RowsAhead(rows=rows, early=early, late=late, versions=versions)

    def _complete(self, ticket: Ticket, ahead: RowsAhead, step: int) -> bool:
        """Read the rows that are not there yet, or have changed; return False if none that are there can be used."""
        others_push = self._run.world_size > 1

        def pull_from(index: int, connection: Connection) -> bool:
            late, early, version = ahead.late[index], ahead.early[index], ahead.versions[index]
            if len(late) + len(early) == 0:
                return True
            known = early if others_push else early[:0]
            header = replace(self._header(ticket, len(late), step), known=len(known), known_version=version)
            reply = connection.pull(header, ticket.ids.take(np.concatenate([late, known])), ahead.rows.shape[1])
            _put(reply, ahead.rows, np.concatenate([late, known.take(reply.head.changed)]))
            # A rank that is alone pushes in the step none of what it has pulled ahead of it, and that is all that may
            # have come since
            return others_push or len(early) == 0 or version in (reply.head.version, reply.head.before_push)

        return all(self._servers.call(pull_from))

    def _header(self, ticket: Ticket, rows: int, step: int | None) -> PullHeader:
        return PullHeader(
            run=self._run.name,
            generation=self._run.generation,
            table=ticket.table,
            rows=rows,
            wire=self._config.wire,
            step=step,
            patience_s=min(_PATIENCE_S, self._config.server_timeout_s / 2),
        )


def _put(reply: PulledRows, rows: F32, places: I64) -> None:
    """Write the rows of a reply to their places, int64 [n]."""
    at = 0
    for part in reply.parts:
        put_rows(rows, places[at : at + len(part)], part)
        at += len(part)
