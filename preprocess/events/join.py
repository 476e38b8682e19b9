"""Join one partition of an event log, and write what was decided for each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, U64, Array
from preprocess.events.attribute import (
    NEVER,
    EventFate,
    LabelTimes,
    Rows,
    Rule,
    attribute,
    longest_window_us,
    open_labels,
    repeats,
)
from preprocess.read.flat.event_labels import STATE_SHIFT, RowState, joined_path
from preprocess.work.blocks import read_block, save_array
from preprocess.work.workers import Result


@dataclass(frozen=True, kw_only=True)
class JoinJob:
    """What the joins of all partitions share."""

    work: Path
    rules: tuple[Rule, ...]
    """Rules of the labels, in the schema's order."""
    is_by_id: bool
    has_names: bool
    """Whether the rows of impressions have the hashes of their names."""
    impression_files: tuple[tuple[str, str], ...]
    """Split and name of each file of the rows of impressions."""
    event_files: Mapping[str, tuple[str, ...]]
    """Names of the files of the rows of each label's events."""
    end_us: int
    """The end of the log."""
    drops_open: bool
    """Whether impressions whose windows are not over are left out."""


def fates_path(work: Path, label: int, partition: int) -> Path:
    """Return where the positions and fates of the events that were not joined are: int64 [2, N], ascending."""
    return work / "events" / f"fates-{label}-{partition:04d}.npy"


def join_partition(job: JoinJob, partition: int) -> Result:
    """Join one partition; return counts."""
    impressions = _Loaded.of(job.work, [name for _, name in job.impression_files], partition, has_names=job.has_names)
    splits = list(dict.fromkeys(split for split, _ in job.impression_files))
    split = np.repeat([splits.index(split) for split, _ in job.impression_files], impressions.counts)
    events = [_Loaded.of(job.work, job.event_files[rule.label], partition) for rule in job.rules]
    number = _numbers([impressions.key, *(each.key for each in events)])
    order = np.lexsort((impressions.position, split, impressions.time, number[0]))
    names = impressions.name[order] if job.has_names else None
    repeated = repeats(number[0][order], names, is_by_id=job.is_by_id)
    kept = order[~repeated]
    rows = Rows(key=number[0][kept], time=impressions.time[kept])
    event_orders = [
        np.lexsort((each.position, each.time, numbers)) for each, numbers in zip(events, number[1:], strict=True)
    ]
    of_label = {
        rule.label: Rows(key=numbers[at], time=each.time[at])
        for rule, each, numbers, at in zip(job.rules, events, number[1:], event_orders, strict=True)
    }
    found = attribute(rows, of_label, job.rules)
    is_open = open_labels(rows, found, job.rules, job.end_us)
    recent = rows.time > job.end_us - longest_window_us(job.rules)
    left_out = recent if job.drops_open else np.zeros(len(kept), np.bool_)
    codes = np.full(len(impressions.time), RowState.REPEATED << STATE_SHIFT, np.int64)
    codes[kept] = _codes(found, job.rules) | (np.where(left_out, RowState.TOO_RECENT, RowState.KEPT) << STATE_SHIFT)
    for place, name in enumerate(splits):
        _save(joined_path(job.work, name, partition), impressions.position[split == place], codes[split == place])
    for place, (rule, each, at) in enumerate(zip(job.rules, events, event_orders, strict=True)):
        fates = found[rule.label].fates
        lost = fates != EventFate.JOINED
        _save(fates_path(job.work, place, partition), each.position[at[lost]], fates[lost].astype(np.int64))
    return {
        "impressions": len(impressions.time),
        "repeated": int(repeated.sum()),
        "recent": int(recent.sum()),
        "left_out": int(left_out.sum()),
        "open": is_open.sum(axis=0).tolist(),
        "fates": [np.bincount(found[rule.label].fates, minlength=len(EventFate)).tolist() for rule in job.rules],
    }


def _codes(found: Mapping[str, LabelTimes], rules: Sequence[Rule]) -> I64:
    """Return the labels of impressions as bits, that of the first label lowest: int64 [N]."""
    bits = [(found[rule.label].time != NEVER).astype(np.int64) << place for place, rule in enumerate(rules)]
    codes: I64 = np.bitwise_or.reduce(np.stack(bits))
    return codes


def _save(path: Path, positions: I64, values: I64) -> None:
    order = np.argsort(positions, kind="stable")
    save_array(path, np.stack((positions[order], values[order])))


def _numbers(keys: Sequence[U64]) -> list[I64]:
    """Replace 128-bit keys by numbers that are equal where they are, the same for all arrays."""
    pairs = np.concatenate(keys)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    ordered = pairs[order]
    is_new = np.zeros(len(pairs), np.int64)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    numbers = np.empty(len(pairs), np.int64)
    numbers[order] = np.cumsum(is_new)
    return np.split(numbers, np.cumsum([len(each) for each in keys])[:-1])


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """The rows of one stream in a partition, as its files have them."""

    key: U64
    time: I64
    position: I64
    name: U64
    counts: list[int]
    """Rows of each file."""

    @classmethod
    def of(cls, work: Path, names: Sequence[str], partition: int, *, has_names: bool = False) -> "_Loaded":
        columns = ("time", "position", "key", *(("name",) if has_names else ()))
        parts = [read_block(work / "events" / name, partition, columns) for name in names]

        def joined(column: str, empty: Array) -> Array:
            return np.concatenate([empty, *(part[column] for part in parts)])

        return cls(
            key=joined("key", np.zeros((0, 2), np.uint64)),
            time=joined("time", np.zeros(0, np.int64)),
            position=joined("position", np.zeros(0, np.int64)),
            name=joined("name", np.zeros(0, np.uint64)) if has_names else np.zeros(0, np.uint64),
            counts=[len(part["time"]) for part in parts],
        )
