"""Write ``rejects/{split}.jsonl``: every rejected line with file, line number, reason and the beginning of its text.

A line of a flat log that one column is the reason for comes with the column's name and value.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from preprocess.join.repeats import load_repeats
from preprocess.read.chunks import lines_at, read_chunk
from preprocess.read.flat.row_texts import chunk_row_texts
from preprocess.read.input_texts import stream_texts
from preprocess.read.inputs import InputFile
from preprocess.read.rejects import Reason, Reject, read_rejects, reject, reject_line, reject_place
from preprocess.read.row_files import RowKind, chunk_of_position
from preprocess.read.tally import TableTally

REPEAT_REASONS: dict[RowKind, Reason] = {
    "skeleton": Reason.REPEATED_SAMPLE_ID,
    "common": Reason.REPEATED_COMMON_ROW,
}


def write_reject_file(
    path: Path,
    work: Path,
    files: Sequence[tuple[InputFile, RowKind, TableTally]],
    chunk_bytes: int,
    columns: Sequence[str] = (),
) -> dict[str, dict[str, str]]:
    """Write the rejects of one split, file after file, lines ascending.

    Args:
        path: file to write
        work: folder with the chunks' rejects and the repeats
        files: files of the split, the kind of rows whose repeats are theirs, and the counts of their lines
        chunk_bytes: size of the chunks in which the files were parsed
        columns: columns that are read of Parquet files

    Returns:
        For each kind of file and each reason, the place of its first line, in words.
    """
    first: dict[str, dict[str, str]] = {}
    with path.open("w", encoding="utf-8") as out:
        for file, kind, tally in files:
            repeats = _repeated_lines(work, kind, file)
            quoted = _quote(file, repeats, REPEAT_REASONS[kind], chunk_bytes, columns)
            before = tally.lines_before()
            of_file = (chunk for chunk in tally.chunks(file.split) if chunk.file == file.index)
            for number, pieces in groupby(of_file, key=lambda chunk: chunk.chunk):
                parsed = [r for piece in pieces for r in read_rejects(work, file.kind, piece)]
                for r in sorted([*parsed, *quoted.get(number, [])], key=lambda r: r.line):
                    line = before[file.index, number] + r.line + 1
                    out.write(reject_line(file.shown_name, line, r))
                    first.setdefault(file.kind, {}).setdefault(r.reason, reject_place(file.shown_name, line, r))
    return first


def _repeated_lines(work: Path, kind: RowKind, file: InputFile) -> dict[int, list[int]]:
    """Return for each chunk of a file the lines that repeat an earlier one."""
    lines: dict[int, list[int]] = defaultdict(list)
    for position in load_repeats(work, kind, file.split).tolist():
        chunk, line = chunk_of_position(file.split, position)
        if chunk.file == file.index:
            lines[chunk.chunk].append(line)
    return lines


def _quote(
    file: InputFile, lines: dict[int, list[int]], reason: Reason, chunk_bytes: int, columns: Sequence[str]
) -> dict[int, list[Reject]]:
    """Read the text of lines that were found to be repeats only after they were parsed."""
    quoted: dict[int, list[Reject]] = defaultdict(list)
    if lines:
        for chunk, line, text in _texts(file, lines, chunk_bytes, columns):
            quoted[chunk].append(reject(line, reason, text))
    return quoted


def _texts(
    file: InputFile, lines: dict[int, list[int]], chunk_bytes: int, columns: Sequence[str]
) -> Iterator[tuple[int, int, bytes]]:
    if file.packing == "parquet":
        yield from chunk_row_texts(file, columns, lines)
        return
    if file.packing == "plain":
        texts = ((chunk, read_chunk(file.path, chunk, chunk_bytes)) for chunk in sorted(lines))
    else:
        texts = ((chunk, text) for _, chunk, text in stream_texts([file], chunk_bytes))
    for chunk, text in texts:
        if chunk in lines:
            for line, found in zip(lines[chunk], lines_at(text, lines[chunk]), strict=True):
                yield chunk, line, found
