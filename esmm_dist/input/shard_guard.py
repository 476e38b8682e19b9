"""Compare each shard with the manifest before it is read for the first time.

A shard whose bytes differ is an error, or, with ``on_bad_record: skip``, read from a copy in memory in which a record
without impressions stands for each that cannot be read. So the other records keep their places: the order of records,
the number of steps and the share of each rank are those of the undamaged data.

Records are used if their own checksum and everything in them fits. Where that shows no damage although the file's
checksum differs, the file was not damaged but written anew, by whomever: then no record of it is used, as when the file
is missing or has another size.
"""

import os
import weakref
from collections.abc import Iterable
from pathlib import Path

from esmm_dist.errors import InputDataError
from esmm_dist.input.config import OnBadRecord
from esmm_dist.input.salvage import Salvaged, placeholder, salvage, shard_bytes
from esmm_dist.input.skipped import SkippedShard
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.file_problem import file_problem
from esmm_dist.schema.manifest import REPAIR, Compression, Shard, Split


def check_shard_files(folder: Path, split: Split, on_bad_record: OnBadRecord = "fail") -> None:
    """Compare the shard files' sizes with the manifest.

    Args:
        folder: folder of the data set
        split: split of its manifest
        on_bad_record: with ``skip`` it is enough that one file is as it should be

    Raises:
        InputDataError: A file is missing or has another size.
    """
    problems = [
        f"{folder / shard.path} {problem}"
        for shard in split.shards
        if (problem := file_problem(folder, shard, compare_bytes=False))
    ]
    if not problems:
        return
    if on_bad_record == "skip":
        if len(problems) < len(split.shards):
            return
        raise InputDataError(
            f"All {len(problems)} shards cannot be read, and nothing is left if they are skipped. {problems[0]}. Check "
            "that the data set is where it should be."
        )
    more = f" ({len(problems) - 1} other shards cannot be read either.)" if len(problems) > 1 else ""
    raise InputDataError(f"{problems[0]}.{more} {REPAIR} Or leave out what cannot be read: --on-bad-record skip.")


class ShardGuard:
    """Checks the files of a split before a reader uses them.

    One thread uses it. The copies are in memory that has no name, and go with the guard.
    """

    def __init__(self, folder: Path, schema: Schema, compression: Compression, on_bad_record: OnBadRecord) -> None:
        """Begin with no shard checked.

        Args:
            folder: folder of the data set
            schema: schema of its records
            compression: compression of its shards
            on_bad_record: what to do with what cannot be read
        """
        self._folder, self._schema, self._on_bad_record = folder, schema, on_bad_record
        self._compressed = compression == "ZLIB"
        self._checked: set[str] = set()
        self._copies: dict[str, str] = {}
        self._skipped: dict[str, SkippedShard] = {}

    @property
    def skipped(self) -> list[SkippedShard]:
        """What was skipped so far, in the order in which it was found."""
        return list(self._skipped.values())

    def path(self, shard: Shard) -> str:
        """Return the file to read a shard from."""
        return self._copies.get(shard.path, str(self._folder / shard.path))

    def check(self, shards: Iterable[Shard]) -> bool:
        """Compare those shards with the manifest that have not been; return whether ``path`` of one has changed.

        Raises:
            InputDataError: One differs, and nothing is to be skipped.
        """
        found = False
        for shard in shards:
            if shard.path not in self._checked:
                self._checked.add(shard.path)
                problem = file_problem(self._folder, shard)
                if problem is not None:
                    self._replace(shard, problem)
                    found = True
        return found

    def examine(self, shards: Iterable[Shard]) -> bool:
        """After reading has failed: look for what was damaged since, and at each record of what was not.

        Returns:
            Whether ``path`` of a shard has changed.

        Raises:
            InputDataError: Something is damaged, and nothing is to be skipped.
        """
        found = False
        for shard in shards:
            if shard.path in self._copies:
                continue
            problem = file_problem(self._folder, shard)
            if problem is None:
                salvaged = self._salvaged((self._folder / shard.path).read_bytes(), shard)
                if None not in salvaged.records:
                    continue
                problem = f"{salvaged.reason or 'it has another number of records than the manifest says'}"
            self._replace(shard, problem)
            found = True
        return found

    def _replace(self, shard: Shard, problem: str) -> None:
        """Make a copy with placeholders for what cannot be read, and count it."""
        path = self._folder / shard.path
        if self._on_bad_record == "fail":
            raise InputDataError(
                f"a shard cannot be read: {path} {problem}. {REPAIR} Or leave out what cannot be read: "
                "--on-bad-record skip."
            )
        try:
            data = path.read_bytes()
        except OSError:
            data = b""
        records: tuple[bytes | None, ...] = (None,) * shard.records
        kept, reason = 0, problem
        if len(data) == shard.file_bytes:
            salvaged = self._salvaged(data, shard)
            lost = salvaged.records.count(None)
            # Of one that differs without a sign of damage, and of one that holds more than the manifest says, nothing
            # is what preprocess wrote; each lost record had an impression at least
            if lost and salvaged.reason is not None and salvaged.impressions + lost <= shard.impressions:
                records, kept, reason = salvaged.records, salvaged.impressions, salvaged.reason
        filler = placeholder(self._schema)
        copy = shard_bytes([record or filler for record in records], compressed=self._compressed)
        self._copies[shard.path] = self._in_memory(copy)
        self._skipped[shard.path] = SkippedShard(
            path=shard.path, records=records.count(None), impressions=shard.impressions - kept, reason=reason
        )

    def _salvaged(self, data: bytes, shard: Shard) -> Salvaged:
        return salvage(data, shard, self._schema, compressed=self._compressed)

    def _in_memory(self, data: bytes) -> str:
        """Return a path that this process, and no other, can read the bytes from; nothing is left when it ends."""
        descriptor = os.memfd_create("shard")
        weakref.finalize(self, os.close, descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        return f"/proc/self/fd/{descriptor}"
