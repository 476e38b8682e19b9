"""Speed of ``esmm stats`` on a data set of full-length lists, in one process, beside reading it alone.

    python -m tests.benchmarks.stats_speed [--quick]

Groups of 8 and of 64 impressions, and a limit of ids that some fields exceed, so that a sample of theirs is counted.
"""

import resource
from collections.abc import Iterator
from pathlib import Path

from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import NoProgress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from tests.benchmarks.figures import Figure, Scale, paired, show, timed
from tests.benchmarks.reference_work import GROUP_SIZES, data_set

_FEW_IDS = 10_000
_ROUNDS = 3


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    for group_size in GROUP_SIZES:
        yield from _of_groups(data_set(scale, group_size), group_size)
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Figure(name="stats: memory", value=gib, unit="GiB", less_is_better=True)


def _of_groups(data: Path, group_size: int) -> Iterator[Figure]:
    manifest = read_manifest(data)
    impressions = sum(split.impressions for split in manifest.splits.values())

    def a_core_second(**settings: int) -> float:
        config = StatsConfig(data=data, **settings)  # type: ignore[arg-type]
        return impressions / timed(lambda: data_statistics(config, NoProgress())).cpu_s

    found = paired(
        {
            "all": a_core_second,
            "sampled": lambda: a_core_second(most_ids=_FEW_IDS),
            "read": lambda: impressions / timed(lambda: _read(data, manifest)).cpu_s,
        },
        rounds=_ROUNDS,
    )
    of_groups = f"groups of {group_size}, a core-second"
    yield Figure(
        name=f"stats, {of_groups}",
        value=found.median("all"),
        unit="impressions",
        target=200_000,
        floor=found.median("read"),
        note="floor: reading alone",
    )
    yield Figure(
        name=f"stats, {_FEW_IDS:,} ids a field counted, {of_groups}", value=found.median("sampled"), unit="impressions"
    )


def _read(data: Path, manifest: DatasetManifest) -> None:
    records = 1024 // manifest.lanes * manifest.lanes
    for split in manifest.splits:
        reader = BatchReader(data, manifest, split, InputConfig(global_batch_records=records))
        for _ in reader.epoch(0, seed=None):
            pass


if __name__ == "__main__":
    show(__doc__, figures)
