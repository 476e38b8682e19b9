"""The calls that take long: a save, a restore, an eviction. Each is done once, however often a client asks for it."""

import re
from collections.abc import Callable
from dataclasses import asdict

from esmm_dist.config import build
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.parameter_server.headers import EvictHeader, RestoreHeader, SaveHeader, encode_reply
from esmm_dist.parameter_server.memory import drop_resident_code
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.repeated_calls import RepeatedCalls
from esmm_dist.parameter_server.run_lifecycle import RunLifecycle
from esmm_dist.parameter_server.security import run_place
from esmm_dist.parameter_server.served_run import ServedRun
from esmm_dist.storage.folder import Folder, is_plain_name

_CHECKPOINT_FOLDER = re.compile(r"(\.writing-)?step-\d{8,12}")


class CheckpointCalls:
    """Saves, restores and evicts the rows of the open run. Thread-safe."""

    def __init__(
        self,
        lifecycle: RunLifecycle,
        repeated_calls: RepeatedCalls,
        log: Callable[[str], None],
        clock: Callable[[], float],
        *,
        root: str | None,
    ) -> None:
        """Begin with nothing at work.

        Args:
            lifecycle: holds the open run
            repeated_calls: joins calls that are made again
            log: receives a line for each call
            clock: returns seconds
            root: folder or URI below which runs must lie; None: any
        """
        self._lifecycle, self._repeated_calls = lifecycle, repeated_calls
        self._log, self._clock, self._root = log, clock, root

    def save(self, header: SaveHeader) -> bytes:
        """Write all rows into a checkpoint; reply with its files."""
        run = self._lifecycle.run_of(header)
        return self._repeated_calls.join("save", header.call_id, header.patience_s, lambda: self._save(run, header))

    def restore(self, header: RestoreHeader) -> bytes:
        """Replace all rows by a checkpoint's; reply with their number."""
        run = self._lifecycle.run_of(header)
        for file in header.files:
            if not is_plain_name(file.path) or file.path.startswith("."):
                raise RequestError(f"'{file.path}' is not the name of a file of a checkpoint")
        return self._repeated_calls.join(
            "restore", header.call_id, header.patience_s, lambda: self._restore(run, header)
        )

    def evict(self, header: EvictHeader) -> bytes:
        """Remove rows by a rule; reply with their number."""
        run = self._lifecycle.run_of(header)
        run.embedding_dim(header.table)
        return self._repeated_calls.join(
            "eviction", header.call_id, header.patience_s, lambda: self._evict(run, header)
        )

    def _save(self, run: ServedRun, header: SaveHeader) -> bytes:
        start = self._clock()
        folder = self._checkpoint_folder(run.opened.location, header.folder)
        files = run.save(folder, generation=header.generation, step=header.step)
        size = sum(file.file_bytes for file in files)
        self._log(
            f"Saved {run.num_rows:,} rows of step {header.step} ({size / 1e6:.1f} MB, {self._clock() - start:.1f} s)"
        )
        return encode_reply({"files": [asdict(file) for file in files]})

    def _restore(self, run: ServedRun, header: RestoreHeader) -> bytes:
        start = self._clock()
        folder = self._checkpoint_folder(header.location, header.folder)
        run.restore(folder, header.files, generation=header.generation, step=header.step)
        drop_resident_code()
        self._log(f"Restored {run.num_rows:,} rows of step {header.step} ({self._clock() - start:.1f} s)")
        return encode_reply({"rows": run.num_rows})

    def _evict(self, run: ServedRun, header: EvictHeader) -> bytes:
        rule = build(EvictionRule, header.rule, where="evict")
        removed = run.remove(header.table, rule, generation=header.generation)
        self._log(f"Evicted {removed:,} rows of table {header.table}; {run.num_rows:,} are left")
        return encode_reply({"removed": removed})

    def _checkpoint_folder(self, location: str, name: str) -> Folder:
        if not _CHECKPOINT_FOLDER.fullmatch(name):
            raise RequestError(f"'{name}' is not the name of a checkpoint's folder, such as step-00000123")
        return Folder.open(run_place(location, self._root)) / "checkpoints" / name
