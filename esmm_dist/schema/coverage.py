"""How far the known ids of each field cover a data set: what preprocess counted, and what in it needs a warning.

An impression is, for a field, *empty* if the log gives it no id there, and *unknown* if it has ids there and none of
them is kept: to the model the two are the same, for a user they are not.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.schema.sources import SPLITS

_LARGE_UNKNOWN = 0.5
"""So large a share of unknown impressions means that the field says little to the model."""
_MUCH_MORE_UNKNOWN = 0.1
_MUCH_MORE_EMPTY = 0.2
"""A split with so much more of them than train is not like train: a model cannot use there what it has learned."""
_NONE_APART: Mapping[str, Collection[str]] = MappingProxyType({})
_MANY_IDS = 100
_FEW_KEPT = 0.01
"""Where so few of many ids are kept, almost every value is rare: the field is a number, not a category."""


@dataclass(frozen=True, kw_only=True)
class SplitCoverage:
    """Impressions of one split, as one field sees them."""

    impressions: int
    empty: int
    unknown: int

    @property
    def empty_share(self) -> float:
        """Share of the impressions without an id in the log, in [0, 1]."""
        return self.empty / max(self.impressions, 1)

    @property
    def unknown_share(self) -> float:
        """Share of the impressions with ids of which none is known, in [0, 1]."""
        return self.unknown / max(self.impressions, 1)

    @property
    def is_all_unknown(self) -> bool:
        """Whether there are ids, and not one is known."""
        return 0 < self.unknown == self.impressions - self.empty


@dataclass(frozen=True, kw_only=True)
class FieldCoverage:
    """One field of a data set."""

    name: str
    alias: str
    ids_of: str | None
    """Field whose ids it has. None: its own; else the counts of ids are that field's."""
    distinct_ids: int | None
    """Ids that train impressions hold; None if an older version wrote the data set."""
    kept_ids: int | None
    """Ids of the field in the vocabulary, those carried over from another data set among them."""
    splits: Mapping[str, SplitCoverage]

    @property
    def shown(self) -> str:
        """The field as messages name it."""
        return f"'{self.name}'" if self.alias == self.name else f"'{self.name}' ({self.alias})"


def coverage_of(schema: Schema, report: Mapping[str, Any], impressions: Mapping[str, int]) -> list[FieldCoverage]:
    """Read the coverage of each field from a data set's report.

    Args:
        schema: schema of the data set
        report: its report; one that an older version wrote gives nothing
        impressions: number of impressions of each split
    """
    splits, vocabulary = report.get("splits", {}), report.get("vocabulary", {})
    if not splits or any("fields" not in of_split for of_split in splits.values()):
        return []
    return [
        FieldCoverage(
            name=field.name,
            alias=field.alias,
            ids_of=field.ids_of,
            distinct_ids=vocabulary[field.id_space]["distinct_ids"],
            kept_ids=vocabulary[field.id_space]["kept_ids"],
            splits={
                split: SplitCoverage(impressions=impressions[split], **of_split["fields"][field.name])
                for split, of_split in splits.items()
            },
        )
        for field in schema.fields
    ]


def scored_coverage(
    manifest: DatasetManifest, split: str, counts: Mapping[str, tuple[int, int, int]]
) -> list[FieldCoverage]:
    """Return the coverage of a split by the ids that a model has learned, beside that of train as preprocess saw it.

    Args:
        manifest: manifest of the data set
        split: the split that was scored
        counts: for each field that the model sees the impressions that were scored, those with ids in the records, and
            those with ids that the model has learned
    """
    known = {each.name: each for each in dataset_coverage(manifest)}
    fields = []
    for field in manifest.schema.fields:
        if field.name not in counts:
            continue
        impressions, with_ids, with_known = counts[field.name]
        before = known.get(field.name)
        empty = impressions - with_ids if before is None else min(before.splits[split].empty, impressions - with_known)
        scored = SplitCoverage(impressions=impressions, empty=empty, unknown=impressions - with_known - empty)
        train = {"train": before.splits["train"]} if before is not None and "train" in before.splits else {}
        fields.append(
            FieldCoverage(
                name=field.name,
                alias=field.alias,
                ids_of=field.ids_of,
                distinct_ids=before.distinct_ids if before is not None else None,
                kept_ids=before.kept_ids if before is not None else None,
                splits={**train, split: scored},
            )
        )
    return fields


def fields_cut_by(manifest: DatasetManifest, split: str) -> list[str]:
    """Return the fields by whose values a split was cut out of train, so that its values are unknown on purpose.

    The Ali-CCP form is cut by user context: where one user has several, some of them stay in train.
    """
    source, found = manifest.schema.flat_source, set[str]()
    if split != "train" and manifest.settings.get("validation_share"):
        found |= {field.name for field in manifest.schema.split_fields}
    if source is not None and split == "test" and source.split is not None and not source.split.is_by_time:
        found.add(source.split.column)
    return [field.name for field in manifest.schema.fields if field.name in found or found & set(field.cross)]


