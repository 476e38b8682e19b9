"""What ``esmm preprocess`` says about the data set that it has written, for a program."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.text_table import text_table
from launcher.terminal.json_line import json_value


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
    """Return what a data set holds, for a program."""
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
