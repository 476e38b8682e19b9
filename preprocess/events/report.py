"""What the join of an event log did, in numbers and in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esmm_dist.errors import InputDataError
from preprocess.events.attribute import EventFate
from preprocess.events.reject_files import REASONS
from preprocess.work.workers import Result


def join_report(
    labels: Sequence[str],
    read: Mapping[str, Sequence[Result]],
    joined: Sequence[Result],
    *,
    log_end: str,
    open_window: str,
) -> dict[str, Any]:
    """Return the numbers that the manifest keeps.

    Args:
        labels: labels of the schema
        read: what reading the events of each label returned
        joined: what joining the partitions returned
        log_end: the end of the log, as a text
        open_window: what was done with impressions whose windows are not over
    """
    fates = np.sum([each["fates"] for each in joined], axis=0)
    is_open = np.sum([each["open"] for each in joined], axis=0).tolist()
    streams = {}
    for place, label in enumerate(labels):
        rejected: dict[str, int] = {}
        for result in read[label]:
            for reason, count in result["rejected"].items():
                rejected[reason] = rejected.get(reason, 0) + count
        rejected |= {str(REASONS[fate]): int(fates[place][fate]) for fate in REASONS if fates[place][fate]}
        streams[label] = {
            "events": sum(result["lines"] for result in read[label]),
            "joined": int(fates[place][EventFate.JOINED]),
            "rejected": dict(sorted(rejected.items())),
            "open": is_open[place],
        }
    return {
        "log_end": log_end,
        "open_window": open_window,
        "impressions": sum(each["impressions"] for each in joined),
        "with_open_window": sum(each["recent"] for each in joined),
        "left_out": sum(each["left_out"] for each in joined),
        "labels": streams,
    }


def check_joined(report: Mapping[str, Any]) -> None:
    """Check that some event was joined, if there is one, and that impressions are left.

    Raises:
        InputDataError: There is none.
    """
    labels = report["labels"]
    events = sum(label["events"] for label in labels.values())
    if events and not any(label["joined"] for label in labels.values()):
        counts = "; ".join(
            f"{label}: {', '.join(f'{reason} {n:,}' for reason, n in found['rejected'].items()) or 'no events'}"
            for label, found in labels.items()
        )
        raise InputDataError(
            f"None of {events:,} events belongs to an impression ({counts}). Check source.join (columns with the same "
            "values in all files), the times (source.time_zone) and the windows (source.labels)."
        )
    if report["impressions"] and report["left_out"] == report["impressions"]:
        raise InputDataError(
            f"open_window drop leaves out all {report['impressions']:,} impressions: the windows of none are over at "
            f"the end of the log, {report['log_end']}. Read a longer log, or take labels that can still change as "
            "negatives (--open-window negative)."
        )


def check_readable(label: str, read: Sequence[Result], most: float) -> None:
    """Check that most of the events of a label can be read: with a key and a time.

    Raises:
        InputDataError: More than ``most`` of them cannot.
    """
    lines = sum(result["lines"] for result in read)
    bad = sum(sum(result["rejected"].values()) for result in read)
    if bad > most * lines:
        reasons = sorted({reason for result in read for reason in result["rejected"]})
        raise InputDataError(
            f"{bad:,} of {lines:,} events of '{label}' cannot be read ({', '.join(reasons)}), more than "
            f"max_reject_share = {most:g} allows. Correct source.labels.{label}, source.join or the files, or raise "
            "max_reject_share."
        )


def join_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report in sentences, for people."""
    lines = []
    for label, found in report["labels"].items():
        rejected, first = found["rejected"], found["first_rejected"]
        each = "; ".join(f"{reason} {n:,}, first in {first[reason]}" for reason, n in rejected.items())
        lines.append(
            f"{label}: {found['events']:,} events read, {found['joined']:,} joined to impressions, "
            f"{sum(rejected.values()):,} rejected{f' ({each})' if each else ''}."
        )
    still = {label: found["open"] for label, found in report["labels"].items() if found["open"]}
    if report["open_window"] == "drop":
        lines.append(
            f"{report['left_out']:,} of {report['impressions']:,} impressions left out, as their windows are not over "
            f"at the end of the log, {report['log_end']}."
        )
    elif still:
        counts = ", ".join(f"{label} of {count:,}" for label, count in still.items())
        lines.append(
            f"Labels can still change after the end of the log, {report['log_end']}: {counts} impressions. They are "
            f"negatives here; --open-window drop leaves out the {report['with_open_window']:,} impressions whose "
            "windows are not over."
        )
    return lines
