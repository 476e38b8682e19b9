"""What ``esmm preprocess`` says about the data set that it has written, for a reader and for a program."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.schema.coverage import dataset_coverage
from esmm_dist.schema.manifest import DatasetManifest
from launcher.terminal.coverage_table import coverage_table
from launcher.terminal.json_line import json_value
from launcher.terminal.progress import short_bytes
from launcher.terminal.text_table import text_table


def report_lines(out: Path, manifest: DatasetManifest) -> list[str]:
    """Return what a data set holds, for a reader."""
    ids = f"{manifest.vocabulary_size:,} feature ids in use" if manifest.vocabulary_size else "the ids of a run's rows"
    lines = [f"Data set {out}: schema {manifest.schema.name}, {ids}"]
    for name, split in manifest.splits.items():
        size = sum(shard.file_bytes for shard in split.shards)
        each = f", {size / split.impressions:.0f} bytes an impression" if split.impressions else ""
        labels = ", ".join(_counted(count, label) for label, count in split.label_counts.items())
        tree = manifest.schema.label_tree
        broken = [
            f"{_counted(split.broken_chains[label], label)} without {tree.names[parent]}"
            for label, parent in zip(tree.names, tree.parents, strict=True)
            if split.broken_chains.get(label)
        ]
        kept = f" ({', '.join(broken)}: kept, but not positive)" if broken else ""
        lines.append(
            f"  {name}: {split.impressions:,} impressions in {split.records:,} records, {labels}{kept}; "
            f"{short_bytes(size)} in {len(split.shards)} shards{each}"
        )
    fields = dataset_coverage(manifest)
    if fields:
        lines += [
            "",
            *coverage_table(fields),
            "empty: impressions without an id in the log; unknown: without a kept one",
        ]
    lines += [f"Warning: {line}" for line in manifest.report.get("warnings", [])]
    return lines


def days_lines(out: Path, days: Mapping[str, DatasetManifest]) -> list[str]:
    """Return what the data sets of days hold, for a reader: a line for each, and the warnings of the last one."""
    labels = next(iter(days.values())).schema.labels
    rows: list[list[str]] = []
    known = 0
    for day, manifest in days.items():
        for number, (name, split) in enumerate(manifest.splits.items()):
            counts = [f"{split.label_counts[label]:,}" for label in labels]
            ids = [f"{manifest.vocabulary_size:,}", f"{manifest.vocabulary_size - known:,}"] if not number else ["", ""]
            rows.append([day if not number else "", name, f"{split.impressions:,}", *counts, *ids])
        known = manifest.vocabulary_size
    warnings = list(days.values())[-1].report.get("warnings", [])
    return [
        f"{len(days)} data sets in {out}, each continuing the one before:",
        *text_table(["day", "split", "impressions", *labels, "ids", "new ids"], rows),
        *(f"Warning of the last day: {line}" for line in warnings),
    ]


def report_mapping(out: Path, manifest: DatasetManifest) -> dict[str, Any]:
    """Return the same for a program."""
    splits = {
        name: {
            "impressions": split.impressions,
            "records": split.records,
            "label_counts": split.label_counts,
            "broken_chains": split.broken_chains,
            "bytes": sum(shard.file_bytes for shard in split.shards),
            "shards": len(split.shards),
        }
        for name, split in manifest.splits.items()
    }
    result = {"data": out, "schema": manifest.schema.name, "vocabulary_size": manifest.vocabulary_size}
    mapping = json_value(result | {"splits": splits, "report": manifest.report})
    assert isinstance(mapping, dict)
    return mapping


def _counted(count: int, label: str) -> str:
    return f"{count:,} {label}{'' if count == 1 else 's'}"
