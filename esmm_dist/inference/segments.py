"""The segments of an evaluation: its metrics by the values of fields, of known and unseen users, of popular items.

Keys of impressions (``impression_keys``) go with their scores into ``LabelTreeMetrics``; what comes out is named here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.inference.impression_keys import (
    KNOWN,
    ImpressionKeys,
    KeyKind,
    KnownUserKeys,
    PopularityKeys,
    ValueKeys,
    item_field,
    one_hot_field,
)
from esmm_dist.inference.popularity import GROUPS, item_groups
from esmm_dist.inference.value_texts import KeptTexts, keeps_texts_of, texts_of_ids
from esmm_dist.input.one_hot_ids import OneHotIds
from esmm_dist.model.metrics.segment_sums import SegmentMetrics
from esmm_dist.model.metrics.task_report import TaskReport
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest

USERS, ITEMS = "users", "items"
_BY = "by "


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of the impressions."""

    name: str
    """What its impressions have in common: a value, or ``known``, ``popular``, ``all others``, ``no id``."""

    id: int | None
    """Feature id of the value; None: it is not one value."""

    note: str
    """More about what is in it; may be empty."""

    tasks: Mapping[str, SegmentMetrics]
    """Metrics by task; a task that counts none of its impressions is not there."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        tasks = {}
        for task, metrics in self.tasks.items():
            tasks[task] = {name: each for name, each in asdict(metrics).items() if name not in _INNER}
        return {"name": self.name, "id": self.id, "note": self.note, "tasks": tasks}


_INNER = ("kind", "key", "distinct_keys")


@dataclass(frozen=True, kw_only=True)
class SegmentTable:
    """All impressions, cut into segments."""

    name: str
    """``users``, ``items``, or the name of a field, whose values the segments are then."""

    by_values: bool
    title: str
    """What the segments are of, for people."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """The segments that a report is to have."""

    by: tuple[str, ...]
    by_values: int
    segments: bool
    item_field: str | None


def requested_keys(
    request: SegmentRequest, data: Path, manifest: DatasetManifest, progress: Progress, *, user_field: str | None
) -> ImpressionKeys:
    """Return what finds the keys of a data set's impressions.

    Args:
        request: which segments there are to be
        data: data set
        manifest: manifest of the data set
        progress: receives a message for segments that there cannot be
        user_field: name of the field of the user's id; None: the model sees none

    Raises:
        ConfigError: A field is not there, multi-hot, or named twice.
        InputDataError: The vocabulary of the data set is damaged.
    """
    schema = manifest.schema
    kinds: dict[str, KeyKind] = {}
    if request.segments:
        if user_field is not None:
            kinds[USERS] = KnownUserKeys(field=schema.field(user_field))
        else:
            progress.message("No segments of users: the model sees no one-hot user field. --gauc-field names another.")
        item = item_field(schema, request.item_field)
        items = item_groups(data, manifest, item) if item is not None else None
        if item is None or items is None:
            progress.message("No segments of items: the schema has no one-hot item field. --item-field names another.")
        elif not len(items.ids):
            progress.message(f"No segments of items: {data} counts no train impression of an id of '{item.name}'.")
        else:
            kinds[ITEMS] = PopularityKeys(ids=OneHotIds(schema, item), field=item, items=items)
    for name in request.by:
        field = one_hot_field(schema, name, setting="by")
        if _BY + field.name in kinds:
            raise ConfigError(f"by names field '{field.name}' twice. Name it once.")
        texts = KeptTexts(schema, field) if keeps_texts_of(schema, field) else None
        kinds[_BY + field.name] = ValueKeys(schema, field, request.by_values, texts)
    return ImpressionKeys(kinds)


def named_segments(
    keys: ImpressionKeys, reports: Mapping[str, TaskReport], schema: Schema, world: World
) -> list[SegmentTable]:
    """Return the segments with their names; a collective, the same on every rank.

    Args:
        keys: what found the keys
        reports: what ``LabelTreeMetrics`` returned, by task
        schema: schema of the data set
        world: ranks of the evaluation
    """
    tables = []
    for place, (name, kind) in enumerate(keys.kinds.items()):
        by_task = {task: report.segments[place] for task, report in reports.items()}
        match kind:
            case ValueKeys():
                tables.append(_by_values(kind, by_task, schema, world))
            case KnownUserKeys():
                names = {
                    KNOWN: ("known", "the model has learned the id"),
                    1 - KNOWN: ("unseen", "it has not, or no id"),
                }
                tables.append(_fixed(name, f"user ({_shown(kind.field)})", names, by_task))
            case PopularityKeys():
                of_groups = zip(("unseen", *GROUPS), kind.items.notes, strict=True)
                tables.append(_fixed(name, f"item ({_shown(kind.field)})", dict(enumerate(of_groups)), by_task))
    return tables


def _fixed(
    kind: str,
    title: str,
    names: Mapping[int, tuple[str, str]],
    by_task: Mapping[str, tuple[SegmentMetrics, ...]],
) -> SegmentTable:
    """Return segments in the order of ``names``, a name and a note by key, those without impressions left out."""
    segments = []
    for key, (name, note) in names.items():
        tasks = {task: each for task, found in by_task.items() for each in found if each.key == key}
        if tasks:
            segments.append(Segment(name=name, id=None, note=note, tasks=tasks))
    return SegmentTable(name=kind, by_values=False, title=title, segments=tuple(segments))


def _by_values(
    kind: ValueKeys, by_task: Mapping[str, tuple[SegmentMetrics, ...]], schema: Schema, world: World
) -> SegmentTable:
    """Return segments in the order in which the first task has them: the most frequent values first."""
    all_impressions = next(iter(by_task.values()))
    ids = [each.key for each in all_impressions if each.key is not None]
    kept = {} if kind.texts is None else kind.texts.by_id
    own = [(id_, kept[id_]) for id_ in ids if id_ in kept]
    texts = {id_: text for of_rank in world.gather_values(own) for id_, text in of_rank}
    texts = texts_of_ids(schema, kind.field, ids, texts)
    segments = []
    for segment in all_impressions:
        tasks = {
            task: each
            for task, found in by_task.items()
            for each in found
            if (each.kind, each.key) == (segment.kind, segment.key)
        }
        if segment.kind == "key":
            assert segment.key is not None  # by its kind
            unknown = f"id {segment.key}" if schema.flat_source is not None else str(segment.key)
            name, note = texts.get(segment.key, unknown), ""
        elif segment.kind == "others":
            name, note = (
                "all others",
                f"{segment.distinct_keys:,} " + ("value" if segment.distinct_keys == 1 else "values"),
            )
        else:
            name, note = "no id", ""
        segments.append(Segment(name=name, id=segment.key, note=note, tasks=tasks))
    return SegmentTable(name=kind.field.name, by_values=True, title=_shown(kind.field), segments=tuple(segments))


def _shown(field: Field) -> str:
    return field.name if field.alias == field.name else f"{field.name} {field.alias}"
