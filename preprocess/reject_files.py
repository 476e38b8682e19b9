"""Write ``rejects/{split}.jsonl``: every rejected line with file, line number, reason and the beginning of its text.

A line of a flat log that one column is the reason for comes with the column's name and value.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from preprocess.chunks import read_chunk, split_lines
from preprocess.inputs import InputFile, stream_texts
from preprocess.parse_stage import rejects_path
from preprocess.rejects import Reason, Reject, read_chunk_rejects, reject, reject_line, reject_place
from preprocess.repeats import load_repeats
from preprocess.row_files import ChunkId, RowKind, chunk_of_position
from preprocess.tally import TableTally

REPEAT_REASONS: dict[RowKind, Reason] = {
    "skeleton": Reason.REPEATED_SAMPLE_ID,
    "common": Reason.REPEATED_COMMON_ROW,
}


def write_reject_file(
    path: Path, work: Path, files: Sequence[tuple[InputFile, RowKind, TableTally]], chunk_bytes: int
) -> dict[str, dict[str, str]]:
    """Write the rejects of one split, file after file, lines ascending.

    Args:
        path: The file to write.
        work: Where the chunks' rejects and the repeats stand.
        files: The split's files, the kind of rows whose repeats are theirs, and their counts.
        chunk_bytes: As the files were parsed.

    Returns:
        For each kind of file and each reason, where its first line stands, in words.
    """
    first: dict[str, dict[str, str]] = {}
    with path.open("w", encoding="utf-8") as out:
        for file, kind, tally in files:
            repeats = _repeated_lines(work, kind, file)
            quoted = _quote(file, repeats, REPEAT_REASONS[kind], chunk_bytes)
            before = tally.lines_before()
            for chunk in (c for c in tally.chunks(file.split) if c.file == file.index):
                rejects = [*_parsed_rejects(work, file.kind, chunk), *quoted.get(chunk.chunk, [])]
                for r in sorted(rejects, key=lambda r: r.line):
                    line = before[chunk.file, chunk.chunk] + r.line + 1
                    out.write(reject_line(file.shown_name, line, r))
                    first.setdefault(file.kind, {}).setdefault(r.reason, reject_place(file.shown_name, line, r))
    return first


def _parsed_rejects(work: Path, kind: str, chunk: ChunkId) -> list[Reject]:
    path = rejects_path(work, kind, chunk)
    return read_chunk_rejects(path.read_text(encoding="utf-8")) if path.is_file() else []


def _repeated_lines(work: Path, kind: RowKind, file: InputFile) -> dict[int, list[int]]:
    """Return for each chunk of a file the lines that repeat an earlier one."""
    lines: dict[int, list[int]] = defaultdict(list)
    for position in load_repeats(work, kind, file.split).tolist():
        chunk, line = chunk_of_position(file.split, position)
        if chunk.file == file.index:
            lines[chunk.chunk].append(line)
    return lines


def _quote(file: InputFile, lines: dict[int, list[int]], reason: Reason, chunk_bytes: int) -> dict[int, list[Reject]]:
    """Read the text of lines that were found to be repeats only after they were parsed."""
    quoted = {}
    if lines:
        for chunk, text in _texts(file, lines, chunk_bytes):
            of_chunk = split_lines(text)
            quoted[chunk] = [reject(line, reason, of_chunk[line]) for line in lines[chunk]]
    return quoted


def _texts(file: InputFile, lines: dict[int, list[int]], chunk_bytes: int) -> Iterator[tuple[int, bytes]]:
    if file.packing == "plain":
        for chunk in sorted(lines):
            yield chunk, read_chunk(file.path, chunk, chunk_bytes)
        return
    for _, chunk, text in stream_texts([file], chunk_bytes):
        if chunk in lines:
            yield chunk, text
