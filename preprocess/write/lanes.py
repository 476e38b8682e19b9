"""Stage 6: put the records of a split into one order and deal them into lanes; stage 7: write the shards.

The order is by record key, which is a hash. Its range is cut into slices of about ``SLICE_BYTES`` of records, which
are put in order, dealt and compressed one by one by any worker. Record i of the split goes to lane i mod ``lanes``.
A shard is then the concatenation of its lane's pieces. How many slices and parts there are depends on the size of the
records and the settings only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.schema.manifest import Compression
from preprocess.read.feature_rows import splits_of
from preprocess.work.blocks import gathered
from preprocess.work.folder import replaced
from preprocess.work.workers import Result
from preprocess.write.merge_records import cut_index, key_bounds, read_records
from preprocess.write.zlib_pieces import HEADER, compress_piece, join_adler, trailer

SLICE_BYTES = 16 << 20
"""Bytes of records in memory at once while they are dealt. With 64 lanes a piece has 256 kB, long enough that
compressing pieces apart costs less than 1 %."""

LANES_TASK_BYTES = 16 << 20
"""Bytes of pieces that one task joins: a task for each lane of a small log would cost more than its work."""

PIECE_COLUMNS = ("records", "impressions", "piece_bytes", "data_bytes", "adler")

LEVEL = 2
"""Level of isal's deflate; README has the measured choice."""


@dataclass(frozen=True, kw_only=True)
class LanesJob:
    """What all slices of one split share."""

    work: Path
    split: str
    names: tuple[str, ...]
    """Partitions whose records are dealt."""
    slices: int
    lanes: int
    compression: Compression


def num_slices(total_bytes: int) -> int:
    """Return into how many slices so many bytes of records are cut."""
    return max(1, -(-total_bytes // SLICE_BYTES))


def cut_slices(work: Path, names: Sequence[str], slices: int) -> I64:
    """Return where each slice begins in each partition's index: int64 [partitions, slices + 1]."""
    bounds = key_bounds(slices)
    return np.stack([cut_index(work, name, bounds) for name in names])


def deal_slice(job: LanesJob, number: int, first_record: int, begins: I64, ends: I64) -> Result:
    """Order the records of one slice and write each lane's part of it as one piece.

    Args:
        job: what all slices share
        number: which slice
        first_record: records of the split that come before it
        begins: where the slice begins in each partition's index, int64 [partitions]
        ends: where it ends, int64 [partitions]

    Returns:
        For each lane, in order, the values named in ``PIECE_COLUMNS``.
    """
    index, data = read_records(job.work, job.names, begins, ends)
    sizes = index["length"].astype(np.int64)
    splits = splits_of(sizes)
    order = np.lexsort((index["crc"], index["key"]))
    lanes: list[list[int]] = []
    with replaced(pieces_path(job.work, job.split, number)) as temporary, temporary.open("wb") as file:
        for lane in range(job.lanes):
            members = order[(lane - first_record) % job.lanes :: job.lanes]
            records = gathered(data, splits[members], sizes[members]).data
            piece, adler = compress_piece(records, LEVEL) if job.compression == "ZLIB" else (records, 1)
            file.write(piece)
            impressions = int(index["impressions"][members].sum(dtype=np.int64))
            lanes.append([len(members), impressions, len(piece), len(records), adler])
    return {"lanes": lanes}


def pieces_path(work: Path, split: str, number: int) -> Path:
    """Return where the pieces of a slice stand, lane after lane."""
    return work / "pieces" / f"{split}-{number:06d}.pieces"


def num_parts(total_piece_bytes: int, lanes: int, slices: int, shard_bytes: int) -> int:
    """Return how many parts each lane has."""
    return min(slices, max(1, round(total_piece_bytes / (lanes * shard_bytes))))


def write_lanes(job: LanesJob, folder: Path, first_lane: int, parts: int, offsets: I64, pieces: I64) -> Result:
    """Write the shards of some lanes that follow each other.

    Args:
        job: what all lanes share
        folder: folder of the shards, ``lane-000-part-000.tfrecord`` and on
        first_lane: the first of L lanes
        parts: shards of a lane; part p takes slices p * slices // parts and on
        offsets: where the piece of each lane begins in the file of each slice, int64 [slices, L]
        pieces: what ``deal_slice`` returned for these lanes and each slice, int64 [slices, L, len(PIECE_COLUMNS)]

    Returns:
        The shards, as the manifest lists them.
    """
    shards = []
    for number in range(offsets.shape[1]):
        shards += _write_lane(job, folder, first_lane + number, parts, offsets[:, number], pieces[:, number])
    return {"shards": shards}


def _write_lane(job: LanesJob, folder: Path, lane: int, parts: int, offsets: I64, pieces: I64) -> list[Result]:
    shards: list[Result] = []
    for part in range(parts):
        chosen = slice(part * job.slices // parts, (part + 1) * job.slices // parts)
        name = f"lane-{lane:03d}-part-{part:03d}.tfrecord"
        with replaced(folder / name) as temporary:
            file_bytes, crc = _write_shard(job, temporary, chosen.start, offsets[chosen], pieces[chosen])
        records, impressions = pieces[chosen, :2].sum(axis=0).tolist()
        shards.append(
            {
                "path": f"{job.split}/{name}",
                "lane": lane,
                "part": part,
                "records": records,
                "impressions": impressions,
                "file_bytes": file_bytes,
                "crc32c": crc,
            }
        )
    return shards


def _write_shard(job: LanesJob, path: Path, first_slice: int, offsets: I64, pieces: I64) -> tuple[int, int]:
    """Join pieces into one file; return its bytes and CRC-32C."""
    adler, crc, size = 1, 0, 0
    with path.open("wb") as out:
        for data in _contents(job, first_slice, offsets, pieces):
            size += out.write(data)
            crc = google_crc32c.extend(crc, data)
        if job.compression == "ZLIB":
            for data_bytes, piece_adler in pieces[:, 3:5].tolist():
                adler = join_adler(adler, piece_adler, data_bytes)
            size += out.write(trailer(adler))
            crc = google_crc32c.extend(crc, trailer(adler))
    return size, crc


def _contents(job: LanesJob, first_slice: int, offsets: I64, pieces: I64) -> Iterator[bytes]:
    if job.compression == "ZLIB":
        yield HEADER
    for number, offset, piece_bytes in zip(
        range(first_slice, first_slice + len(offsets)), offsets.tolist(), pieces[:, 2].tolist(), strict=True
    ):
        with pieces_path(job.work, job.split, number).open("rb") as file:
            file.seek(offset)
            yield file.read(piece_bytes)
