"""The data sets that a run learns from, one after the other: which came before, and which one is next.

::

    steps      0 ............. 636 ......... 872 ......... 1,103
    data sets  | day 1         | day 2       | day 3       |
               first_step 0    first_step 636              last_step of day 3

Every checkpoint holds the list of those up to its step, so that a run that resumes knows where it is.
``data_sets.json`` in the run's folder holds the same once a step has been made with the newest one: a run that was
killed before the first checkpoint of a data set resumes that data set, without being told again.

Pure: what is known comes in, the list comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import CheckpointError, ConfigError


@dataclass(frozen=True, kw_only=True)
class DataSetRecord:
    """One data set that a run learns from, or has learned from."""

    id: str
    """Its identity, by ``data_set_id``; empty if it is not known, of a run from before there was one."""
    data: str
    """Where it was."""
    manifest_crc32c: int
    """Checksum of its manifest's file: a run that resumes must find the same data."""
    impressions: int
    """Train impressions of one pass."""
    first_step: int
    """Steps of the run before the first one with this data set."""
    last_step: int
    """Steps of the run after the newest one with this data set."""
    from_step: int
    """Step of the checkpoint whose weights and rows it begins with: ``first_step``, or that of the best evaluation of
    the data set before, if early stopping went by it."""
    finished: bool = False
    """Whether all of its steps are made, or early stopping has ended them."""
    chosen: tuple[str, ...] = ()
    """Settings that the training chose from the data set, such as ``input.epochs``, because nobody gave them."""
    first: dict[str, Any] | None = None
    """Metrics of its train split before the run learned from it, as plain values; None: not evaluated."""

    def is_same(self, other: "DataSetRecord") -> bool:
        """Return whether both are one data set, wherever it lies."""
        same_id = self.id == other.id and bool(self.id)
        return same_id or self.manifest_crc32c == other.manifest_crc32c


def data_set_lines(records: Sequence[DataSetRecord]) -> list[str]:
    """Return a line for each data set of a run, the newest last; none where there is only one."""
    if len(records) < 2:
        return []
    lines = []
    for number, each in enumerate(records, start=1):
        steps = f"steps {each.first_step + 1:,} to {each.last_step:,}"
        if each.last_step == each.first_step:
            steps = f"from step {each.first_step + 1:,} on"
        ended = "" if each.finished else ", not finished"
        lines.append(f"data set {number}: {each.data}, {steps}{ended}")
    return lines


def records_to_mapping(records: Sequence[DataSetRecord]) -> list[dict[str, Any]]:
    """Return records as plain values."""
    return [to_mapping(each) for each in records]


def records_from_mapping(stored: Sequence[Any], *, where: str) -> tuple[DataSetRecord, ...]:
    """Return the records that ``records_to_mapping`` wrote.

    Raises:
        CheckpointError: They are damaged.
    """
    return tuple(build(DataSetRecord, each, where=where, error=CheckpointError) for each in stored)


def next_data_sets(
    now: DataSetRecord,
    saved: Sequence[DataSetRecord],
    begun: Sequence[DataSetRecord],
    *,
    run: str,
    continues: bool,
    again: bool,
) -> tuple[DataSetRecord, ...]:
    """Return the data sets of a run up to the one that it learns from now, which is the last of them.

    Args:
        now: the data set that is given, as the first of a new run
        saved: data sets of the run's newest checkpoint; none without one
        begun: those with which steps were made, as ``data_sets.json`` has them
        run: place of the run, for messages
        continues: whether another data set than the newest may be the next one
        again: whether it may be one that the run has learned from before

    Raises:
        ConfigError: The run is to resume with another data set than its newest; or it is to go on with the next one
            while the newest is not finished, or with one that it has seen.
    """
    ahead = len(begun) > len(saved)  # the newest data set has no checkpoint yet
    known = tuple(begun if ahead else saved)
    if not known or (not saved and not continues):
        return (replace(now, chosen=known[0].chosen) if known and known[0].is_same(now) else now,)
    newest = replace(known[-1], finished=known[-1].finished and not ahead)  # a list may be ahead of the checkpoints
    if newest.is_same(now) and not (continues and again and newest.finished):
        if newest.manifest_crc32c != now.manifest_crc32c:
            raise ConfigError(f"{_other_data(run, now, newest)} Give the data set as it was, or start a new run.")
        if ahead and saved and not (saved[-1].finished and saved[-1].last_step == newest.first_step):
            raise ConfigError(_lost(run, saved[-1], newest))
        return (*saved, replace(newest, data=now.data)) if ahead else (*known[:-1], replace(newest, data=now.data))
    if ahead and saved and saved[-1].is_same(now) and not continues:
        return (*saved[:-1], replace(saved[-1], data=now.data))
    if not continues:
        raise ConfigError(
            f"{_other_data(run, now, newest)} Give that one; or, to go on with {now.data} as the next data set of the "
            "run, add --continue; or start a new run with another --run."
        )
    if not newest.finished:
        raise ConfigError(_unfinished(run, newest, has_checkpoint=not ahead))
    seen = [each for each in known if each.is_same(now)]
    if seen and not again:
        raise ConfigError(
            f"{run} has learned from {now.data} already, in steps {seen[-1].first_step + 1:,} to "
            f"{seen[-1].last_step:,}. Give the next data set, or --again to learn from this one once more."
        )
    return (*known, replace(now, first_step=newest.last_step, last_step=newest.last_step, from_step=newest.last_step))


def _other_data(run: str, now: DataSetRecord, newest: DataSetRecord) -> str:
    return f"{now.data} is not the data set that {run} was trained on last, {newest.data} (its manifest differs)."


def _unfinished(run: str, newest: DataSetRecord, *, has_checkpoint: bool) -> str:
    done = newest.last_step - newest.first_step
    finish = f"Finish it first: esmm train --run {run}"
    if has_checkpoint and done:
        return (
            f"{run} has not finished {newest.data}, with which it has made {done:,} steps. {finish}; or leave it at "
            f"that: esmm train --run {run} --max-steps {done}."
        )
    return (
        f"{run} has begun to learn from {newest.data}, and has no checkpoint of that yet. {finish} --data "
        f"{newest.data}; or give it up: remove {run}/data_sets.json."
    )


def _lost(run: str, saved: DataSetRecord, newest: DataSetRecord) -> str:
    return (
        f"{run} has begun to learn from {newest.data} after step {newest.first_step:,}, but its newest checkpoint that "
        f"is not damaged is of step {saved.last_step:,}, while it learned from {saved.data}. Restore the checkpoint of "
        f"step {newest.first_step:,} from a backup, or learn from {saved.data} to its end again: esmm train --run "
        f"{run} --data {saved.data}; then go on with --data {newest.data} --continue."
    )
