"""Write a synthetic log as events: impressions, and the events of each label in files of their own.

The impressions, their one-hot fields and their labels are those of the planted model. They are spread evenly over the
days; each label of one is an event that follows the event before within its window, and some events are planted that
the join must reject: repeats, events beyond their window, before their impression, or of no impression.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from esmm_dist.errors import ConfigError
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.block import Block, Generator
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.draws import Floats, Ints
from preprocess.synthetic.report import settings_mapping

REPORT_NAME = "synth.json"
SCHEMA_NAME = "schema.yaml"
BLOCK_IMPRESSIONS = 32_768

BEGIN_MS = 1_704_067_200_000
"""The first impression is shown after 2024-01-01 00:00 UTC."""
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_WINDOW_HOURS, _LATER_WINDOW_DAYS = 1, 3
_FIRST_DELAY_MS, _LATER_DELAY_MS = 45_000, 12 * _HOUR_MS
_PLANTED_SHARE = 0.005
"""Share of the impressions without the label that each kind of event is planted for, and of the events that repeat."""
_USER_FIELDS = {
    "user_id": "101",
    "profile_group": "122",
    "gender": "124",
    "age": "125",
    "consumption": "126",
    "geography": "129",
}
_OTHER_FIELDS = {
    "item_id": "item",
    "item_category": "item",
    "item_shop": "item",
    "item_brand": "item",
    "position": "context",
}

REPEATED, BEYOND, BEFORE, UNMATCHED = (
    "repeated_event",
    "event_beyond_window",
    "event_before_impression",
    "event_without_impression",
)


@dataclass(frozen=True, kw_only=True)
class EventLogReport:
    """What ``synthesize_events`` wrote."""

    out: str
    impressions: int
    days: int
    label_counts: dict[str, int]
    """For each label, the impressions that have it."""
    planted: dict[str, dict[str, int]]
    """For each label, the events that belong to no impression, by the reason for which they are rejected."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain dicts and numbers for JSON."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        lines = [f"Wrote a log of events to {self.out}", f"  {self.impressions:,} impressions of {self.days} days"]
        for label, count in self.label_counts.items():
            planted = ", ".join(f"{reason} {n:,}" for reason, n in self.planted[label].items())
            lines.append(f"  {count:,} have a {label}; other {label} events: {planted}")
        return [*lines, f"  esmm preprocess {self.out} DATA --schema {self.out}/{SCHEMA_NAME}"]


def synthesize_events(config: SynthConfig, progress: Progress | None = None) -> EventLogReport:
    """Write a synthetic log of events; all of it, or nothing.

    Args:
        config: what to write; the log has no test files (``test_share`` stands in its schema)
        progress: receives the number of impressions written

    Raises:
        ConfigError: The folder holds something else than an earlier synthetic log of events.
        StorageError: The folder cannot be written: no space, no permission.
    """
    listener, out = progress or NoProgress(), config.out
    if out.exists() and any(out.iterdir()) and not _is_ours(out):
        raise ConfigError(
            f"{out} holds files, and no {REPORT_NAME} beside them says that they are a synthetic log of events. Choose "
            "another folder, or move them away."
        )
    partial = out.with_name(f".{out.name}.partial")
    with refusals_named(out):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            report = _write(config, partial, listener)
            shutil.rmtree(out, ignore_errors=True)
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            listener.finish()
    return report


def _is_ours(out: Path) -> bool:
    try:
        return bool(json.loads((out / REPORT_NAME).read_bytes())["settings"]["form"] == "events")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(config: SynthConfig, folder: Path, progress: Progress) -> EventLogReport:
    folder.mkdir(parents=True)
    tree, generator = config.label_tree, Generator(config)
    for name in ("impressions", *tree.names):
        (folder / name).mkdir()
    counts = dict.fromkeys(tree.names, 0)
    planted: dict[str, dict[str, int]] = {label: {} for label in tree.names}
    progress.start("synth", config.impressions, "impressions")
    first_row = 0
    for number, done in enumerate(range(0, config.impressions, BLOCK_IMPRESSIONS)):
        size = min(BLOCK_IMPRESSIONS, config.impressions - done)
        block = generator.block(0, done, size, config.impressions, first_row)
        first_row += block.common.users.size
        shown = _shown_ms(config, done, size)
        pacsv.write_csv(_impressions(block, done, shown), folder / "impressions" / f"part-{number:05d}.csv")
        rng = np.random.default_rng([config.seed, 5, done])
        for label, events in _events(tree, block, shown, rng):
            counts[label] += int(events.counted.sum())
            for reason, count in events.planted.items():
                planted[label][reason] = planted[label].get(reason, 0) + count
            events.write(folder / label / f"part-{number:05d}", done, is_first=label == tree.names[0])
        progress.advance(size)
    report = EventLogReport(
        out=str(config.out),
        impressions=config.impressions,
        days=config.days,
        label_counts=counts,
        planted=planted,
    )
    (folder / SCHEMA_NAME).write_text(schema_text(config), encoding="utf-8")
    mapping = {"settings": settings_mapping(config), "report": report.to_mapping()}
    del mapping["report"]["out"]
    (folder / REPORT_NAME).write_text(json.dumps(mapping, indent=1) + "\n", encoding="utf-8")
    return report


