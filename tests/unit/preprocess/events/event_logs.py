"""Small event logs whose flat log is known."""

import csv
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HOUR = 3_600
DAY = 24 * HOUR
BEGIN = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)

FIELDS = """
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
  - {name: price, owner: item, numeric: {buckets: quantile 4}}
"""
EVENTS = """
name: own
labels: [click, buy]
source:
  form: events
  impressions: {files: "%s", time: shown_at}
  join: [request]
  labels:
    click: {files: "click*", time: at, window_hours: 2}
    buy: {files: "buy*", time: at, window_days: 3, after: click}
"""
FLAT = """
name: own
labels: [click, buy]
source:
  form: flat
  files: {train: "%s"}
  labels: {click: click, buy: buy}
"""


@dataclass
class EventLog:
    """Impressions and events, and the labels that the join must find."""

    impressions: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"click": [], "buy": []})
    labels: list[tuple[int, int]] = field(default_factory=list)
    fates: dict[str, dict[str, int]] = field(default_factory=lambda: {"click": {}, "buy": {}})

    def add_event(self, label: str, at: int, request: str, fate: str = "joined") -> None:
        self.events[label].append({"request": request, "at": at})
        self.fates[label][fate] = self.fates[label].get(fate, 0) + 1


def make_log(impressions: int = 400, seed: int = 3) -> EventLog:
    """Draw a log in which every event has a fate that is known when it is drawn."""
    draw, log = np.random.default_rng(seed), EventLog()
    for number in range(impressions):
        request, shown = f"r{number}", int(draw.integers(8 * DAY))
        price = float(draw.integers(1, 100))
        user, item = f"u{draw.integers(40)}", int(draw.integers(20))
        log.impressions.append({"request": request, "shown_at": shown, "user": user, "item": item, "price": price})
        kind = draw.integers(10)
        if kind == 0:
            log.add_event("click", shown + 2 * HOUR + 1, request, "event_beyond_window")
        if kind == 1:
            log.add_event("click", shown - 1, request, "event_before_impression")
            log.add_event("buy", shown + HOUR, request, "event_without_label_before")
        if kind < 6:
            log.labels.append((0, 0))
            continue
        clicked = shown + int(draw.integers(2 * HOUR + 1))
        log.add_event("click", clicked, request)
        if kind == 6:
            log.add_event(
                "click", clicked + 1, request, "repeated_event" if clicked < shown + 2 * HOUR else "event_beyond_window"
            )
        bought = bool(draw.integers(2))
        if bought:
            log.add_event("buy", clicked + int(draw.integers(3 * DAY + 1)), request)
        elif kind == 7:
            log.add_event("buy", clicked + 3 * DAY + 1, request, "event_beyond_window")
        log.labels.append((1, int(bought)))
    log.add_event("click", 5 * DAY, "no-such-request", "event_without_impression")
    log.events = {label: [events[i] for i in draw.permutation(len(events))] for label, events in log.events.items()}
    return log


def as_text(second: int) -> str:
    return (BEGIN + datetime.timedelta(seconds=second)).replace(tzinfo=None).isoformat()


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], times: Sequence[str] = ("at", "shown_at")) -> None:
    """Write rows in the form that the file's name says: times as texts, as milliseconds (JSON), as timestamps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: as_text(v) if k in times else v for k, v in row.items()} for row in rows)
        return
    of_epoch = [{k: (int(BEGIN.timestamp()) + v) * 1000 if k in times else v for k, v in row.items()} for row in rows]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in of_epoch))
        return
    table = pa.Table.from_pylist(of_epoch)
    for name in set(times) & set(table.column_names):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.timestamp("ms", "Europe/Berlin")))
    pq.write_table(table, path, row_group_size=70)


def write_log(folder: Path, log: EventLog, ending: str = "csv", parts: int = 2) -> tuple[Path, str]:
    """Write the streams of a log, each in some files; return the raw folder and the schema."""
    raw = folder / "raw"
    streams = {"shown": log.impressions, **log.events}
    for name, rows in streams.items():
        for part in range(parts):
            here = rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]
            write_rows(raw / f"{name}-{part}.{ending}", here)
    schema = folder / "events.yaml"
    schema.write_text(EVENTS % "shown*" + FIELDS)
    return raw, str(schema)


def write_flat(folder: Path, log: EventLog, ending: str = "csv", parts: int = 2) -> tuple[Path, str]:
    """Write the same log with its labels as columns."""
    rows = [{**row, "click": click, "buy": buy} for row, (click, buy) in zip(log.impressions, log.labels, strict=True)]
    raw = folder / "flat"
    for part in range(parts):
        here = rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]
        write_rows(raw / f"shown-{part}.{ending}", here)
    schema = folder / "flat.yaml"
    schema.write_text(FLAT % "shown*" + FIELDS)
    return raw, str(schema)
