"""What reading has left out: counted by shard, each shard once, however often it is read and by whichever rank."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from esmm_dist.ranks.world import World

_NAMED_SHARDS = 5


@dataclass(frozen=True, kw_only=True)
class SkippedShard:
    """Records of one shard that cannot be read, and that ``on_bad_record: skip`` leaves out."""

    path: str
    """Relative to the data set's folder."""
    records: int
    impressions: int
    reason: str
    """What is wrong with the shard, or with the first of these records."""


def gather_skipped(world: World, own: Iterable[SkippedShard]) -> list[SkippedShard]:
    """Return what all ranks have skipped, ordered by path: the same on every rank; a collective."""
    lines = "".join(json.dumps(asdict(each)) + "\n" for each in own)
    rows = np.frombuffer(lines.encode(), dtype=np.uint8).reshape(-1, 1)
    gathered = world.gather(rows).tobytes().decode()
    return sorted((SkippedShard(**json.loads(line)) for line in gathered.splitlines()), key=lambda each: each.path)


def skipped_lines(skipped: Sequence[SkippedShard]) -> list[str]:
    """Return the report of what was skipped, a line each; none if nothing was."""
    if not skipped:
        return []
    records, impressions = sum(each.records for each in skipped), sum(each.impressions for each in skipped)
    lines = [
        f"Skipped {records:,} records with {impressions:,} impressions of {len(skipped):,} damaged shard"
        f"{'s' * (len(skipped) != 1)}:"
    ]
    lines += [skipped_line(each) for each in skipped[:_NAMED_SHARDS]]
    if len(skipped) > _NAMED_SHARDS:
        lines.append(f"... and {len(skipped) - _NAMED_SHARDS:,} shards more")
    return lines


def skipped_line(skipped: SkippedShard) -> str:
    """Return one line about one shard."""
    return f"{skipped.path}: {skipped.records:,} records, {skipped.impressions:,} impressions ({skipped.reason})"
