"""What preprocess has counted and is not in the records: dropped ids, rejected lines, impressions left out."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.report.data_statistics.field_results import DroppedIds
from esmm_dist.report.data_statistics.statistics import Funnel
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import DatasetManifest

RARE_IDS_NAME = "rare_ids.parquet"

_TABLES = ("skeleton", "common", "log")


class PreprocessReport:
    """Reads the report in a manifest; of one that an older version wrote less is known."""

    def __init__(self, folder: Path, manifest: DatasetManifest, share: float) -> None:
        """Take the report of a data set.

        Args:
            folder: folder of the data set
            manifest: its manifest
            share: share of the data set that is looked at; what was counted in all of it is taken times this
        """
        self._manifest, self._share = manifest, share
        self._splits: Mapping[str, Any] = manifest.report.get("splits", {})
        self._vocabulary: Mapping[str, Mapping[str, int]] = manifest.report.get("vocabulary", {})
        self.is_whole = share == 1
        self._rare: Mapping[str, I64] = {}
        self._rarest: Mapping[str, I64] = {}
        if "train" in manifest.splits and self.is_whole:
            self._rare = _counts_of_file(folder / RARE_IDS_NAME)
        elif "train" in manifest.splits:
            self._rarest = _counts_of_file(folder / manifest.vocabulary_file, self._min_count or 1)

    def funnel_of_log(self, split: str) -> tuple[dict[str, int], int]:
        """Return the labels whose labels before are 0 in the log, and the negatives that were left out."""
        manifest = self._manifest
        left_out = manifest.left_out_negatives if split == "train" else 0
        broken = dict(manifest.splits[split].broken_chains) if self._share == 1 else {}
        return broken, round(left_out * self._share)

    def dropped(self, field: Field) -> DroppedIds:
        """Return what was dropped of a field."""
        vocabulary = self._vocabulary.get(field.id_space, {})
        rarest = self._rarest.get(field.id_space)
        is_shared = sum(each.id_space == field.id_space for each in self._manifest.schema.fields) > 1
        return DroppedIds(
            ids=vocabulary.get("dropped_ids"),
            occurrences={split: self._occurrences(split, field.name) for split in self._manifest.splits},
            impressions={split: self._unknown(split, field.name) for split in self._manifest.splits},
            train_counts=self._train_counts(field, vocabulary),
            min_count=self._min_count,
            has_kept_in_train=vocabulary.get("unseen_ids") == 0,
            rarest_occurrences=0.0 if rarest is None or is_shared else float(rarest.sum()) * self._share,
            is_shared=is_shared,
        )

    @property
    def _min_count(self) -> int | None:
        given = self._manifest.settings.get("min_count")
        return given if isinstance(given, int) else None

    def _occurrences(self, split: str, field: str) -> int | None:
        dropped = self._splits.get(split, {}).get("dropped_occurrences")
        return None if dropped is None else round(dropped.get(field, 0) * self._share)

    def _unknown(self, split: str, field: str) -> int | None:
        fields = self._splits.get(split, {}).get("fields")
        return None if fields is None else round(fields[field]["unknown"] * self._share)

    def _train_counts(self, field: Field, vocabulary: Mapping[str, int]) -> I64 | None:
        """Return the counts of the dropped ids: int64 [n]; None where earlier days count too, or nothing says."""
        if not vocabulary:
            return None
        counts = self._rare.get(field.id_space, np.empty(0, np.int64))
        counted = (len(counts), int(counts.sum()))
        return counts if counted == (vocabulary["dropped_ids"], vocabulary["dropped_occurrences"]) else None

    def days(self) -> dict[str, dict[str, Funnel]]:
        """Return the impressions and labels of each day, of a log with a time; none in an older data set."""
        return {
            split: {day: self._funnel_of_day(found) for day, found in self._splits[split]["days"].items()}
            for split in self._manifest.splits
            if self._splits.get(split, {}).get("days")
        }

    def _funnel_of_day(self, found: Mapping[str, Any]) -> Funnel:
        return Funnel(
            impressions=round(found["impressions"] * self._share),
            labels={label: round(count * self._share) for label, count in found["labels"].items()},
            broken=found["broken"] if self._share == 1 else {},
            left_out_negatives=round(found.get("left_out_negatives", 0) * self._share),
        )

    def rejected(self) -> dict[str, int]:
        """Return the lines of the log that were rejected, by reason; of the events of a label, by both."""
        total: Counter[str] = Counter()
        for of_split in self._splits.values():
            for table in _TABLES:
                total.update(of_split.get(table, {}).get("rejected", {}))
        for label, of_label in self._manifest.report.get("events", {}).get("labels", {}).items():
            total.update({f"{label}: {reason}": count for reason, count in of_label["rejected"].items()})
        return dict(total)

    def left_out(self) -> dict[str, int]:
        """Return the impressions of the log that are not in the data set, by reason."""
        tables = [of_split[table] for of_split in self._splits.values() for table in _TABLES if table in of_split]
        reasons = {
            "negatives left out by preprocess": self._manifest.left_out_negatives,
            "impressions whose labels could still change": sum(table.get("too_recent", 0) for table in tables),
            "impressions of other days": sum(table.get("other_days", 0) for table in tables),
        }
        return {reason: count for reason, count in reasons.items() if count}


def _counts_of_file(path: Path, count: int | None = None) -> dict[str, I64]:
    """Return the counts of the ids in a vocabulary, by field; nothing where the file is missing or damaged.

    Args:
        path: a Parquet file with columns ``field`` and ``count``
        count: the only count to return; None: all
    """
    if not path.exists():
        return {}
    import pyarrow as pa  # here: it takes a tenth of a second
    import pyarrow.parquet as pq

    found: dict[str, list[I64]] = {}
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["field", "count"]):
                fields = batch.column("field")
                codes, counts = np.asarray(fields.indices), np.asarray(batch.column("count"))
                if count is not None:
                    codes, counts = codes[counts == count], counts[counts == count]
                for code in np.unique(codes):
                    found.setdefault(fields.dictionary[int(code)].as_py(), []).append(counts[codes == code])
    except pa.ArrowException:
        return {}
    return {field: np.concatenate(parts) for field, parts in found.items()}
