"""Where the columns of a log come from: the ``source`` of a schema."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.feature_id import ID_HASH
from esmm_dist.schema.time_zone import UTC, zone_of

SPLITS = ("train", "validation", "test")
"""The splits of a log, in the order of a data set."""
UTF_8 = "utf-8"

_TAB_NAMES = ("tab", "\\t")


def _texts(values: Any) -> Any:
    """Return a mapping with its scalar keys as the texts that stand in a log: ``{true: 1, 2: 0}``."""
    if not isinstance(values, Mapping):
        return values
    if None in values:
        raise SchemaError(
            'source.label_values lists null without quotes, which is no text. Write "" for an empty cell or a null of '
            'Parquet, and "null" in quotes for that word.'
        )
    return {str(key).lower() if isinstance(key, bool) else str(key): value for key, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class AliCcpSource:
    """The raw Ali-CCP form: ``sample_skeleton_{split}.csv`` and ``common_features_{split}.csv``."""

    form: Literal["aliccp"] = "aliccp"


@dataclass(frozen=True, kw_only=True)
class ColumnSplit:
    """Cuts the test split out of the files of the train split."""

    test_share: float
    """Share of the test split, above 0 and below 1: of the distinct values of the column, or of the impressions where
    ``by`` is ``time``."""

    by: str
    """A column: all rows of one value (a user) are in one split, which a hash of the value decides, so that it is the
    same in tomorrow's log; rows without a value are in train. ``time``: the last impressions are the test split."""

    time: str = "time"
    """Column of the time where ``by`` is ``time``: numbers (seconds, milliseconds, 20240131), ISO 8601 texts, or
    dates and timestamps of Parquet. Rows of one time are in one split. A time without a zone is in
    ``source.time_zone``."""

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise SchemaError(
                f"source.split.test_share is {self.test_share:g}. Set a share above 0 and below 1, such as 0.2."
            )
        for name in ("by", "time"):
            if not getattr(self, name):
                raise SchemaError(f"source.split.{name} is empty. Name a column of the log.")
        if self.time != "time" and not self.is_by_time:
            raise SchemaError(
                f"source.split has time: {self.time}, which only by: time reads, but by is '{self.by}'. Write by: time "
                "for the last impressions as the test split, or leave out time."
            )

    @property
    def column(self) -> str:
        """The column that decides."""
        return self.time if self.is_by_time else self.by

    @property
    def is_by_time(self) -> bool:
        """Whether the last impressions are the test split."""
        return self.by == "time"