def schema_text(config: SynthConfig) -> str:
    """Return the schema of a synthetic log of events."""
    tree = config.label_tree
    labels = ", ".join(
        name if parent == place - 1 else f"{name} after {tree.names[parent]}"
        for place, (name, parent) in enumerate(zip(tree.names, tree.parents, strict=True))
    )
    streams = [f'    {tree.names[0]}: {{files: "{tree.names[0]}/*.jsonl", time: at, window_hours: {_WINDOW_HOURS}}}']
    for place, name in enumerate(tree.names[1:], 1):
        after = tree.names[tree.parents[place]]
        streams.append(
            f'    {name}: {{files: "{name}/*.csv", time: at, window_days: {_LATER_WINDOW_DAYS}, after: {after}}}'
        )
    fields = [
        *(f"  - {{name: {name}, owner: user}}" for name in _USER_FIELDS),
        *(f"  - {{name: {name}, owner: {owner}}}" for name, owner in _OTHER_FIELDS.items()),
    ]
    lines = [
        "# Written by esmm synth --form events.",
        "name: synthetic-events",
        f"labels: [{labels}]",
        "source:",
        "  form: events",
        '  impressions: {files: "impressions/*.csv", time: shown_at}',
        "  join: [request_id]",
        "  labels:",
        *streams,
        f"  split: {{by: time, test_share: {config.test_share:g}}}",
        "fields:",
        *fields,
    ]
    return "\n".join(lines) + "\n"


def _shown_ms(config: SynthConfig, done: int, size: int) -> Ints:
    """Return when impressions are shown, ascending: int64 [B], milliseconds since 1970."""
    rank = np.arange(done, done + size)
    return BEGIN_MS + (rank * config.days * _DAY_MS) // config.impressions


def _impressions(block: Block, done: int, shown: Ints) -> pa.Table:
    """Return the rows of the impressions; an id that is missing is empty."""
    rows, of = block.shown.rows, block.shown
    columns: dict[str, pa.Array] = {
        "request_id": _requests(np.arange(done, done + len(shown))),
        "shown_at": pa.array(shown, pa.timestamp("ms")),
    }
    for name, code in _USER_FIELDS.items():
        columns[name] = _ids(block.common.users[rows] if code == "101" else block.common.profile[code][rows])
    items = (of.items, of.categories, of.shops, of.brands, of.positions)
    return pa.table(columns | {name: _ids(values) for name, values in zip(_OTHER_FIELDS, items, strict=True)})


def _ids(values: Ints) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _requests(numbers: Ints) -> pa.Array:
    return pa.array([f"r{number:010d}" for number in numbers.tolist()])


@dataclass(frozen=True, kw_only=True)
class _Events:
    """The events of one label for a block of B impressions."""

    times: Ints
    """When an impression has the label: int64 [B], milliseconds since 1970; -1: it has not."""
    others: list[tuple[Ints, Ints]] = field(default_factory=list)
    """Planted events: places of their impressions (at least B: of none), and times."""
    planted: dict[str, int] = field(default_factory=dict)

    @property
    def counted(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which impressions have the label: bool [B]."""
        return self.times >= 0

    def plant(self, reason: str, places: Ints, times: Ints) -> None:
        self.others.append((places, times))
        self.planted[reason] = len(places)

    def write(self, path: Path, done: int, *, is_first: bool) -> None:
        """Write the events in the order of their times: as JSON lines with milliseconds, or CSV with texts."""
        at = np.flatnonzero(self.counted)
        places = np.concatenate([at, *(places for places, _ in self.others)])
        times = np.concatenate([self.times[at], *(times for _, times in self.others)])
        order = np.lexsort((places, times))
        ids = [
            f"r{done + place:010d}" if place < len(self.times) else f"x{done + place:010d}"
            for place in places[order].tolist()
        ]
        if is_first:
            rows = (f'{{"request_id": "{id_}", "at": {time}}}\n' for id_, time in zip(ids, times[order], strict=True))
            path.with_suffix(".jsonl").write_text("".join(rows), encoding="utf-8")
        else:
            table = pa.table({"request_id": ids, "at": pa.array(times[order], pa.timestamp("ms"))})
            pacsv.write_csv(table, path.with_suffix(".csv"))


def _events(tree: LabelTree, block: Block, shown: Ints, rng: np.random.Generator) -> Iterator[tuple[str, _Events]]:
    """Yield the events of each label of a block."""
    times: list[Ints] = []
    for place, label in enumerate(tree.names):
        parent = tree.parents[place]
        before, has = (shown if parent < 0 else times[parent]), block.labels[:, place] == 1
        window = _WINDOW_HOURS * _HOUR_MS if parent < 0 else _LATER_WINDOW_DAYS * _DAY_MS
        delay = _delays(rng, _FIRST_DELAY_MS if parent < 0 else _LATER_DELAY_MS, window, len(shown))
        events = _Events(times=np.where(has, before + delay, -1))
        free = ~has & ((before >= 0) if parent >= 0 else np.ones(len(has), np.bool_))
        draw = rng.random(len(shown))

        def chosen(among: np.ndarray[Any, np.dtype[np.bool_]], part: int, draw: Floats = draw) -> Ints:
            low = part * _PLANTED_SHARE
            return np.flatnonzero(among & (draw >= low) & (draw < low + _PLANTED_SHARE))

        at = chosen(has & (delay < window), 0)
        events.plant(REPEATED, at, events.times[at] + 1)
        at = chosen(free, 1)
        events.plant(BEYOND, at, before[at] + window + 1 + _delays(rng, window, 10 * window, len(at)))
        at = chosen(free, 2)
        events.plant(BEFORE, at, before[at] - 1 - _delays(rng, 1000, 60_000, len(at)))
        at = chosen(np.ones(len(has), np.bool_), 3)
        events.plant(UNMATCHED, at + len(shown), shown[at])
        times.append(events.times)
        yield label, events


def _delays(rng: np.random.Generator, mean_ms: int, most_ms: int, count: int) -> Ints:
    """Draw delays, int64 [count]: exponential, at most ``most_ms``."""
    return np.minimum(rng.exponential(mean_ms, count).astype(np.int64), most_ms)
