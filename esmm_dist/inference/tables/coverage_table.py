"""Show how much of a data set the known ids of each field cover."""

from collections.abc import Sequence

from esmm_dist.schema.coverage import FieldCoverage
from esmm_dist.text_table import text_table


def coverage_table(fields: Sequence[FieldCoverage]) -> list[str]:
    """Return a table with a row per field: its ids, and for each split the shares that are empty and unknown.

    Without a train split there are no counts of ids: they would read as if no id were known.
    """
    if not fields:
        return []
    splits = list(fields[0].splits)
    counts = ["ids in train", "kept"] if "train" in splits else []
    head = ["field", *counts, *(f"{split} {what}" for split in splits for what in ("empty", "unknown"))]
    rows = [
        [
            field.name if field.alias == field.name else f"{field.name} {field.alias}",
            *(_counts(field) if counts else []),
            *(
                _percent(share)
                for s in splits
                for share in (field.splits[s].empty_share, field.splits[s].unknown_share)
            ),
        ]
        for field in fields
    ]
    return text_table(head, rows)


def _counts(field: FieldCoverage) -> list[str]:
    """Return the field's ids in train and those kept; for a field with another field's ids, that field's name."""
    if field.ids_of is not None:
        return [f"of {field.ids_of}", ""]
    return ["" if ids is None else f"{ids:,}" for ids in (field.distinct_ids, field.kept_ids)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if share else "0"