def scored_warnings(fields: Sequence[FieldCoverage], split: str, cut_by: Collection[str] = ()) -> list[str]:
    """Return a sentence for each field of which a model knows too little in the split that it has scored.

    Args:
        fields: all fields
        split: the split that was scored
        cut_by: fields by whose values the split was cut out of train, so that none of them can be known
    """
    if _knows_nothing(fields, split):
        return [
            f"The model has learned not one id of the {split} split: all impressions look the same to it. Is this the "
            "data of another log?"
        ]
    lines = []
    for field in fields:
        if field.name in cut_by:
            continue
        scored, train = field.splits[split], field.splits.get("train")
        before = train.unknown_share if train is not None and split != "train" else 0.0
        if scored.is_all_unknown:
            lines.append(
                f"Field {field.shown}: the model has learned not one of its ids in the {split} split. {_other(split)}"
            )
        elif scored.unknown_share - before >= _MUCH_MORE_UNKNOWN:
            lines.append(
                f"Field {field.shown}: {scored.unknown_share:.0%} of the {split} impressions hold no id that the model "
                "has learned. If it knows more than the data set's vocabulary, preprocess with --vocabulary RUN."
            )
    return lines


def dataset_coverage(manifest: DatasetManifest) -> list[FieldCoverage]:
    """Return the coverage of each field of a data set; nothing if an older version wrote it."""
    impressions = {name: split.impressions for name, split in manifest.splits.items()}
    return coverage_of(manifest.schema, manifest.report, impressions)


def coverage_warnings(
    fields: Sequence[FieldCoverage],
    *,
    min_count: int,
    carried: bool,
    apart: Mapping[str, Collection[str]] = _NONE_APART,
) -> list[str]:
    """Return a sentence for each field of a data set whose known ids cover too little, the gravest first.

    Args:
        fields: all fields
        min_count: setting of preprocess
        carried: whether ids were carried over from another data set or a run
        apart: for each split that was cut out of train, the fields whose ids are in one of the two only
    """
    lines: list[str] = []
    others = [split for split in SPLITS if split != "train"]
    for split in others:
        if _knows_nothing(fields, split):
            carried_hint = "The ids are others, or written otherwise, than those of --like or --vocabulary."
            lines.append(
                f"Not one id of the {split} split is known: every prediction there is the same. "
                + (carried_hint if carried else _other(split))
            )
    if lines:
        return lines
    for field in fields:
        of_train = _train_warning(field, min_count)
        of_others = (_split_warning(field, split) for split in others if field.name not in apart.get(split, ()))
        lines += [of_train] if of_train is not None else [text for text in of_others if text is not None]
        lines += _empty_warnings(field)
    return lines


def _empty_warnings(field: FieldCoverage) -> list[str]:
    """Warn of a field without a value in train, or in many more impressions of another split."""
    train = field.splits.get("train")
    if train is None or not train.impressions:
        return []
    if train.empty == train.impressions:
        return [f"Field {field.shown}: no train impression has a value. Fill the column, or leave the field out."]
    return [
        f"Field {field.shown}: {found.empty_share:.0%} of the {split} impressions have no value, and "
        f"{train.empty_share:.0%} of train, where a model learns what its absence means. Is the column filled alike?"
        for split, found in field.splits.items()
        if split != "train" and found.impressions and found.empty_share - train.empty_share >= _MUCH_MORE_EMPTY
    ]


def _other(split: str) -> str:
    return f"Train and {split} write their ids differently, or hold others: compare the two files."


def _knows_nothing(fields: Sequence[FieldCoverage], split: str) -> bool:
    """Return whether a split has ids, and not one of any field is known."""
    of_split = [field.splits[split] for field in fields if split in field.splits]
    return any(each.unknown for each in of_split) and all(
        each.unknown + each.empty == each.impressions for each in of_split
    )


def _train_warning(field: FieldCoverage, min_count: int) -> str | None:
    train = field.splits.get("train")
    if train is None or not field.distinct_ids or field.kept_ids is None:
        return None
    kept = f"{field.kept_ids:,} of {field.distinct_ids:,} ids kept"
    if field.ids_of is not None and not field.kept_ids:
        return None  # its owner has the warning
    if field.kept_ids <= _FEW_KEPT * field.distinct_ids and field.distinct_ids >= _MANY_IDS:
        return (
            f"Field {field.shown}: {kept}, as almost every value is seldom. If it is a number (a time, a price, a "
            "count), make it numeric in the schema of a flat log; else lower min_count, or leave the field out."
        )
    if not field.kept_ids:
        return f"Field {field.shown}: {kept}, so it says nothing to a model. Lower min_count, or leave the field out."
    if train.unknown_share >= _LARGE_UNKNOWN:
        return (
            f"Field {field.shown}: {train.unknown_share:.0%} of the train impressions have no known id "
            f"({kept}; min_count is {min_count}). Lower min_count if the model is to use them."
        )
    return None


def _split_warning(field: FieldCoverage, split: str) -> str | None:
    """Warn of a split, other than train, whose ids of a field are unknown."""
    found, train = field.splits.get(split), field.splits.get("train")
    if found is None:
        return None
    if found.is_all_unknown:
        return f"Field {field.shown}: not one of its ids in the {split} split is known. {_other(split)}"
    before = train.unknown_share if train is not None else 0.0
    if found.unknown_share - before >= _MUCH_MORE_UNKNOWN:
        beside = f" ({before:.0%} of the train impressions)" if train is not None else ""
        return (
            f"Field {field.shown}: {found.unknown_share:.0%} of the {split} impressions{beside} have no known id: "
            "theirs are new, or written differently. If an earlier model knows them, preprocess with --vocabulary RUN."
        )
    return None
