"""Stage 0 of an event log: join the events to the impressions. The flat stages then read the impressions."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.event_source import EventsSource
from esmm_dist.schema.fields import Schema
from preprocess.config import PreprocessConfig
from preprocess.events.attribute import Rule
from preprocess.events.inputs import find_event_files
from preprocess.events.join import JoinJob, join_partition
from preprocess.events.moments import moment_of, moment_shown
from preprocess.events.read import Stream, impression_stream, label_stream, read_task
from preprocess.events.reject_files import RejectedEvents, join_reject_files
from preprocess.events.report import check_joined, check_readable, join_report
from preprocess.read.flat.tasks import flat_tasks
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.stages.context import RunContext
from preprocess.work.workers import PoolTask, Result

EVENT_REJECTS = "events"
"""Name of the rejects of events, beside those of the splits."""


def find_events(
    config: PreprocessConfig, schema: Schema, files: Sequence[InputFile], *, needs_all: bool
) -> list[InputFile]:
    """List the files of the labels' events; none where the log is none of events.

    Raises:
        ConfigError: Settings of event logs are made for another log.
        InputDataError: A label has no file.
    """
    source = schema.events_source
    if source is not None:
        return find_event_files(config.raw, source, schema.labels, files, needs_all=needs_all)
    named = {"open_window": config.open_window != "negative", "log_end": config.log_end is not None}
    for name, is_set in named.items():
        if is_set:
            raise ConfigError(
                f"{name} is {getattr(config, name)}, but the log of schema '{schema.name}' is none of events "
                f"(source.form: events). Leave out {name}."
            )
    return []


def join_events(run: RunContext) -> Mapping[str, Any] | None:
    """Join what is not joined yet; return the report, or None if the log needs no join.

    Raises:
        InputDataError: A file is damaged, too many events cannot be read, or none belongs to an impression.
        SchemaError: The files do not fit the schema.
        ConfigError: ``log_end`` is no time.
    """
    source = run.schema.events_source
    if source is None:
        return None
    report = run.pool.once("all-events", lambda: _join_all(run, source))
    check_joined(report)
    return report


def _join_all(run: RunContext, source: EventsSource) -> Result:
    (run.work / "events").mkdir(exist_ok=True)
    labels = run.schema.labels
    impressions = [file for file in run.files if not file.is_cut]
    streams = {label: label_stream(source, label, place) for place, label in enumerate(labels)}
    of_label = {label: [file for file in run.event_files if file.split == streams[label].name] for label in labels}
    of_impressions = _read(run, impression_stream(source), impressions)
    of_events = {label: _read(run, streams[label], of_label[label]) for label in labels}
    for label in labels:
        check_readable(label, of_events[label], run.config.max_reject_share)
    job = JoinJob(
        work=run.work,
        rules=tuple(
            Rule(label=label, window_us=stream.window_us, after=stream.after, touch=stream.touch)
            for label, stream in ((label, source.labels[label]) for label in labels)
        ),
        is_by_id=source.is_by_id,
        has_names=impression_stream(source).sample_id is not None,
        impression_files=tuple((result["split"], result["path"]) for result in of_impressions),
        event_files={label: tuple(result["path"] for result in results) for label, results in of_events.items()},
        end_us=_log_end(run, source, [*of_impressions, *(each for found in of_events.values() for each in found)]),
        drops_open=run.config.open_window == "drop",
    )
    partitions = run.plan.partitions
    tasks = (
        PoolTask(
            name=f"join-{partition:04d}",
            function=join_partition,
            arguments={"job": job, "partition": partition},
            size=1.0,
        )
        for partition in range(partitions)
    )
    joined = run.run_all("join events", tasks, float(partitions), "partitions")
    report = join_report(
        labels,
        of_events,
        [joined[name] for name in sorted(joined)],
        log_end=moment_shown(job.end_us, source.time_zone),
        open_window=run.config.open_window,
    )
    first = _list_rejects(run, streams, of_label, of_events)
    for label, found in report["labels"].items():
        found["first_rejected"] = {reason: first[label][reason] for reason in found["rejected"]}
    run.delete_read(
        run.work / "events" / result["path"] for each in (of_impressions, *of_events.values()) for result in each
    )
    return report


def _read(run: RunContext, stream: Stream, files: Sequence[InputFile]) -> list[Result]:
    """Read the keys and times of a stream; return what its tasks did, in the order of the log."""
    text_bytes = float(sum(file.path.stat().st_size for file in files))
    plain = all(file.packing == "plain" for file in files)
    what = "impressions" if stream.is_impressions else stream.columns[stream.time].split(".")[2]
    tasks = flat_tasks(_job(run), files, read_task(stream))
    results = run.run_all(f"read keys ({what})", tasks, text_bytes, "B") if plain else None
    if results is None:
        run.progress.start(f"read keys ({what})", None, "B")
        results = run.pool.run_all(tasks, run.progress)
    return sorted(results.values(), key=lambda result: (result["split"], result["file"], result["chunk"]))


def _job(run: RunContext) -> ParseJob:
    return ParseJob(
        work=run.work,
        schema=run.schema,
        partitions=run.plan.partitions,
        chunk_bytes=run.plan.chunk_bytes,
        piece_items=run.plan.piece_items,
    )


def _log_end(run: RunContext, source: EventsSource, read: Sequence[Result]) -> int:
    """Return the end of the log: the last time in any stream, or what the settings say."""
    if run.config.log_end is not None:
        end = moment_of(run.config.log_end, source.time_zone)
        if end is None:
            raise ConfigError(
                f"log_end is '{run.config.log_end}', which is no time. Write it as in 2024-01-31T00:00:00."
            )
        return end
    times: list[int] = [result["last_us"] for result in read if result["last_us"] is not None]
    if not times:
        raise InputDataError(
            "No impression and no event has a time. Check source.impressions.time and the times of source.labels."
        )
    return max(times)


def _list_rejects(
    run: RunContext,
    streams: Mapping[str, Stream],
    files: Mapping[str, Sequence[InputFile]],
    read: Mapping[str, Sequence[Result]],
) -> dict[str, dict[str, str]]:
    """Write the rejected events; return where the first of each label and reason stands."""
    paths: list[str] = []
    first: dict[str, dict[str, str]] = {}
    for place, (label, stream) in enumerate(streams.items()):
        run.progress.start(f"list rejects ({label})", None, "B")
        results = run.pool.run_all(_reject_tasks(run, stream, place, files[label], read[label]), run.progress)
        ordered = sorted(results.values(), key=lambda result: (result["file"], result["chunk"]))
        paths += [result["path"] for result in ordered]
        found = first.setdefault(label, {})
        for result in ordered:
            for reason, where in result["first"].items():
                found.setdefault(reason, where)
    join_reject_files(run.reject_path(EVENT_REJECTS), run.work, paths)
    return first


def _reject_tasks(
    run: RunContext, stream: Stream, place: int, files: Sequence[InputFile], read: Sequence[Result]
) -> Iterator[PoolTask]:
    for file in files:
        of_file = [result for result in read if result["file"] == file.index]
        header = 0 if file.packing == "parquet" else of_file[0]["header_lines"]
        before = accumulate((result["lines"] for result in of_file), initial=0)
        # Lines of a file's first chunk are counted with the header, those of all others from 0
        lines_before = {
            result["chunk"]: lines + (header if number else 0)
            for number, (result, lines) in enumerate(zip(of_file, before, strict=False))
        }
        rejected = RejectedEvents(stream=stream, label=place, lines_before=lines_before)
        yield from flat_tasks(_job(run), [file], rejected.task())
