"""Add up what parsing counted, and stop a run whose logs do not fit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from esmm_dist.errors import InputDataError
from esmm_dist.schema.sources import ColumnSplit
from preprocess.read.rejects import Reason
from preprocess.read.row_files import ChunkId
from preprocess.work.workers import Result

Tables = dict[str, dict[str, "TableTally"]]
"""Counts of lines by split and kind of file."""

_COUNTERS = ("rejected", "left_out_days", "days", "other_days", "ignored", "lost_digits")

HOPELESS_SHARE = 0.5
"""So many rejects in what was read so far mean a wrong file: the run stops before it reads all of it."""


@dataclass(kw_only=True)
class TableTally:
    """Counts of one kind of lines of one split."""

    lines: int = 0
    rows: int = 0
    text_bytes: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    """Negatives that are left out (``PreprocessConfig.keep_negatives``)."""
    left_out_days: Counter[str] = field(default_factory=Counter)
    """The same by their day, of a log with times."""
    too_recent: int = 0
    """Impressions of an event log that are left out, as their windows are not over
    (``PreprocessConfig.open_window``)."""
    days: Counter[str] = field(default_factory=Counter)
    """Rows of each day (``day_cut``), where the log is cut by days; rejected ones and negatives left out too."""
    other_days: Counter[str] = field(default_factory=Counter)
    """Rows of each day that is in no split."""
    ignored: Counter[str] = field(default_factory=Counter)
    lost_digits: Counter[str] = field(default_factory=Counter)
    """By column of a flat log, values that are floats too large for their type."""
    chunk_lines: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """Lines of each (file, chunk, piece), without the header's; those of other splits too."""
    header_lines: int = 0
    """Header lines of all files together; the first chunk of each file has as many."""

    def add(self, result: Result) -> None:
        """Add what one chunk's task returned."""
        self.lines += result["lines"]
        self.rows += result["rows"]
        self.text_bytes += result["bytes"]
        self.rejected.update(result["rejected"])
        self.left_out += result.get("left_out", 0)
        self.left_out_days.update(result.get("left_out_days", {}))
        self.too_recent += result.get("too_recent", 0)
        self.days.update(result.get("days", {}))
        self.other_days.update(result.get("other_days", {}))
        self.ignored.update(result["ignored"])
        self.lost_digits.update(result.get("lost_digits", {}))
        self.chunk_lines[result["file"], result["chunk"], result.get("piece", 0)] = int(
            result["chunk_lines"] if "chunk_lines" in result else result["lines"]
        )
        self.header_lines += result.get("header_lines", 0)

    def chunks(self, split: str) -> list[ChunkId]:
        """List the chunks, in log order."""
        return [
            ChunkId(split=split, file=file, chunk=chunk, piece=piece) for file, chunk, piece in sorted(self.chunk_lines)
        ]

    def lines_of_file(self, file: int) -> int:
        """Return the lines of one file, without its header."""
        return sum(lines for (number, _, _), lines in self.chunk_lines.items() if number == file)

    def lines_before(self) -> dict[tuple[int, int], int]:
        """Return for each (file, chunk) the lines of the file that come before it, the header's among them."""
        has_header = 1 if self.header_lines else 0
        before: dict[tuple[int, int], int] = {}
        seen: Counter[int] = Counter()
        for file, chunk, piece in sorted(self.chunk_lines):
            if piece == 0:
                before[file, chunk] = seen[file] + (has_header if chunk else 0)
            seen[file] += self.chunk_lines[file, chunk, piece]
        return before

    def rows_before(self) -> dict[tuple[int, int], int]:
        """Return for each (file, chunk) the lines of all files that come before it, headers not counted."""
        pieces = sorted(self.chunk_lines)
        before = accumulate((self.chunk_lines[piece] for piece in pieces), initial=0)
        return {(file, chunk): n for (file, chunk, piece), n in zip(pieces, before, strict=False) if piece == 0}

    def to_mapping(self) -> dict[str, Any]:
        """Return the counts as plain JSON values."""
        chunks = [[*key, lines] for key, lines in sorted(self.chunk_lines.items())]
        return {**vars(self), "chunk_lines": chunks}

    @classmethod
    def from_mapping(cls, mapping: dict[str, Any]) -> "TableTally":
        """Read what ``to_mapping`` returned."""
        chunks = {(file, chunk, piece): lines for file, chunk, piece, lines in mapping["chunk_lines"]}
        counters = {name: Counter(mapping[name]) for name in _COUNTERS}
        return cls(**{**mapping, **counters, "chunk_lines": chunks})

    def is_hopeless(self, most: float) -> bool:
        """Tell whether so much was rejected so far that reading on is a waste of time."""
        return sum(self.rejected.values()) > max(most, HOPELESS_SHARE) * self.lines

    def check_share(self, split: str, kind: str, most: float, see: str, first: Mapping[str, str]) -> None:
        """Raise if more than ``most`` of the lines were rejected, or all that could be impressions.

        Args:
            split: split to name in the message
            kind: kind of lines to name in the message
            most: largest allowed share
            see: sentence that says where to read on
            first: for each reason, the place of the first line, in words

        Raises:
            InputDataError: With the reasons.
        """
        count = sum(self.rejected.values())
        none_left = kind != "common" and 0 < count == self.lines
        if count > most * self.lines or none_left:
            reasons = "; ".join(
                f"{reason} {n:,}, first in {first[reason]}" for reason, n in self.rejected.most_common()
            )
            if Reason.BAD_LABEL in self.rejected and kind == "log":
                see += " If the labels are right, say what their values mean in source.label_values of the schema."
            if kind == "skeleton" and self.rejected[Reason.WRONG_COLUMNS] > HOPELESS_SHARE * self.lines:
                see += " A line has one column for each label of the schema, and four others."
            raise InputDataError(
                f"{count:,} of {self.lines:,} {kind} lines of the {split} split are rejected ({reasons}), "
                + (
                    f"more than max_reject_share = {most:g} allows. {see} Correct the log or the schema, or raise "
                    "max_reject_share."
                    if count > most * self.lines
                    else f"so that no impression is left. {see} Correct the log or the schema."
                )
            )


