"""The rows of one table on one server, as far as an eviction needs them."""

from dataclasses import asdict
from typing import Any

import numpy as np

from esmm_dist.arrays import I64, U64
from esmm_dist.config import build
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.errors import ServerError
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.run_identity import RunIdentity


class RemoteShard:
    """A ``SurveyedShard`` whose rows are on a server."""

    def __init__(self, connection: Connection, run: RunIdentity, table: str) -> None:
        """Name the shard; nothing is sent."""
        self._connection = connection
        self._shard: dict[str, Any] = {"run": run.name, "generation": run.generation, "table": table}

    def last_steps(self) -> tuple[I64, I64]:
        """Return the steps that changed rows last, ascending, and the number of those rows: int64 [k] each."""
        reply = self._connection.act_json("last_steps", headers.SurveyHeader(**self._shard))
        found = build(headers.LastSteps, reply, where=self._connection.name, error=ServerError)
        return np.array(found.steps, dtype=np.int64), np.array(found.rows, dtype=np.int64)

    def tie_hashes(self, step: int) -> U64:
        """Return the hashes of the rows that ``step`` changed last, uint64 [n], in any order."""
        reply = self._connection.act("tie_hashes", headers.TieHeader(**self._shard, step=step))
        if len(reply) % 8:
            raise ServerError(f"{self._connection.name} sent {len(reply)} bytes of hashes. Does it run this version?")
        return np.frombuffer(reply, dtype="<u8").astype(np.uint64)

    def remove(self, rule: EvictionRule) -> int:
        """Remove rows; return their number."""
        header = headers.EvictHeader(**self._shard, rule=asdict(rule))
        return self._connection.act_value("evict", "removed", int, header)
