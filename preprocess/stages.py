"""The stages of one run: each hands tasks to the pool and keeps what they counted.

::

    raw logs --parse--> rows by user context --repeats--> lines to drop
                              |                               |
                              +--count--> vocabulary ---------+
                              |                               |
                              +--records (join, filter, group, encode) --deal--> pieces of lanes --write--> shards

A stage that is done in full is kept as ``all-NAME.json``; the files that only it and earlier stages read are deleted
then, so that the disk holds little more than the rows and the records at once.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.config import build
from esmm_dist.errors import InputDataError
from esmm_dist.progress import Progress
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.coverage import coverage_of, coverage_warnings
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.learnable import label_warnings
from esmm_dist.schema.manifest import DataFile, DatasetManifest, Shard, Split
from esmm_dist.schema.sources import FlatSource
from preprocess.config import PreprocessConfig
from preprocess.join.count import count_partition
from preprocess.join.known import KNOWN_IDS_NAME, KnownIds, known_paths, scatter_known
from preprocess.join.partition import PartitionSource, RowFile
from preprocess.join.repeats import find_repeats, merge_repeats
from preprocess.join.skew import split_partition, split_sources
from preprocess.join.vocabulary import VOCABULARY_NAME, MergeJob, merge_counts, write_vocabulary
from preprocess.layout import Layout, choose_layout, layout_lines, layout_report
from preprocess.plan import Plan
from preprocess.read.chunks import CHUNK_BYTES
from preprocess.read.empty_files import empty_file_notes
from preprocess.read.flat_header import columns_read
from preprocess.read.flat_stage import PARSE, flat_tasks
from preprocess.read.inputs import InputFile
from preprocess.read.known_inputs import (
    CHECKED_COLUMNS,
    RawFile,
    check_unchanged,
    checksum_tasks,
    checksums_of_chunks,
    inputs_setting,
)
from preprocess.read.parse_stage import ParseJob, parse_tasks
from preprocess.read.row_files import RowKind, rows_path
from preprocess.read.time_split import find_test_begin
from preprocess.report import check_kept, split_report, total, vocabulary_report
from preprocess.settings import INPUTS
from preprocess.tally import TableTally, check_both_splits
from preprocess.workers import Pool, Result, Task
from preprocess.write.lanes import PIECE_COLUMNS, LanesJob, cut_slices, deal_slice, num_parts, num_slices, write_lane
from preprocess.write.publish import FINAL_FOLDER
from preprocess.write.records import RecordsJob, records_path, write_records
from preprocess.write.reject_files import REPEAT_REASONS, write_reject_file

Tables = dict[str, dict[str, TableTally]]
"""Counts of lines by split and kind of file."""


class Stages:
    """Runs the stages in one workspace. Used once, in one thread."""

    def __init__(
        self,
        config: PreprocessConfig,
        schema: Schema,
        files: list[InputFile],
        raw: Mapping[str, RawFile],
        plan: Plan,
        settings: dict[str, Any],
        known: KnownIds | None,
        work: Path,
        pool: Pool,
        progress: Progress,
    ) -> None:
        """Keep what all stages share: ``settings`` and ``raw`` files go into the manifest, ``known`` ids are kept."""
        self._config, self._schema, self._files, self._raw, self._plan = config, schema, files, raw, plan
        self._known = known
        self._settings, self._work, self._pool, self._progress = settings, work, pool, progress
        self._layout: Layout  # set by run, once the size of the log is known
        self._splits = list(dict.fromkeys(file.split for file in files))
        for name in ("chunks", "counts", "records", "pieces", FINAL_FOLDER, *(f"final/{s}" for s in self._splits)):
            (work / name).mkdir(exist_ok=True)
        (work / FINAL_FOLDER / "rejects").mkdir(exist_ok=True)

    def run(self) -> DatasetManifest:
        """Do what is left to do; return the manifest of what then stands in ``work/final``."""
        tables, partition_bytes, checksums = self._parse()
        empty_files = empty_file_notes(self._files, tables)
        source = self._schema.source
        if isinstance(source, FlatSource) and source.split is not None:
            check_both_splits(source.split, {split: of_split["log"] for split, of_split in tables.items()})
        first_rejects = self._find_repeats(tables)
        for split, of_split in tables.items():
            for kind, tally in of_split.items():
                see = f"See {self._reject_path(split)}."
                first = first_rejects[split].get(kind, {})
                tally.check_share(split, kind, self._config.max_reject_share, see, first)
        train_impressions = self._train_impressions(tables)
        layout = self._layout = choose_layout(self._settings, train_impressions)
        chosen = layout_report(layout, train_impressions)
        for line in layout_lines(chosen):
            self._progress.message(line)
        buckets = self._count(tables, partition_bytes)
        check_kept(buckets, self._layout.min_count, by_table=self._known is not None and "table" in self._known.paths)
        records = self._write_records(tables, partition_bytes)
        splits, report = {}, {}
        for split in self._splits:
            counted = list(records[split].values())
            report[split] = split_report(split, self._schema, tables[split], counted, first_rejects[split])
            splits[split] = self._write_shards(split, records[split])
        vocabulary = vocabulary_report(self._schema, buckets)
        return DatasetManifest(
            schema=self._schema,
            compression=self._config.compression,
            lanes=layout.lanes,
            group_size=layout.group_size,
            splits=splits,
            vocabulary_file=VOCABULARY_NAME,
            vocabulary_size=sum(field["kept_ids"] for field in vocabulary.values()),
            other_files=tuple(self._other_files()),
            settings={**self._settings, **layout.settings, INPUTS: inputs_setting(self._raw, checksums)},
            report={
                "layout": chosen,
                "splits": report,
                "vocabulary": vocabulary,
                "warnings": [*empty_files, *self._warnings(splits, {"splits": report, "vocabulary": vocabulary})],
            },
        )

    def _warnings(self, splits: dict[str, Split], report: dict[str, Any]) -> list[str]:
        coverage = coverage_of(self._schema, report, {name: split.impressions for name, split in splits.items()})
        carried = self._known is not None
        rule = self._schema.source.split if isinstance(self._schema.source, FlatSource) else None
        return [
            *label_warnings(self._schema, splits),
            *coverage_warnings(
                coverage,
                min_count=self._layout.min_count,
                carried=carried,
                split_by=rule.column if rule is not None and not rule.is_by_time else None,
            ),
        ]

    def _parse(self) -> tuple[Tables, dict[str, list[int]], dict[str, int]]:
        tables: Tables = {s: {f.kind: TableTally() for f in self._files if f.split == s} for s in self._splits}
        known = self._pool.result("all-parse")
        if known is None:
            known = self._parse_all(tables)
            self._pool.keep("all-parse", known)
        for split, of_split in known["tables"].items():
            tables[split] = {kind: TableTally.from_mapping(mapping) for kind, mapping in of_split.items()}
        return tables, known["partition_bytes"], known["checksums"]

    def _parse_all(self, tables: Tables) -> Result:
        plain = all(file.packing == "plain" for file in self._files)
        source = self._schema.source
        flat = isinstance(source, FlatSource)
        # A file whose rows are in both splits is read once.
        files = [f for f in self._files if f.split in source.files] if isinstance(source, FlatSource) else self._files
        job = ParseJob(
            work=self._work,
            schema=self._schema,
            partitions=self._plan.partitions,
            chunk_bytes=CHUNK_BYTES,
            piece_items=self._plan.piece_items,
        )
        if isinstance(source, FlatSource) and source.split is not None and source.split.is_by_time:
            job = replace(job, test_begin=find_test_begin(job, files, self._pool, self._progress))
        text_bytes = sum(file.path.stat().st_size for file in files)
        self._progress.start("read", float(text_bytes) if plain else None, "B")
        tasks = flat_tasks(job, files, PARSE) if flat else parse_tasks(job, files)
        sizes = {split: np.zeros(self._plan.partitions, np.int64) for split in self._splits}
        checked: list[Result] = []
        hopeless: list[tuple[str, str]] = []
        # What was begun is ended, so that the rejects of an early stop have no gap and know their lines.
        for _, result in self._pool.run(takewhile(lambda _: not hopeless, tasks), self._progress):
            for chunk in result["chunks"]:
                checked.append({name: chunk[name] for name in CHECKED_COLUMNS if name in chunk})
                split, kind = chunk["split"], chunk["kind"]
                tally = tables[split][kind]
                tally.add(chunk)
                sizes[split] += np.array(chunk["partition_bytes"], np.int64)
                if tally.is_hopeless(self._config.max_reject_share):
                    hopeless.append((split, kind))
        if hopeless:
            self._stop_early(tables, *hopeless[0])
        packed = self._pool.run_all(checksum_tasks(files), self._progress).values()
        check_unchanged(self._raw, self._files)
        return {
            "checksums": {
                **checksums_of_chunks(files, checked),
                **{file["name"]: file["crc32c"] for file in packed},
            },
            "tables": {s: {k: t.to_mapping() for k, t in of_split.items()} for s, of_split in tables.items()},
            "partition_bytes": {split: size.tolist() for split, size in sizes.items()},
        }

    def _train_impressions(self, tables: Tables) -> int:
        """Return the impressions of the train split, once repeats are rejected."""
        train = tables.get("train")
        tally = (train.get("skeleton") or train["log"]) if train is not None else TableTally()
        return tally.lines - sum(tally.rejected.values())

    def _stop_early(self, tables: Tables, split: str, kind: str) -> None:
        """Keep the rejects of what was read of a split, and raise."""
        tally = tables[split][kind]
        first = self._write_rejects(split, tables)
        see = f"The run stopped after {tally.lines:,} lines; see {self._reject_path(split)}."
        tally.check_share(split, kind, self._config.max_reject_share, see, first.get(kind, {}))

    def _find_repeats(self, tables: Tables) -> dict[str, dict[str, dict[str, str]]]:
        """Find repeated names, add them to the rejects' counts, and write the files of rejects.

        Returns:
            For each split, kind of file and reason, where the first rejected line stands, in words.
        """
        first = {}
        for split in self._splits:
            for kind, lines in self._named_rows(tables[split]).items():
                name = f"all-repeats-{split}-{kind}"
                known = self._pool.result(name)
                if known is None:
                    known = self._find_repeats_of(kind, split, lines)
                    self._pool.keep(name, known)
                if known["repeats"]:
                    lines.rejected[REPEAT_REASONS[kind]] += known["repeats"]
            written = self._pool.result(f"all-rejects-{split}")
            if written is None:
                written = {"first": self._write_rejects(split, tables)}
                self._pool.keep(f"all-rejects-{split}", written)
            first[split] = written["first"]
        return first

    def _write_rejects(self, split: str, tables: Tables) -> dict[str, dict[str, str]]:
        of_split = [f for f in self._files if f.split == split]
        listed: list[tuple[InputFile, RowKind, TableTally]] = [
            (f, "common" if f.kind == "common" else "skeleton", tables[split][f.kind]) for f in of_split
        ]
        flat = isinstance(self._schema.source, FlatSource)
        columns = list(columns_read(self._schema)) if flat else []
        return write_reject_file(self._reject_path(split), self._work, listed, CHUNK_BYTES, columns)

    def _named_rows(self, of_split: dict[str, TableTally]) -> dict[RowKind, TableTally]:
        """Return the kinds of rows whose names must not repeat, with the counts of their lines."""
        source = self._schema.source
        if isinstance(source, FlatSource):  # its common rows repeat, as each chunk has its own
            return {"skeleton": of_split["log"]} if source.sample_id is not None else {}
        return {"skeleton": of_split["skeleton"], "common": of_split["common"]}

    def _find_repeats_of(self, kind: RowKind, split: str, tally: TableTally) -> Result:
        partitions = range(self._plan.partitions)
        name = "log" if isinstance(self._schema.source, FlatSource) else kind
        self._progress.start(f"look for repeats ({split}, {name})", float(len(partitions)), "partitions")
        chunks = tally.chunks(split)
        tasks = (
            Task(
                name=f"repeats-{split}-{kind}-{p:04d}",
                function=find_repeats,
                arguments={"work": self._work, "kind": kind, "split": split, "chunks": chunks, "partition": p},
                size=1.0,
            )
            for p in partitions
        )
        self._pool.run_all(tasks, self._progress)
        return merge_repeats(self._work, kind, split, len(partitions))

    def _reject_path(self, split: str) -> Path:
        return self._work / FINAL_FOLDER / "rejects" / f"{split}.jsonl"

    def _sources(self, split: str, tables: Tables, sizes: dict[str, list[int]]) -> list[tuple[PartitionSource, float]]:
        """List the partitions of a split, with their bytes; those that memory does not hold are cut."""
        common, skeleton = (self._row_files(kind, split, tables) for kind in ("common", "skeleton"))
        limit = self._plan.partition_limit_bytes
        fitting, parts = [], {}
        for p, size in enumerate(sizes[split]):
            source = PartitionSource(name=f"{split}-{p:04d}", split=split, index=p, common=common, skeleton=skeleton)
            if size <= limit:
                fitting.append((source, float(size)))
            else:
                parts[f"split-{source.name}-in-{2 * size // limit:04d}"] = (source, int(2 * size // limit), size)
        if parts:
            self._progress.start(f"cut large partitions ({split})", float(sum(s for _, _, s in parts.values())), "B")
        shared = {"work": self._work, "seed": self._config.seed}
        tasks = (
            Task(
                name=name,
                function=split_partition,
                arguments={**shared, "source": source, "parts": count},
                size=float(size),
            )
            for name, (source, count, size) in parts.items()
        )
        for name, result in sorted(self._pool.run_all(tasks, self._progress).items()):
            fitting += split_sources(self._work, parts[name][0], result)
        return fitting

    def _row_files(self, kind: RowKind, split: str, tables: Tables) -> tuple[RowFile, ...]:
        tally = tables[split].get(kind) or tables[split]["log"]
        source = self._schema.source
        before = tally.rows_before()
        numbered = isinstance(source, FlatSource) and source.sample_id is None
        return tuple(
            RowFile(
                path=rows_path(self._work, kind, chunk),
                base=chunk.base,
                first_sample_id=1 + before[chunk.file, chunk.chunk] if numbered and kind == "skeleton" else 0,
            )
            for chunk in tally.chunks(split)
        )

    def _count(self, tables: Tables, sizes: dict[str, list[int]]) -> list[Result]:
        known = self._pool.result("all-counts")
        if known is None:
            sources = self._sources("train", tables, sizes) if "train" in self._splits else []
            buckets = self._plan.partitions
            self._progress.start("count ids", sum(size for _, size in sources), "B")
            shared = {"work": self._work, "schema": self._schema, "buckets": buckets}
            self._pool.run_all(
                (
                    Task(name=f"count-{s.name}", function=count_partition, arguments={**shared, "source": s}, size=size)
                    for s, size in sources
                ),
                self._progress,
            )
            known = {"buckets": self._merge_counts(tuple(s.name for s, _ in sources), buckets)}
            self._pool.keep("all-counts", known)
        merged: list[Result] = known["buckets"]
        return merged

    def _merge_counts(self, names: tuple[str, ...], buckets: int) -> list[Result]:
        blocks = self._scatter_known(buckets)
        self._progress.start("make the vocabulary", float(buckets), "buckets")
        schema = self._schema
        job = MergeJob(
            work=self._work,
            names=names,
            known_fields=tuple(known_paths(self._work, "field", blocks)),
            known_tables=tuple(known_paths(self._work, "table", blocks)),
            table_of_field=tuple(schema.tables.index(field.table) for field in schema.fields),
            min_count=self._layout.min_count,
        )
        tasks = (
            Task(name=f"merge-{b:04d}", function=merge_counts, arguments={"job": job, "bucket": b}, size=1.0)
            for b in range(buckets)
        )
        merged = list(self._pool.run_all(tasks, self._progress).values())
        write_vocabulary(
            self._work / FINAL_FOLDER / VOCABULARY_NAME,
            self._work,
            schema,
            buckets,
            np.sum([bucket["kept_ids"] for bucket in merged], axis=0).tolist(),
            job.known_tables,
            int(self._config.memory_gb * 1e9),
        )
        return merged

    def _scatter_known(self, buckets: int) -> dict[str, int]:
        """Put the known ids into buckets; return the number of their files. They go with the data set, too."""
        if self._known is None:
            return {}
        self._progress.start("read the known ids", 1.0, "steps")
        arguments = {"work": self._work, "known": self._known, "schema": self._schema, "buckets": buckets}
        task = Task(name="known", function=scatter_known, arguments=arguments, size=1.0)
        result = self._pool.run_all([task], self._progress)["known"]
        if result["unused"]:
            self._progress.message(f"Not used: known ids of {', '.join(result['unused'])}, which the schema lacks.")
        of_tables = self._known.paths.get("table")
        if of_tables is not None:
            shutil.copyfile(of_tables, self._work / FINAL_FOLDER / KNOWN_IDS_NAME)
        blocks: dict[str, int] = result["blocks"]
        return blocks

    def _write_records(self, tables: Tables, sizes: dict[str, list[int]]) -> dict[str, dict[str, Result]]:
        """Return what was counted, by split and partition."""
        known = self._pool.result("all-records")
        if known is None:
            sources = [source for split in self._splits for source in self._sources(split, tables, sizes)]
            self._progress.start("write records", sum(size for _, size in sources), "B")
            job = RecordsJob(
                work=self._work,
                schema=self._schema,
                group_size=self._layout.group_size,
                seed=self._config.seed,
            )
            results = self._pool.run_all(
                (
                    Task(name=f"records-{s.name}", function=write_records, arguments={"job": job, "source": s}, size=z)
                    for s, z in sources
                ),
                self._progress,
            )
            known = {split: {} for split in self._splits}
            for source, _ in sources:
                known[source.split][source.name] = results[f"records-{source.name}"]
            self._pool.keep("all-records", known)
        self._empty("chunks", "counts")
        return known

    def _write_shards(self, split: str, records: dict[str, Result]) -> Split:
        total_bytes = total(list(records.values()), "bytes")
        job = LanesJob(
            work=self._work,
            split=split,
            names=tuple(records),
            slices=num_slices(total_bytes),
            lanes=self._layout.lanes,
            compression=self._config.compression,
        )
        pieces = self._deal(job, float(total_bytes))
        lane_bytes = pieces[:, :, 2]
        offsets = np.cumsum(lane_bytes, axis=1) - lane_bytes
        parts = num_parts(int(lane_bytes.sum()), job.lanes, job.slices, self._config.shard_bytes)
        self._progress.start(f"write shards ({split})", float(lane_bytes.sum()), "B")
        folder = self._work / FINAL_FOLDER / split
        tasks = (
            Task(
                name=f"lane-{split}-{lane:04d}",
                function=write_lane,
                arguments={
                    "job": job,
                    "folder": folder,
                    "lane": lane,
                    "parts": parts,
                    "offsets": offsets[:, lane],
                    "pieces": pieces[:, lane],
                },
                size=float(lane_bytes[:, lane].sum()),
            )
            for lane in range(job.lanes)
        )
        lanes = self._pool.run_all(tasks, self._progress)
        shards = [shard for name in sorted(lanes) for shard in lanes[name]["shards"]]
        results = list(records.values())
        labels = self._schema.labels
        counts = np.sum([r["label_counts"] for r in results], axis=0).tolist()
        broken = np.sum([r["broken_chains"] for r in results], axis=0).tolist()
        return Split(
            records=total(results, "records"),
            impressions=total(results, "impressions"),
            label_counts=dict(zip(labels, counts, strict=True)),
            broken_chains=dict(zip(labels[1:], broken[1:], strict=True)),
            shards=tuple(build(Shard, shard, where="shards", error=InputDataError) for shard in shards),
        )

    def _other_files(self) -> Iterator[DataFile]:
        """Describe the finished files that hold no records."""
        final = self._work / FINAL_FOLDER
        rejects = [self._reject_path(split) for split in self._splits]
        for path in (final / VOCABULARY_NAME, final / KNOWN_IDS_NAME, *rejects):
            if path.is_file():
                name = path.relative_to(final).as_posix()
                yield DataFile(path=name, file_bytes=path.stat().st_size, crc32c=file_crc32c(path))

    def _empty(self, *names: str) -> None:
        """Delete files that only finished stages read."""
        self._pool.syncs.before_deleting()
        for name in names:
            for path in (self._work / name).iterdir():
                path.unlink()

    def _deal(self, job: LanesJob, total_bytes: float) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Deal all slices; return the pieces, int64 [slices, lanes, len(PIECE_COLUMNS)]."""
        known = self._pool.result(f"all-pieces-{job.split}")
        if known is None:
            known = {"pieces": self._deal_all(job, total_bytes)}
            self._pool.keep(f"all-pieces-{job.split}", known)
        self._pool.syncs.before_deleting()
        for name in job.names:
            records_path(self._work, name).unlink(missing_ok=True)
        return np.array(known["pieces"], np.int64).reshape(job.slices, job.lanes, len(PIECE_COLUMNS))

    def _deal_all(self, job: LanesJob, total_bytes: float) -> list[list[list[int]]]:
        cuts = cut_slices(self._work, job.names, job.slices)
        before = np.concatenate(([0], np.cumsum(np.diff(cuts, axis=1).sum(axis=0))))
        self._progress.start(f"deal into lanes ({job.split})", total_bytes, "B")
        tasks = (
            Task(
                name=f"deal-{job.split}-{k:06d}",
                function=deal_slice,
                arguments={
                    "job": job,
                    "number": k,
                    "first_record": int(before[k]),
                    "begins": cuts[:, k],
                    "ends": cuts[:, k + 1],
                },
                size=total_bytes / job.slices,
            )
            for k in range(job.slices)
        )
        dealt = self._pool.run_all(tasks, self._progress)
        return [dealt[name]["lanes"] for name in sorted(dealt)]
