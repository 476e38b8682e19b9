"""Know the raw files of a run again: by their path within the raw folder, size, time of change and CRC-32C.

Path, size and CRC-32C are in the data set's manifest. The times are in ``.inputs.json`` beside it: a copied log has
other times and the same content, so a time that differs, or is not known, means only that the file must be read to
compare it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import InputDataError
from esmm_dist.progress import Progress
from esmm_dist.schema.checksum import file_crc32c, joined_crc32c
from esmm_dist.storage.whole_file import write_durable
from preprocess.read.input_texts import reading
from preprocess.read.inputs import InputFile
from preprocess.work.workers import PoolTask, Result

TIMES_NAME = ".inputs.json"

CHECKED_COLUMNS = ("split", "kind", "file", "chunk", "bytes", "crc32c")
"""What ``checksums_of_chunks`` needs of the result of a parsed chunk."""


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A raw file as it stands on the disk."""

    path: Path
    file_bytes: int
    changed_ns: int
    """Time of its last change, nanoseconds since 1970."""


def look_at(files: Sequence[InputFile]) -> dict[str, RawFile]:
    """Return the raw files by name, each once; an archive holds several tables."""
    paths = {file.name: file.path for file in files}
    stats = {name: path.stat() for name, path in sorted(paths.items())}
    return {
        name: RawFile(path=paths[name], file_bytes=stat.st_size, changed_ns=stat.st_mtime_ns)
        for name, stat in stats.items()
    }


def check_unchanged(raw: Mapping[str, RawFile], files: Sequence[InputFile]) -> None:
    """Check after reading that nobody has written to a file meanwhile.

    Raises:
        InputDataError: A file has another size or time than before.
    """
    now = look_at(files)
    changed = [str(file.path) for name, file in raw.items() if now[name] != file]
    if changed:
        raise InputDataError(
            f"{changed[0]} was changed while it was read ({len(changed)} such files). Run the same command again when "
            "nobody writes to the log."
        )


def checksum_tasks(files: Sequence[InputFile], events: Sequence[InputFile] = ()) -> Iterable[PoolTask]:
    """List a task for each file that is not read as plain text from end to end: its bytes are read once more.

    Args:
        files: files whose plain ones are parsed, with the checksum of each chunk
        events: other files of the log
    """
    packed = {file.path: file.name for file in (*files, *events) if file.packing != "plain" or file in events}
    for number, path in enumerate(packed):
        yield PoolTask(
            name=f"checksum-{number:06d}", function=_checksum, arguments={"path": path, "name": packed[path]}
        )


def _checksum(path: Path, name: str) -> Result:
    with reading(path):
        return {"name": name, "crc32c": file_crc32c(path)}


def checksums_of_chunks(files: Sequence[InputFile], chunks: Iterable[Result]) -> dict[str, int]:
    """Join the CRC-32C of the chunks of plain files, which follow each other without a gap.

    Args:
        files: all files of the run
        chunks: what the parse tasks returned, in any order

    Returns:
        The CRC-32C of each plain file, by its name.
    """
    names = {(file.split, file.kind, file.index): file.name for file in files if file.packing == "plain"}
    joined = dict.fromkeys(names.values(), 0)
    for chunk in sorted(chunks, key=lambda chunk: int(chunk["chunk"])):
        name = names.get((chunk["split"], chunk["kind"], chunk["file"]))
        if name is not None:
            joined[name] = joined_crc32c(joined[name], chunk["crc32c"], chunk["bytes"])
    return joined


def inputs_setting(raw: Mapping[str, RawFile], checksums: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what the manifest keeps of the inputs."""
    return {name: {"file_bytes": file.file_bytes, "crc32c": checksums[name]} for name, file in raw.items()}


def input_differences(
    out: Path, raw: Mapping[str, RawFile], recorded: Mapping[str, Any], progress: Progress
) -> list[str]:
    """Compare the raw files with those that a finished data set was made of; reads those whose time is another one.

    Args:
        out: folder of the data set
        raw: the raw files now
        recorded: what the manifest keeps of them
        progress: receives the bytes that are read

    Returns:
        A phrase for each file that is new, gone or changed.
    """
    differences = [f"input {name} is gone" for name in recorded if name not in raw]
    differences += [f"input {name} is new" for name in raw if name not in recorded]
    both = {name: (file, recorded[name]) for name, file in raw.items() if name in recorded}
    if any(not isinstance(before, Mapping) for _, before in both.values()):
        return [*differences, "its inputs were recorded without checksums, by an older version"]
    differences += [
        f"input {name} had {before['file_bytes']} bytes and has {file.file_bytes}"
        for name, (file, before) in both.items()
        if before["file_bytes"] != file.file_bytes
    ]
    if differences:
        return differences
    times = read_times(out)
    unsure = [name for name, (file, _) in both.items() if times.get(name) != file.changed_ns]
    if unsure:
        progress.start("compare the raw files", float(sum(raw[name].file_bytes for name in unsure)), "B")
    for name in unsure:
        with reading(raw[name].path):
            if file_crc32c(raw[name].path) != recorded[name]["crc32c"]:
                differences.append(f"the content of input {name} has changed")
        progress.advance(float(raw[name].file_bytes))
    progress.finish()
    return differences


def read_times(out: Path) -> dict[str, int]:
    """Return the times of the raw files when they were read or compared last; none where that is not known."""
    try:
        times = json.loads((out / TIMES_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return times if isinstance(times, dict) else {}


def write_times(out: Path, raw: Mapping[str, RawFile]) -> None:
    """Keep the times of the raw files, if they are not kept already."""
    times = {name: file.changed_ns for name, file in raw.items()}
    if read_times(out) != times:
        write_durable(out / TIMES_NAME, (json.dumps(times, indent=1) + "\n").encode())
