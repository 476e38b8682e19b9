"""Event logs: impressions and the events of each label as files of their own, which preprocess joins."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.feature_id import ID_HASH
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.sources import SPLITS, UTF_8, ColumnSplit, FlatSource
from esmm_dist.schema.time_zone import UTC, zone_of

Touch = Literal["last", "first", "every"]

_HOURS_A_DAY = 24
_MICROSECONDS_AN_HOUR = 3_600_000_000
_MOST_HOURS = 24 * 366 * 100


@dataclass(frozen=True, kw_only=True)
class ImpressionStream:
    """The files of the impressions, with the columns of the fields."""

    files: str | dict[str, str]
    """Name or glob of the files, relative to the raw folder; or one for each split (``train``, ``validation``,
    ``test``), as a flat log has them."""

    time: str
    """Column with the time of the impression: numbers (seconds, milliseconds, ... since 1970; 20240131), ISO 8601
    texts, or dates and timestamps of Parquet. A time without a zone is in ``source.time_zone``."""

    def __post_init__(self) -> None:
        for split, pattern in self.of_splits.items():
            if split not in SPLITS:
                raise SchemaError(
                    f"source.impressions.files names files for '{split}', which is not a split."
                    f"{nearest_hint(split, SPLITS)}"
                )
            if not pattern.strip():
                raise SchemaError("source.impressions.files is empty. Name a file, or a pattern such as shown/*.csv.")
        if not self.of_splits:
            raise SchemaError("source.impressions.files is empty. Name a file, or a pattern such as shown/*.csv.")
        if not self.time:
            raise SchemaError("source.impressions.time is empty. Name the column with the time of the impressions.")

    @property
    def of_splits(self) -> Mapping[str, str]:
        """Name or glob of the files of each split."""
        return {"train": self.files} if isinstance(self.files, str) else self.files


@dataclass(frozen=True, kw_only=True)
class LabelStream:
    """The files of the events of one label, and which impressions an event makes positive."""

    files: str
    """Name or glob of the files, relative to the raw folder."""

    time: str
    """Column with the time of the event, as that of the impressions."""

    window_hours: float | None = None
    """Attribution window in hours, both ends included: an event that comes later counts for nothing. Set this or
    ``window_days``."""

    window_days: float | None = None
    """The same in days of 24 hours."""

    after: str | None = None
    """Label whose event begins the window, and which an impression needs: ``click`` for a conversion within 7 days of
    the click. None: the window begins with the impression."""

    touch: Touch = "last"
    """Which of several impressions of one key (``source.join``) within the window gets the event: the ``last`` one
    before it, the ``first``, or ``every`` one. Where ``after`` names a label, the last or first event of that label
    decides."""

    def __post_init__(self) -> None:
        if (self.window_hours is None) == (self.window_days is None):
            both = "both set" if self.window_hours is not None else "not set"
            raise SchemaError(
                f"window_hours and window_days are {both}. Set one: how long after the impression an event counts."
            )
        hours = self.window_hours if self.window_hours is not None else (self.window_days or 0) * _HOURS_A_DAY
        if not (math.isfinite(hours) and 0 < hours <= _MOST_HOURS):
            name = "window_hours" if self.window_hours is not None else "window_days"
            raise SchemaError(f"{name} is {getattr(self, name):g}. Set a number above 0 and up to 100 years.")
        for name in ("files", "time"):
            if not getattr(self, name).strip():
                raise SchemaError(f"{name} is empty. Name the files of the label's events, and the column of the time.")

    @property
    def window_us(self) -> int:
        """The window in microseconds."""
        hours = self.window_hours if self.window_hours is not None else (self.window_days or 0) * _HOURS_A_DAY
        return round(hours * _MICROSECONDS_AN_HOUR)


@dataclass(frozen=True, kw_only=True)
class EventsSource:
    """A user's own log as events: impressions, clicks, conversions in files of their own (README, "Event logs")."""

    form: Literal["events"]

    impressions: ImpressionStream
    """The impressions: each row is one, and has the columns of the fields."""

    join: tuple[str, ...]
    """Columns that all files have, by which an event finds its impressions: ``[request_id]``, ``[request_id, item_id]``
    or ``[user_id, item_id]``. Equal values are equal in any type, as feature ids are. A row without a value in one of
    them is rejected."""

    labels: dict[str, LabelStream]
    """The events of each label of the schema."""

    joined_by: Literal["id", "time"] | None = None
    """``id``: the values of ``join`` name one impression; a later one with the same values is a repeat, and rejected.
    ``time``: many impressions may have the same values, and time decides which of them gets an event (``touch``). None:
    ``id`` if ``join`` names one column, ``time`` if it names several."""

    time_zone: str = UTC
    """Zone of times that carry none: a name of the IANA database, such as ``Europe/Berlin``."""

    sample_id: str | None = None
    """Column of the impressions that names them, as in a flat log. Impressions of the same name and ``join`` are
    repeats: the earliest counts."""

    sample_id_form: Literal["number", "text"] | None = None
    """As in a flat log: ``number`` or ``text``; None: found out."""

    keep: tuple[str, ...] = ()
    """Columns of the impressions that ``esmm predict --keep`` can write beside the predictions."""

    weight: str | None = None
    """Column of the impressions with their sample weight."""

    split: ColumnSplit | None = None
    """How to cut the test split out of the impressions of ``train``. By time, without a column, it is that of the
    impressions."""

    delimiter: str | None = None
    """The character between the columns of text files; ``tab`` for a tab. None: a tab in ``.tsv``, a comma in
    ``.csv``."""

    encoding: str = UTF_8
    """Encoding of text files."""

    decimal: Literal[".", ","] = "."
    """The decimal mark of numbers in texts."""

    list_separator: str = "|"
    """Between the ids of a multi-hot text column."""

    weight_separator: str = ":"
    """Between an id and its weight in a weighted text column."""

    id_hash: str = ID_HASH
    """Hash of the feature ids: ``farmhash64``."""

    def __post_init__(self) -> None:
        if not self.join:
            raise SchemaError("source.join is empty. Name the columns by which events find their impressions.")
        twice = [column for column in self.join if self.join.count(column) > 1]
        if twice:
            raise SchemaError(f"source.join names column '{twice[0]}' twice. Name it once.")
        zone_of(self.time_zone)
        for label, stream in self.labels.items():
            if self.is_by_id and stream.touch != "last":
                raise SchemaError(
                    f"source.labels.{label}.touch is '{stream.touch}', but one impression at most has the values of "
                    "source.join (joined_by: id). Set joined_by: time where several may, or leave out touch."
                )
        _ = self.flat  # whose settings are checked too

    @property
    def is_by_id(self) -> bool:
        """Whether the values of ``join`` name one impression."""
        return self.joined_by == "id" if self.joined_by is not None else len(self.join) == 1

    @cached_property
    def flat(self) -> FlatSource:
        """The joined log: the impressions with a column for each label, named after it."""
        split = self.split
        if split is not None and split.is_by_time and split.time == "time":
            split = replace(split, time=self.impressions.time)
        own = {each.name for each in fields(self)} - {"form", "labels", "split"}
        shared: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in fields(FlatSource) if each.name in own
        }
        return FlatSource(
            form="flat",
            files=dict(self.impressions.of_splits),
            labels={label: label for label in self.labels},
            split=split,
            time=self.impressions.time,
            **shared,
        )


def check_streams(source: EventsSource, tree: LabelTree) -> None:
    """Check that each label of a schema has its events, and that windows begin with events that come before.

    Raises:
        SchemaError: A label has none, or is unknown; or ``after`` is no label on its way.
    """
    names: Sequence[str] = tree.names
    for label in source.labels:
        if label not in names:
            raise SchemaError(
                f"source.labels names '{label}', which is not a label of the schema.{nearest_hint(label, names)}"
            )
    for place, label in enumerate(names):
        if label not in source.labels:
            raise SchemaError(f"source.labels names no events for label '{label}'. Add their files.")
        after = source.labels[label].after
        before = [names[each] for each in tree.path(place)[:-1]]
        if after is not None and after not in before:
            allowed = f"Name one of {', '.join(before)}, or leave out after" if before else "Leave out after"
            raise SchemaError(
                f"source.labels.{label}.after is '{after}', which is not a label on the way to '{label}'. {allowed}: "
                "the window then begins with the impression."
            )
