"""A folder of scores: parts that are done stay, so that a scoring that was killed goes on.

::

    OUT/_scores.json             which model scores which log, and, once all parts are there, how many rows there are
        part-00000.parquet       scores of the first part; it is there only whole
        _rejects-00000.jsonl     its rejected lines, if it has any; there before the scores

Names that begin with ``_`` are skipped by what reads a folder of Parquet files (Spark, Arrow, DuckDB's ``*.parquet``).
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.raw_scoring.part_scoring import PartFiles, ScoredPart
from esmm_dist.raw_scoring.raw_index import RawPart
from esmm_dist.raw_scoring.scored_output import count_rejects, whole_parquet_rows
from esmm_dist.storage.folder import Folder

RECORD_NAME = "_scores.json"
REJECTS_NAMES = "_rejects-*.jsonl"
REJECTS_OF_PART = "_rejects-00000.jsonl"
"""Rejects of an only part"""

_THINGS = {
    "model": "of other weights",
    "inputs": "of other files, or of files that have changed,",
    "columns": "with other columns",
    "schema": "by another schema",
    "parts": "in parts of other sizes (part_rows)",
}
"""How scores differ, by what differs of what is written down."""


@dataclass(frozen=True, kw_only=True)
class ScoredFolder:
    """Parts of scores in a folder."""

    folder: Folder

    def begin(self, what: Mapping[str, Any]) -> None:
        """Write down what is scored by what, or compare it with what has been begun.

        Args:
            what: plain JSON values that decide the bytes of all parts

        Raises:
            ConfigError: The folder holds scores of something else, or other files.
        """
        names = self.folder.names()
        if RECORD_NAME in names:
            before = json.loads(self.folder.read_bytes(RECORD_NAME))["what"]
            changed = [name for name in {**what, **before} if what.get(name) != before.get(name)]
            if changed:
                raise ConfigError(f"{self.folder} holds scores {_difference(changed, before, what)}")
            return
        if names:
            raise ConfigError(f"{self.folder} holds other files already. Give a new folder as out.")
        self.folder.make()
        self._write(what, None)

    def finish(self, what: Mapping[str, Any], parts: int, rows: int, rejected: Mapping[str, int]) -> None:
        """Write down that all parts are there."""
        self._write(what, {"parts": parts, "rows": rows, "rejected": dict(sorted(rejected.items()))})

    def files(self, part: RawPart) -> PartFiles:
        """Return where a part goes."""
        return PartFiles(
            folder=self.folder,
            scores=f"part-{part.number:05d}.parquet",
            rejects=f"_rejects-{part.number:05d}.jsonl",
        )

    def done(self, part: RawPart) -> ScoredPart | None:
        """Return what a part holds that is there already; None if it is not."""
        files = self.files(part)
        rows = whole_parquet_rows(self.folder, files.scores)
        if rows is None:
            return None
        rejected = count_rejects(self.folder, files.rejects) if rows < part.rows else Counter[str]()
        return ScoredPart(rows=rows, rejected=rejected, first={})

    def _write(self, what: Mapping[str, Any], finished: Mapping[str, Any] | None) -> None:
        text = json.dumps({"what": what, "finished": finished}, indent=1)
        self.folder.write_bytes(RECORD_NAME, f"{text}\n".encode())


def _difference(changed: list[str], before: Mapping[str, Any], what: Mapping[str, Any]) -> str:
    remedy = "Give another out, or remove that folder."
    if "step" in changed:
        step = before.get("step")
        return f"of the model at step {step}, and this is step {what['step']}. To go on, give --step {step}. {remedy}"
    name = changed[0]
    differs = _THINGS.get(name, f"with {name} {before.get(name)}, which is {what.get(name)} now,")
    return f"{differs} than these would be. {remedy}" if name in _THINGS else f"{differs.rstrip(',')}. {remedy}"
