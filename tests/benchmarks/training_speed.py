"""Speed of reading and training, in one process: the reference work, with groups of 8 and of 64 impressions.

    python -m tests.benchmarks.training_speed [--quick]

Impressions a second and a core-second: of the input pipeline alone, with the unique ids, and of whole training from
disk into a table of 4.5 M rows.
"""

import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

from esmm_dist.process.quiet import import_tfra
from esmm_dist.schema.manifest import read_manifest
from tests.benchmarks.figures import Figure, Scale, StepClock, Times, show, timed
from tests.benchmarks.reference_work import GROUP_SIZES, TABLE_ROWS, data_set, fill, reference_config, train_timed

EPOCHS = 4


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    for group_size in GROUP_SIZES:
        data = data_set(scale, group_size)
        yield from _reading(data, group_size)
        yield from _training(data, group_size, rows=scale.of(TABLE_ROWS, 0))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Figure(name="resident memory of both trainings", value=gib, unit="GiB", less_is_better=True)


def _reading(data: Path, group_size: int) -> Iterator[Figure]:
    """Read the train split, parse it, do nothing with it; then with the unique ids of each batch."""
    from esmm_dist.embedding.lookup import LookupPlan
    from esmm_dist.input.pipeline import BatchReader

    manifest = read_manifest(data)
    reader = BatchReader(data, manifest, "train", reference_config(data, data, epochs=1).input)
    for name, plan in (("input alone", None), ("input and unique ids", LookupPlan(manifest.schema))):

        def read(plan: LookupPlan | None = plan) -> None:
            for batch in reader.epoch(0, seed=1):
                if plan is not None:
                    plan.prepare(batch)

        yield from _rates(f"{name}, groups of {group_size}", timed(read), manifest.splits["train"].impressions)


def _training(data: Path, group_size: int, *, rows: int) -> Iterator[Figure]:
    """Train from disk into a table of 4.5 M rows; the first steps, which compile, do not count."""
    from esmm_dist.train.trainer import Trainer

    with tempfile.TemporaryDirectory() as run:
        clock = StepClock()
        trainer = Trainer(reference_config(data, Path(run), epochs=EPOCHS), clock)
        fill(trainer.store, trainer.config, rows)
        impressions, times = train_timed(trainer, clock)
        yield from _rates(f"training from disk, groups of {group_size}", times, impressions)


def _rates(name: str, times: Times, impressions: int) -> Iterator[Figure]:
    yield Figure(name=name, value=impressions / times.wall_s, unit="impressions/s")
    yield Figure(name=f"{name}, a core-second", value=impressions / times.cpu_s, unit="impressions")


if __name__ == "__main__":
    show(__doc__, figures)
