"""What the manifest says of a data set, from what the stages counted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.coverage import coverage_of, coverage_warnings
from esmm_dist.schema.learnable import label_warnings
from esmm_dist.schema.manifest import DataFile, DatasetManifest, Split
from preprocess.identity import INPUTS
from preprocess.join.known_ids import KNOWN_IDS_NAME
from preprocess.join.vocabulary import RARE_IDS_NAME, VOCABULARY_NAME
from preprocess.layout import Layout
from preprocess.read.raw_files import inputs_setting
from preprocess.report import days_report, split_report, vocabulary_report
from preprocess.stages.context import RunContext
from preprocess.stages.events_stage import EVENT_REJECTS
from preprocess.stages.parse_stage import ParsedLog
from preprocess.stages.records_stage import Records
from preprocess.stages.reject_stage import AcceptedLines
from preprocess.work.workers import Result


def make_report(
    run: RunContext, accepted: AcceptedLines, layout: Layout, vocabulary: Sequence[Result], records: Records
) -> dict[str, Any]:
    """Report what was counted.

    Raises:
        InputDataError: The numbers do not add up: a file in ``.work`` was changed by someone else.
    """
    splits = {
        split: split_report(
            split, run.schema, accepted.tables[split], list(records[split].values()), accepted.first_rejects[split]
        )
        for split in run.splits
    }
    report = {"layout": layout.report(), "splits": splits, "vocabulary": vocabulary_report(run.schema, vocabulary)}
    source = run.schema.flat_source
    if run.config.day_choice.is_made and source is not None and source.time is not None:
        tables = {split: tally["log"] for split, tally in accepted.tables.items()}
        report["days"] = days_report(source.time, source.time_zone, tables)
    return report


def describe_data_set(
    run: RunContext, parsed: ParsedLog, layout: Layout, report: Mapping[str, Any], splits: Mapping[str, Split]
) -> DatasetManifest:
    """Return the manifest of the finished files."""
    of_train = report["splits"].get("train", {})
    impressions = of_train.get("skeleton", of_train.get("log", {}))
    warnings = [*parsed.empty_files, *_warnings(run, layout, report, splits)]
    return DatasetManifest(
        schema=run.schema,
        compression=run.config.compression,
        lanes=layout.lanes,
        group_size=layout.group_size,
        splits=dict(splits),
        vocabulary_file=VOCABULARY_NAME,
        vocabulary_size=sum(field["kept_ids"] for field in report["vocabulary"].values()),
        other_files=tuple(_other_files(run)),
        keep_negatives=run.config.keep_negatives,
        left_out_negatives=impressions.get("left_out_negatives", 0),
        settings={**run.settings, **layout.settings, INPUTS: inputs_setting(run.raw, parsed.checksums)},
        report={**report, "warnings": warnings},
    )


def _warnings(run: RunContext, layout: Layout, report: Mapping[str, Any], splits: Mapping[str, Split]) -> Iterator[str]:
    yield from label_warnings(run.schema, splits)
    coverage = coverage_of(run.schema, report, {name: split.impressions for name, split in splits.items()})
    source = run.schema.flat_source
    rule = source.split if source is not None else None
    apart = {"test": {rule.column}} if rule is not None and not rule.is_by_time else {}
    if run.config.validation_share:
        users = {field.name for field in run.schema.user_fields}
        crosses = {field.name for field in run.schema.fields if users & set(field.cross)}
        for split in ("validation", "test"):  # the users of the cut may be in test too
            apart[split] = apart.get(split, set()) | users | crosses
    yield from coverage_warnings(coverage, min_count=layout.min_count, carried=run.known is not None, apart=apart)


def _other_files(run: RunContext) -> Iterator[DataFile]:
    """Describe the finished files that hold no records."""
    rejects = [run.reject_path(name) for name in (*run.splits, EVENT_REJECTS)]
    for path in (*(run.final / name for name in (VOCABULARY_NAME, RARE_IDS_NAME, KNOWN_IDS_NAME)), *rejects):
        if path.is_file():
            name = path.relative_to(run.final).as_posix()
            yield DataFile(path=name, file_bytes=path.stat().st_size, crc32c=file_crc32c(path))
