"""The folder of a run: logs, metrics, and the guard against two trainings in one folder.

::

    RUN/config.yaml        resolved settings with which the newest steps were made, see run_settings.py
    RUN/metrics.json       the newest evaluation, all before it, the best one of early stopping, and the baseline
    RUN/data_sets.json     the data sets that the run has learned from, see data_sets.py
    RUN/progressive.json   metrics of each data set before the run learned from it; no such file without --eval-first
    RUN/skipped.json       records that could not be read and were skipped, by shard; no such file if none were
    RUN/train_log.jsonl    mean training losses, a line every log_every_steps
    RUN/speed.jsonl        where the time of the steps went, and sizes of tables, as often, see run_speed.py
    RUN/history.jsonl      starts, restarts, checkpoints, evaluations, ends, see run_history.py
    RUN/trackers.json      ids of the run in MLflow and Weights & Biases, if it logs to them, see trackers/
    RUN/tensorboard/       losses and metrics as scalars
    RUN/checkpoints/       see esmm_dist.checkpoint
    RUN/report/            what esmm importance has measured, see esmm_dist.report
"""

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from esmm_dist.checkpoint.early_stopping import BestEvaluation
from esmm_dist.checkpoint.run_check import refuse_other_folder
from esmm_dist.config import to_mapping
from esmm_dist.errors import CheckpointError, ConfigError, StorageError
from esmm_dist.input.skipped import SkippedShard
from esmm_dist.storage.folder import Folder
from esmm_dist.train.data_sets import DataSetRecord, records_from_mapping, records_to_mapping
from esmm_dist.train.json_lines import read_lines

METRICS_NAME = "metrics.json"
DATA_SETS_NAME = "data_sets.json"
PROGRESSIVE_NAME = "progressive.json"
SKIPPED_NAME = "skipped.json"
LOG_NAME = "train_log.jsonl"
TRACKERS_NAME = "trackers.json"
TENSORBOARD_NAME = "tensorboard"


