"""A delta beside a full export: bytes and seconds, of a large table of which a step has changed a few percent.

    python -m tests.benchmarks.delta_speed

A training of the reference work, its table filled to 1.2 M rows (D = 16, towers of 256 and 128), makes two steps of
small batches and saves after each. The version of the first is whole; of the second each form is exported once, in a
process of its own, whose start is not in the seconds.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import CheckpointConfig
from tests.benchmarks.figures import Figure, Scale, show
from tests.benchmarks.reference_work import ESMM, batch_records, data_set, fill, reference_config

ROWS = 1_200_000
_BATCH_SHARE = 24
"""A step of so small a part of the reference work's batch changes 2.7% of the rows, as few as its lanes allow"""


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield what each form of an export takes."""
    rows = scale.of(ROWS, 50_000)
    with tempfile.TemporaryDirectory(dir=scale.folder) as folder:
        run, models = Path(folder) / "run", Path(folder) / "models"
        _train(data_set(scale, 8, "aliccp"), run, rows)
        export(run, models / "1", "--step", 1)
        found = {
            "full": export(run, models / "2", "--step", 2),
            "shards": export(run, models / "3", "--step", 2, "--form", "shards"),
            "delta": export(run, models / "4.delta", "--step", 2, "--delta-since", 1),
        }
    delta = found["delta"]["delta"]
    changed = delta["changed"] + delta["new"] + delta["removed"]
    for name, of_what in (("full", "a full version"), ("shards", "a full version with --form shards"), ("delta", "")):
        what = of_what or f"a delta of {changed:,} rows of {rows:,}"
        yield Figure(name=f"bytes of {what}", value=found[name]["folder_bytes"] / 1e6, unit="MB", less_is_better=True)
        yield Figure(name=f"seconds of {what}", value=found[name]["seconds"], unit="s", less_is_better=True)


def export(run: Path, out: Path, *flags: object) -> dict[str, Any]:
    """Export in a process of its own, and return its report."""
    line = [*ESMM, "export", "--run", str(run), "--out", str(out), *map(str, flags), "--json"]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _train(data: Path, run: Path, rows: int) -> None:
    """Save a checkpoint with so many rows, and one a step later."""
    import_tfra()
    from esmm_dist.train.trainer import Trainer

    run.mkdir()
    config, manifest = reference_config(data, run, epochs=8), read_manifest(data)
    records = max(batch_records(manifest) // _BATCH_SHARE // manifest.lanes, 1) * manifest.lanes
    config = replace(
        config,
        input=replace(config.input, global_batch_records=records),
        checkpoint=CheckpointConfig(checkpoint_every_steps=1),
        max_steps=2,
    )
    with Trainer(config, NoProgress()) as trainer:
        fill(trainer.store, trainer.config, rows)
        trainer.train()


if __name__ == "__main__":
    show(__doc__, figures)