def check_both_splits(rule: ColumnSplit, tables: Mapping[str, TableTally]) -> None:
    """Check that a test split that was cut out of the train files leaves rows to both.

    Raises:
        InputDataError: One has none.
    """
    for split, tally in tables.items():
        if not tally.rows:
            raise InputDataError(
                f"source.split leaves the {split} split without an impression: column '{rule.column}' has too few "
                f"values for test_share = {rule.test_share:g}. Take another share, or split by a column of more values "
                "or by time."
            )


def check_validation(share: float, tables: Mapping[str, TableTally]) -> None:
    """Check that a validation split that was cut out of the train split leaves rows to both.

    Args:
        share: share of the user contexts
        tables: counts of the impressions of both splits

    Raises:
        InputDataError: One has none.
    """
    for split, tally in tables.items():
        if not tally.rows:
            raise InputDataError(
                f"validation_share = {share:g} leaves the {split} split without an impression: the log has too few "
                "user contexts (rows whose user fields are equal are one). Set another share, or 0 for no validation "
                "split, or name files for it (source.files.validation of the schema)."
            )


def check_negatives(keep_negatives: float, train: TableTally) -> None:
    """Check that leaving out negatives leaves rows to the train split.

    Args:
        keep_negatives: probability with which one was kept
        train: counts of the impressions of the train split

    Raises:
        InputDataError: It has none.
    """
    if train.left_out and not train.rows:
        raise InputDataError(
            f"keep_negatives = {keep_negatives:g} leaves the train split without an impression: all of its "
            f"{train.left_out:,} are negatives, with 0 as their first label. Set keep_negatives to 1, and check the "
            "labels."
        )
