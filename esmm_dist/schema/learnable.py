"""Whether a data set holds anything to learn: ids, and impressions of both kinds for each label."""

from collections.abc import Mapping

from esmm_dist.errors import InputDataError
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest, Split


def check_learnable(manifest: DatasetManifest) -> None:
    """Check that a model can learn from the train split; without one there is nothing to check.

    Raises:
        InputDataError: It has no id, or no impression where the first label is 1.
    """
    train = manifest.splits.get("train")
    if train is None or not train.impressions:
        return
    if not manifest.vocabulary_size:
        raise InputDataError(
            "No feature id is kept in the data set, so that all impressions look the same to a model. Preprocess the "
            f"log with a smaller --min-count (it was {manifest.settings.get('min_count', 'not recorded')})."
        )
    if manifest.report.get("splits", {}).get("train", {}).get("sample_weight") == 0:
        raise InputDataError(
            f"The sample weights of all {train.impressions:,} train impressions are 0, so there is nothing to learn. "
            "Check the column that source.weight of the schema names."
        )
    first = manifest.schema.labels[0]
    if not train.label_counts[first]:
        raise InputDataError(
            f"Label '{first}' is 0 in all {train.impressions:,} train impressions, so there is nothing to learn. "
            f"{_where(manifest.schema, first)}"
        )


def label_warnings(schema: Schema, splits: Mapping[str, Split]) -> list[str]:
    """Return a sentence for each label that has one value only, among the impressions that it is measured on."""
    lines: list[str] = []
    tree = schema.label_tree
    for name, split in splits.items():
        for label, parent in zip(tree.names, tree.parents, strict=True):
            before = split.impressions if parent < 0 else split.label_counts[tree.names[parent]]
            among = "impressions" if parent < 0 else f"impressions with {tree.names[parent]}"
            count = split.label_counts[label]
            if before and count in (0, before):
                lines.append(
                    f"Label '{label}' is {int(count > 0)} in all {before:,} {among} of the {name} split: "
                    f"{_consequence(label, name, count, is_first=parent < 0)} {_where(schema, label)}"
                )
    return lines


def _consequence(label: str, split: str, count: int, *, is_first: bool) -> str:
    if split != "train":
        return "its AUC is not defined there."
    if count:
        return f"a model learns nothing about it. A log of impressions with {label} alone lacks those without."
    return "esmm train refuses it." if is_first else "a model learns that it never happens."


def _where(schema: Schema, label: str) -> str:
    if schema.events_source is not None:
        return (
            f"Check the files of source.labels.{label}, its window and source.join; the report counts what was joined."
        )
    if schema.flat_source is not None:
        return f"Check column '{schema.flat_source.labels[label]}' of the log, or source.labels of the schema."
    return "Check the label columns of the sample_skeleton file."