class RunFolder:
    """What a training writes into its run beside checkpoints. Of several ranks, only rank 0 has one.

    Files in an object store cannot grow. What grows (logs, TensorBoard's events) is therefore written to a folder
    of this machine; ``publish`` copies it to the run. In a local run that folder is the run itself, and ``publish``
    does nothing. A killed training loses what came after its last ``publish``, which is no more than it lost of its
    steps if it publishes at each checkpoint.

    One thread uses it. ``close`` removes the folder of this machine; a second call is harmless.
    """

    def __init__(self, location: str | Path) -> None:
        """Open a run; makes nothing in it."""
        self.folder = Folder.open(location)
        self._staging = None if self.folder.is_local else tempfile.TemporaryDirectory(prefix="esmm-run-")
        self._growing = self.folder.local_path if self._staging is None else Path(self._staging.name)
        self._published: dict[Path, tuple[int, int]] = {}

    def make(self) -> None:
        """Make the folder if it is missing.

        Raises:
            ConfigError: The path is a file.
            StorageError: The storage refuses.
        """
        try:
            self.folder.make()
        except StorageError as e:
            if isinstance(e.__cause__, (FileExistsError, NotADirectoryError)):
                raise ConfigError(f"run is {self.folder}, which is not a folder. Give another path.") from e
            raise

    @property
    def tensorboard(self) -> Path:
        """Local folder for TensorBoard's event files."""
        return self._growing / TENSORBOARD_NAME

    def write_metrics(
        self,
        evaluations: list[dict[str, Any]],
        baseline: dict[str, Any] | None = None,
        *,
        best: BestEvaluation | None = None,
    ) -> None:
        """Write all evaluations so far; the newest stands first on its own, and the baseline, if there is one, last.

        Args:
            evaluations: as plain values, in the order of their steps
            baseline: what logistic regression reaches, as plain values
            best: which of them early stopping has found to be the best
        """
        content: dict[str, Any] = {"newest": evaluations[-1] if evaluations else {}, "evaluations": evaluations}
        if best is not None:
            content["best"] = to_mapping(best)
        if baseline is not None:
            content["baseline"] = baseline
        self.folder.write_bytes(METRICS_NAME, (json.dumps(content, indent=1) + "\n").encode())

    def read_baseline(self) -> dict[str, Any] | None:
        """Return the baseline that ``write_metrics`` wrote last, as plain values; None if there is none to be read."""
        try:
            content = json.loads(self.folder.read_bytes(METRICS_NAME))
        except (FileNotFoundError, ValueError):  # it is computed anew
            return None
        return content.get("baseline") if isinstance(content, dict) else None

    def write_data_sets(self, records: Sequence[DataSetRecord]) -> None:
        """Write the data sets of the run, the newest last."""
        text = json.dumps({"data_sets": records_to_mapping(records)}, indent=1) + "\n"
        self.folder.write_bytes(DATA_SETS_NAME, text.encode())

    def write_progressive(self, records: Sequence[DataSetRecord]) -> None:
        """Write the metrics that the run had on each data set before it learned from that one."""
        names = ("data", "id", "first_step", "impressions")
        found = [
            {**{name: getattr(each, name) for name in names}, "metrics": each.first}
            for each in records
            if each.first is not None
        ]
        self.folder.write_bytes(PROGRESSIVE_NAME, (json.dumps({"data_sets": found}, indent=1) + "\n").encode())

    def read_skipped(self) -> list[dict[str, Any]]:
        """Return what ``write_skipped`` wrote last, as plain values; nothing if that cannot be read."""
        try:
            shards = json.loads(self.folder.read_bytes(SKIPPED_NAME))["shards"]
            return [to_mapping(SkippedShard(**each)) for each in shards]
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # it is counted anew as shards are read
            return []

    def write_skipped(self, shards: Sequence[SkippedShard]) -> None:
        """Write the number of skipped records and impressions, and those of each shard."""
        totals = {name: sum(getattr(each, name) for each in shards) for name in ("records", "impressions")}
        text = json.dumps({**totals, "shards": [to_mapping(each) for each in shards]}, indent=1) + "\n"
        self.folder.write_bytes(SKIPPED_NAME, text.encode())

    def read_log(self, up_to_step: int) -> list[dict[str, Any]]:
        """Return the training log's entries up to a step; what a killed run wrote beyond its checkpoint is left out."""
        entries = read_lines(self.folder, LOG_NAME)
        return [entry for entry in entries if isinstance(entry.get("step"), int) and entry["step"] <= up_to_step]

    def write_log(self, entries: list[dict[str, Any]]) -> None:
        """Replace the training log."""
        data = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        Folder.open(self._growing).write_bytes(LOG_NAME, data)

    def go_on_with(self, name: str) -> bytes:
        """Return what a file that grows holds; ``append`` adds to it from now on, in an object store as on a disk.

        Raises:
            StorageError: The storage refuses.
        """
        try:
            data = self.folder.read_bytes(name)
        except FileNotFoundError:
            return b""
        if self._staging is not None and not (self._growing / name).exists():
            (self._growing / name).write_bytes(data)
        return data

    def append(self, name: str, entry: Mapping[str, Any]) -> None:
        """Add a line to a file that grows; half a line before it, of a killed run, stays by itself.

        Raises:
            OSError: The disk refuses; the file is as before.
        """
        data = (json.dumps(entry) + "\n").encode()
        with (self._growing / name).open("a+b", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            if before:
                file.seek(before - 1)
                data = data if file.read(1) == b"\n" else b"\n" + data
            try:
                if file.write(data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(before)  # half a line would spoil the next one
                raise

    def publish(self) -> None:
        """Copy what has grown since the last time to the run. TensorBoard's writer must have been flushed.

        Raises:
            StorageError: The storage refuses; the next call copies the rest.
        """
        if self._staging is None:
            return
        for path in sorted(self._growing.rglob("*")):
            if not path.is_file():
                continue
            stat = path.stat()
            version = (stat.st_size, stat.st_mtime_ns)
            if self._published.get(path) == version:
                continue
            target = self.folder
            for part in path.relative_to(self._growing).parts[:-1]:
                target = target / part
            target.write_bytes(path.name, path.read_bytes())
            self._published[path] = version

    def close(self) -> None:
        """Remove the folder of this machine, if there is one."""
        if self._staging is not None:
            self._staging.cleanup()


def read_data_sets(folder: Folder) -> tuple[DataSetRecord, ...]:
    """Return the data sets that a run has begun to learn from, the newest last; none if it does not say, or is older.

    Raises:
        CheckpointError: The file is damaged.
        StorageError: The storage refuses.
    """
    where = f"{folder}/{DATA_SETS_NAME}"
    try:
        stored = json.loads(folder.read_bytes(DATA_SETS_NAME))["data_sets"]
        return records_from_mapping(stored, where=where)
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError, KeyError, RecursionError, CheckpointError) as e:
        raise CheckpointError(
            f"{where} cannot be read ({e}). Remove it: checkpoints hold the same, up to the newest of them."
        ) from e


@contextmanager
def locked_run(location: str | Path) -> Iterator[RunFolder]:
    """Open a run for one training and make its folder; at the end publish what has grown.

    On a local disk a lock holds off a second training. An object store has no locks: there, nothing keeps two trainings
    from writing into one run; starting only one is up to the user.

    Raises:
        ConfigError: Another process trains in it, or the path is a file, a data set or a single checkpoint.
        StorageError: The storage refuses.
    """
    with ExitStack() as stack:
        run = RunFolder(location)
        stack.callback(run.close)
        run.make()
        refuse_other_folder(run.folder)
        if run.folder.is_local:
            lock = stack.enter_context((run.folder.local_path / ".lock").open("ab"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                raise ConfigError(
                    f"Another process is training in {run.folder}. Wait for it, or give another --run."
                ) from e
        try:
            yield run
        except BaseException:
            with suppress(StorageError):  # the first failure is the one to report
                run.publish()
            raise
        run.publish()
