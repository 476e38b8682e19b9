"""Cut a partition that is too large for memory into smaller ones.

Hashing by user context spreads contexts evenly but cannot cut one: a user of very many impressions (a bot, or the
empty index that stands for "no user") fills a partition alone. Its impressions are cut by the same ranges of a hash
that bound its groups (``groups``), so each part makes the same records as the whole would. These ranges are dealt out,
for a hash would put several of the few into one part; other contexts go by their hash. The common row of such a user
goes into every part.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, U64, Array, Bools
from esmm_dist.hashing import mix64
from preprocess.join.groups import num_ranges, order_hash, range_of
from preprocess.join.partition import PartitionSource, find, names_of
from preprocess.join.repeats import load_repeats
from preprocess.read.feature_rows import FeatureRows, Index, index_dtype, splits_of
from preprocess.read.row_files import JOIN_COLUMNS, RowFile, RowKind
from preprocess.work.blocks import Column, read_block, write_blocks
from preprocess.work.workers import Result


def split_partition(work: Path, source: PartitionSource, parts: int, seed: int) -> Result:
    """Write the rows of a partition again, cut into ``parts``; one file of the log is in memory at a time.

    Returns:
        ``bytes`` of each part, and ``ranges``: [context, number of ranges] of contexts that have more than one.
    """
    repeats = load_repeats(work, "skeleton", source.split)
    keys, counts = _count_contexts(source, repeats)
    ranges = num_ranges(counts)
    first_range = np.where(ranges > 1, np.cumsum(ranges) - ranges, -1)
    sizes = np.zeros(parts, np.int64)
    for file, rows in _read(source, "skeleton"):
        keep = np.flatnonzero(find(repeats, rows["line"]) < 0)
        context = find(keys, rows["key"][keep])
        which = range_of(order_hash(rows["sample_id"][keep], seed), ranges[context])
        part = _part_of(rows["key"][keep], first_range[context], which, parts)
        sizes += _write(_part_path(work, source, parts, file), _take(rows, keep), part, parts, "skeleton")
    seen = np.zeros(0, np.uint64)
    for file, rows in _read(source, "common"):
        # Only the first row of a context is used; later ones must not be copied around.
        new, first = np.unique(rows["key"], return_index=True)
        first = np.sort(first[find(seen, new) < 0])
        seen = np.union1d(seen, new)
        index, part, is_copy = _copies(rows["key"][first], keys, ranges, first_range, parts)
        taken = _take(rows, first[index])
        taken["line"] = np.where(is_copy, -1, taken["line"])
        sizes += _write(_part_path(work, source, parts, file), taken, part, parts, "common")
    heavy = np.flatnonzero(ranges > 1)
    return {"bytes": sizes.tolist(), "ranges": [[int(keys[i]), int(ranges[i])] for i in heavy]}


def split_sources(work: Path, source: PartitionSource, result: Result) -> list[PartitionSource]:
    """Return the parts that ``split_partition`` made."""
    known = tuple((key, ranges) for key, ranges in result["ranges"])
    parts = len(result["bytes"])

    def files(of: tuple[RowFile, ...]) -> tuple[RowFile, ...]:
        return tuple(RowFile(path=_part_path(work, source, parts, file), base=0) for file in of)

    return [
        PartitionSource(
            name=f"{source.name}-part-{i:04d}-of-{parts:04d}",
            split=source.split,
            index=i,
            common=files(source.common),
            skeleton=files(source.skeleton),
            row_bytes=size,
            known_ranges=known,
        )
        for i, size in enumerate(result["bytes"])
    ]


def _count_contexts(source: PartitionSource, repeats: I64) -> tuple[U64, I64]:
    """Return the contexts of a partition's impressions, ascending, and how many each has."""
    keys, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    for file in source.skeleton:
        block = read_block(file.path, source.index, ("key", "line"))
        here = block["key"][find(repeats, block["line"] + file.base) < 0]
        new, new_counts = np.unique(here, return_counts=True)
        keys, inverse = np.unique(np.concatenate((keys, new)), return_inverse=True)
        both = np.concatenate((counts, new_counts))
        counts = np.bincount(inverse, weights=both, minlength=len(keys)).astype(np.int64)
    return keys, counts


def _read(source: PartitionSource, kind: RowKind) -> Iterator[tuple[RowFile, dict[str, Array]]]:
    """Yield the rows of each file; ``line`` is the position, and sample ids are final."""
    for file in source.common if kind == "common" else source.skeleton:
        rows = read_block(file.path, source.index, JOIN_COLUMNS[kind])
        rows["line"] = rows["line"] + file.base
        if file.first_sample_id:
            rows["sample_id"] = rows["sample_id"] + file.first_sample_id
        yield file, rows


def _part_of(keys: U64, first_range: I64, ranges: U64, parts: int) -> Index:
    """Return the part of each row: of contexts with one range (``first_range`` -1) by hash, of the others in turn."""
    hashed = (mix64(mix64(keys)) % np.uint64(parts)).astype(np.int64)
    part = np.where(first_range < 0, hashed, (first_range + ranges.astype(np.int64)) % parts)
    return part.astype(index_dtype(parts))


def _copies(common: U64, keys: U64, ranges: I64, first_range: I64, parts: int) -> tuple[I64, Index, Bools]:
    """Return which common rows go where, and whether as a copy: once to every part with impressions of its context."""
    place = find(keys, common)
    times = np.where(place >= 0, ranges[place] if len(ranges) else 1, 1)
    index = np.repeat(np.arange(len(common)), times)
    which = np.arange(len(index)) - np.repeat(np.cumsum(times) - times, times)
    first = np.where(place >= 0, first_range[place] if len(ranges) else -1, -1)
    part = _part_of(common[index], first[index], which.astype(np.uint64), parts)
    pairs = np.unique(np.stack((index, part.astype(np.int64))), axis=1)
    is_copy = np.zeros(pairs.shape[1], np.bool_)
    is_copy[1:] = pairs[0, 1:] == pairs[0, :-1]
    return pairs[0], pairs[1].astype(index_dtype(parts)), is_copy


def _take(rows: Mapping[str, Array], index: I64) -> dict[str, Array]:
    features = FeatureRows(lengths=rows["lengths"], ids=rows["ids"], values=rows["values"]).take(index)
    taken: dict[str, Array] = {"lengths": features.lengths, "ids": features.ids, "values": features.values}
    names = names_of(rows)
    if names is not None:
        names = names.take(index)
        taken |= {"name_lengths": names.lengths, "names": names.data}
    return taken | {name: array[index] for name, array in rows.items() if name not in taken}


def _write(path: Path, rows: Mapping[str, Array], part: Index, parts: int, kind: RowKind) -> I64:
    rows = _take(rows, np.argsort(part, kind="stable"))
    splits = splits_of(np.bincount(part, minlength=parts))
    feature_splits = splits_of(rows["lengths"].sum(axis=1, dtype=np.int64))[splits]
    splits_of_column = {"ids": feature_splits, "values": feature_splits}
    names = names_of(rows)
    if names is not None:
        splits_of_column["names"] = names.splits[splits]
    columns = {
        name: Column(data=rows[name], splits=splits_of_column.get(name, splits))
        for name in JOIN_COLUMNS[kind]
        if name in rows
    }
    return write_blocks(path, columns)


def _part_path(work: Path, source: PartitionSource, parts: int, file: RowFile) -> Path:
    return work / "chunks" / f"{source.name}-in-{parts:04d}-of-{file.path.name}"