@dataclass(frozen=True, kw_only=True)
class FlatSource:
    """A user's own log: CSV or Parquet, one row an impression, one column a field."""

    form: Literal["flat"]

    files: dict[str, str]
    """For each split (``train``, ``validation``, ``test``) the name or glob of its files, relative to the raw folder.
    ``test`` alone: a log to be scored with the ids that a trained model knows."""

    labels: dict[str, str]
    """For each label, the column that holds it: 0/1, true/false, or what ``label_values`` says."""

    label_values: Annotated[dict[str, Literal[0, 1]], pydantic.BeforeValidator(_texts)] = field(default_factory=dict)
    """Further values of the labels' columns: ``{yes: 1, no: 0}``; ``"": 0`` is for an empty cell or a null. 0, 1, true
    and false (in any case) mean what they say unless they are listed here."""

    sample_id: str | None = None
    """Column that names the impression. None: impressions are numbered from 1, file after file; train-2
    comes before train-10."""

    sample_id_form: Literal["number", "text"] | None = None
    """``number``: whole numbers from 0 to 2^63 - 1. ``text``: any texts, such as UUIDs; records keep them, and
    predictions are listed by them. None: ``text`` if most ids of the first rows of the log are no whole numbers."""

    keep: tuple[str, ...] = ()
    """Columns whose values the records keep as texts, so that ``esmm predict --keep`` writes them beside the
    predictions: ``[user_id, item_id]``. One value a row. Records grow by them."""

    weight: str | None = None
    """Column with the sample weight of each impression: a number, 0 or more, that its losses and metrics count with. A
    row with another value is rejected. None: 1 each, and records hold no weights."""

    split: ColumnSplit | None = None
    """How to cut the test split out of the files of ``train``. None: ``files`` names its files, or there is none."""

    time: str | None = None
    """Column with the time of the impression: seconds, milliseconds, micro- or nanoseconds since 1970, ISO 8601 texts,
    dates and timestamps of Parquet, or whole days as numbers (20240131). ``esmm preprocess`` cuts the log by its
    calendar days (``--test-days``, ``--days`` and others), and fields with ``of_time`` have its hour or weekday. None:
    the log is not cut by days."""

    time_zone: str = UTC
    """Zone of the calendar days and hours, and of times that carry none: a name of the IANA database, such as
    ``Europe/Berlin``."""

    delimiter: str | None = None
    """The character between the columns of a text file; ``tab`` for a tab. None: a tab in ``.tsv``, a comma in
    ``.csv``."""

    encoding: str = UTF_8
    """Encoding of text files: ``utf-8`` (with a byte order mark or not), ``cp1252``, ``gbk`` and others that Python
    knows."""

    decimal: Literal[".", ","] = "."
    """The decimal mark of numbers in texts: of weights, and of values that are numbers (``2,0`` is then 2)."""

    list_separator: str = "|"
    """Between the ids of a multi-hot text column. Parquet list columns need none."""

    weight_separator: str = ":"
    """Between an id and its weight in a weighted text column: ``id:weight``."""

    id_hash: str = ID_HASH
    """Hash of the feature ids, which a data set, a run and an export remember; there is one: ``farmhash64``."""

    def __post_init__(self) -> None:
        if self.id_hash != ID_HASH:
            raise SchemaError(
                f"source.id_hash is '{self.id_hash}': feature ids by another hash than this version's, {ID_HASH}, "
                "to which they would all be unknown. Make the data set again (esmm preprocess RAW NEW_FOLDER) and "
                "train again, or install the version that made this."
            )
        self._check_files()
        self._check_separators()
        self._check_delimiter()
        object.__setattr__(self, "encoding", _known_encoding(self.encoding))
        if self.time == "":
            raise SchemaError("source.time is empty. Name a column of the log, or leave it out.")
        zone_of(self.time_zone)
        twice = [column for column in self.keep if self.keep.count(column) > 1]
        if twice:
            raise SchemaError(f"source.keep names column '{twice[0]}' twice. Name it once.")
        if self.sample_id_form is not None and self.sample_id is None:
            raise SchemaError(
                f"source.sample_id_form is '{self.sample_id_form}', but source.sample_id names no column. Name it, or "
                "leave out both: impressions are then numbered."
            )

    def _check_files(self) -> None:
        for split, pattern in self.files.items():
            if split not in SPLITS:
                raise SchemaError(
                    f"source.files names files for '{split}', which is not a split.{nearest_hint(split, SPLITS)}"
                )
            if not pattern.strip():
                raise SchemaError(f"source.files.{split} is empty. Name a file, or a pattern such as log-*.csv.")
        if not self.files:
            raise SchemaError("source.files is empty. Add train: a file, or a pattern such as log-*.csv.")
        if self.split is not None and "train" not in self.files:
            raise SchemaError(
                "source.split cuts the test split out of the train files, but source.files names none. Add train: a "
                "file, or a pattern such as log-*.csv; or leave out split, to score a whole log."
            )
        if self.split is not None and "test" in self.files:
            raise SchemaError(
                "source.split cuts the test split out of the train files, but source.files names files for test too. "
                "Leave out one of the two."
            )

    def _check_separators(self) -> None:
        for name in ("delimiter", "list_separator", "weight_separator"):
            value = getattr(self, name)
            if value is None:
                continue
            if not value or "\n" in value or "\r" in value:
                raise SchemaError(
                    f'source.{name} is {value!r}. Write it in quotes, such as {name}: "|"; without them YAML reads | '
                    "and > as the beginning of a longer text. A line break ends a row and can separate nothing in it."
                )
        if self.list_separator == self.weight_separator:
            raise SchemaError(
                f"source.list_separator and source.weight_separator are both '{self.list_separator}': an id could not "
                "be told from its weight. Set two different ones."
            )
        for name in ("list_separator", "weight_separator"):
            if self.decimal == "," and getattr(self, name) == ",":
                raise SchemaError(f"source.{name} is ',' like source.decimal. Take another separator.")

    def _check_delimiter(self) -> None:
        if self.delimiter in _TAB_NAMES:
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and (
            len(self.delimiter) != 1
            or not self.delimiter.isascii()
            or self.delimiter.isalnum()
            or self.delimiter == '"'
        ):
            raise SchemaError(
                f"source.delimiter is '{self.delimiter}'. Set one ASCII character that is not a letter, digit or "
                "quote, such as ';' or '|', or the word tab."
            )


def _known_encoding(name: str) -> str:
    """Return Python's name of an encoding whose lines end in a line feed that is no part of another character."""
    try:
        known = codecs.lookup(name)
        if known.name in (UTF_8, "utf-8-sig"):  # a byte order mark is dropped anyway
            return UTF_8
        line_end = "\n".encode(name)
    except (LookupError, UnicodeError, TypeError) as e:
        raise SchemaError(
            f"source.encoding is '{name}', unknown to Python. Set one such as utf-8, cp1252 or gbk."
        ) from e
    if line_end != b"\n":
        raise SchemaError(
            f"source.encoding is '{name}': its lines cannot be told apart before they are decoded. Convert the files "
            f"first, such as with: iconv -f {name} -t UTF-8 IN.csv > OUT.csv"
        )
    return known.name
