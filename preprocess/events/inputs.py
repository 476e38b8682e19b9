"""Find the files of the labels' events in the raw folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from esmm_dist.errors import InputDataError
from esmm_dist.schema.event_source import EventsSource
from preprocess.read.file_forms import packing_of
from preprocess.read.file_patterns import matching_files
from preprocess.read.inputs import InputFile


def find_event_files(
    raw: Path, source: EventsSource, labels: Sequence[str], impressions: Sequence[InputFile], *, needs_all: bool = True
) -> list[InputFile]:
    """List the files of all labels' events; the split of one is ``event_split`` of its label's place.

    Args:
        raw: the raw folder
        source: names the files
        labels: labels of the schema
        impressions: files of the impressions
        needs_all: whether each label must have a file; False: a log to be scored may lack its events

    Raises:
        InputDataError: A label has no file, or a file holds two kinds of events.
    """
    files: list[InputFile] = []
    taken = {os.path.realpath(file.path): "the impressions" for file in impressions}
    for place, label in enumerate(labels):
        pattern = source.labels[label].files
        paths = matching_files(raw, pattern)
        if not paths and needs_all:
            raise InputDataError(
                f"{raw} holds no file of the events of '{label}': the schema says source.labels.{label}.files = "
                f"{pattern!r}. Correct the schema or the folder; a file with a header alone says that there were none."
            )
        for index, path in enumerate(paths):
            other = taken.setdefault(os.path.realpath(path), f"the events of '{label}'")
            if other != f"the events of '{label}'":
                raise InputDataError(
                    f"{path} is among {other} and among the events of '{label}'. Each stream has files of its own: "
                    "correct source of the schema, or write the events into two files."
                )
            name = Path(os.path.relpath(path, raw)).as_posix()
            files.append(
                InputFile(
                    split=event_split(place), kind="log", index=index, path=path, name=name, packing=packing_of(path)
                )
            )
    return files


def event_split(place: int) -> str:
    """Return what stands for the split in the files of a label's events: they belong to the impressions' splits."""
    return f"events{place}"
