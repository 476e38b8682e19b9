"""The manifest of a data set: what ``preprocess`` wrote and training reads (``manifest.json``).

A folder is a data set when it holds a manifest; preprocess writes it last. ``crc32c``, its last member, is the CRC-32C
of the text (JSON, indented by 1) of all the others; one from before there was it is read without the check.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import InputDataError
from esmm_dist.schema.checksum import mapping_crc32c, text_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.stored import with_old_meaning

MANIFEST_NAME = "manifest.json"
FORMAT = "esmm_dist.dataset"
FORMAT_VERSION = 1

REPAIR = "Run the same esmm preprocess again with --verify: it makes damaged files again."
"""What to do about a file of a data set that is missing or damaged."""

Compression = Literal["ZLIB", "NONE"]


class DamagedManifestError(InputDataError):
    """The manifest is not as it was written."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One TFRecord file: a part of one lane."""

    path: str
    """Relative to the data set's folder, with forward slashes."""
    lane: int
    part: int
    """Place within the lane: parts 0, 1, ... in order make the lane."""
    records: int
    impressions: int
    file_bytes: int
    crc32c: int
    """CRC-32C of the file's bytes."""


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file that holds no records: the vocabulary, or the rejects of a split."""

    path: str
    """Relative to the data set's folder, with forward slashes."""
    file_bytes: int
    crc32c: int
    """CRC-32C of the file's bytes."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split of a data set (``train``, ``validation`` or ``test``)."""

    records: int
    impressions: int
    label_counts: dict[str, int]
    """For each label, impressions where it is 1, and so is each label on the way to it."""
    broken_chains: dict[str, int]
    """For each label after the first, impressions where the log has 1 and a label on the way to it is 0: kept, and not
    positives. With ``label_counts`` they are all ones of the log."""
    shards: tuple[Shard, ...]
    """Ordered by (lane, part)."""
    shuffle_block_records: int | None = None
    """Records of a lane that training shuffles together (``esmm_dist.schema.shuffle_blocks``). None in a data set from
    before there were blocks."""

    def __post_init__(self) -> None:
        if self.shuffle_block_records is not None and self.shuffle_block_records < 1:
            raise ValueError(
                f"shuffle_block_records is {self.shuffle_block_records}; 1 is the least. Make the data set again in "
                "another folder (esmm preprocess RAW FOLDER)."
            )


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """What one data set holds."""

    schema: Schema
    compression: Compression
    lanes: int
    group_size: int
    splits: dict[str, Split]
    vocabulary_file: str
    vocabulary_size: int
    other_files: tuple[DataFile, ...] = ()
    """Files that hold no records; none in a data set from before they were listed."""
    keep_negatives: float = 1.0
    """Probability with which a train impression whose first label is 0 was kept, in (0, 1]; the others are not in the
    data set. 1 in a data set whose manifest does not name it."""
    left_out_negatives: int = 0
    """Train impressions that were left out so."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The preprocess settings and the inputs that decide the bytes."""
    report: dict[str, Any] = field(default_factory=dict)
    """What preprocess counted: lines in, rejects by reason, ids dropped by field, sizes. ``splits[SPLIT]["days"]``,
    of a log with a time: by day (``2024-01-31``) ``impressions``, ``labels`` and ``broken`` as in ``Split``, and
    ``left_out_negatives`` if there are any; ``without_day``: the same of impressions whose time cannot be read."""
    format: Literal["esmm_dist.dataset"] = "esmm_dist.dataset"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if not 0 < self.keep_negatives <= 1:
            raise ValueError(f"keep_negatives is {self.keep_negatives}; it is above 0 and at most 1. {REPAIR}")

    def split_to_evaluate(self, named: str | None) -> str:
        """Return the split that is named; without a name the validation split, or test where there is none."""
        if named is not None:
            return named
        return "validation" if "validation" in self.splits else "test"

    def files(self) -> Iterator[Shard | DataFile]:
        """Yield all files but the manifest itself."""
        for split in self.splits.values():
            yield from split.shards
        yield from self.other_files

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        mapping = to_mapping(self)
        if self.keep_negatives == 1:  # as in data sets from before negatives could be left out
            del mapping["keep_negatives"], mapping["left_out_negatives"]
        return json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}, indent=1) + "\n"


def read_manifest(folder: Path) -> DatasetManifest:
    """Read the manifest of a data set.

    Raises:
        DamagedManifestError: Its bytes changed after it was written.
        InputDataError: The folder is not a finished data set, or its manifest is of another version.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
        mapping = json.loads(text)
    except FileNotFoundError as e:
        raise InputDataError(
            f"{folder} holds no {MANIFEST_NAME}, so it is not a finished data set. "
            "Make one in a folder of its own: esmm preprocess RAW DATA --schema aliccp, and give DATA."
        ) from e
    except (OSError, ValueError, RecursionError) as e:
        raise DamagedManifestError(f"{path} cannot be read ({e}). {REPAIR}") from e
    if not isinstance(mapping, dict) or mapping.get("format") != FORMAT:
        raise InputDataError(f"{path} is not the manifest of a data set. Give the folder that esmm preprocess wrote.")
    if mapping.get("format_version") != FORMAT_VERSION:
        raise InputDataError(
            f"{path} has format version {mapping.get('format_version')}; this program reads {FORMAT_VERSION}. "
            "Make it again in another folder (esmm preprocess RAW FOLDER), or install the version that wrote it."
        )
    checksum = mapping.pop("crc32c", None)
    if checksum is not None and checksum != text_crc32c(text, checksum) and checksum != mapping_crc32c(mapping):
        raise DamagedManifestError(
            f"{path} has another checksum than the one it ends with: its bytes changed. {REPAIR}"
        )
    return build(DatasetManifest, with_old_meaning(mapping), where=str(path), error=InputDataError)
