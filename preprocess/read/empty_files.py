"""Files of a log that hold no line: a split that is empty altogether is refused, one empty file of several is named."""

from collections.abc import Mapping, Sequence

from esmm_dist.errors import InputDataError
from preprocess.read.inputs import InputFile
from preprocess.read.tally import TableTally


def empty_file_notes(files: Sequence[InputFile], tables: Mapping[str, Mapping[str, TableTally]]) -> list[str]:
    """Return a sentence for each file without a line, headers not counted.

    Args:
        files: all files of the log
        tables: counts of their lines, by split and kind

    Raises:
        InputDataError: All files of a split that hold its impressions are empty.
    """
    notes = []
    for split, of_split in tables.items():
        for kind, tally in of_split.items():
            of_kind = [file for file in files if (file.split, file.kind) == (split, kind)]
            empty = [file for file in of_kind if not tally.lines_of_file(file.index)]
            if kind != "common" and len(empty) == len(of_kind):
                raise InputDataError(
                    f"The {split} split has no impressions: {', '.join(map(_shown, empty))} "
                    f"{'holds' if len(empty) == 1 else 'hold'} none. Write the log again, or take the file away."
                )
            notes += [f"{_shown(file)} is empty: no line of the {split} split came from it." for file in empty]
    return notes


def _shown(file: InputFile) -> str:
    return f"{file.path}:{file.member}" if file.member else str(file.path)
