"""Speed of evaluate and predict beside training, in turns: the reference work, with groups of 8 and of 64 impressions.

    python -m tests.benchmarks.inference_speed [--quick]

Each side takes the train split once, from disk, with a table of 4.5 M rows in this process: training makes the steps of
an epoch; evaluate scores and computes all metrics; predict scores and writes Parquet. And of evaluate's metrics alone,
the memory and the disk that 10 M scores take.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from esmm_dist.kernels.threads import num_threads
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.manifest import read_manifest
from tests.benchmarks.figures import Figure, Paired, Scale, paired, show, timed
from tests.benchmarks.reference_work import GROUP_SIZES, TABLE_ROWS, batch_records, data_set, fill, reference_config

TARGET_RATIO = 2.5
_ROUNDS = 3
_SCORES = 10_000_000


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    for group_size in GROUP_SIZES:
        data = data_set(scale, group_size)
        rates, ceiling = _rates(data, rows=scale.of(TABLE_ROWS, 0), rounds=scale.of(_ROUNDS, 1))
        for side in ("training", "evaluate", "predict"):
            name = f"{side}, groups of {group_size}"
            yield Figure(name=name, value=rates.median(side), unit="impressions/s")
        for side in ("evaluate", "predict"):
            yield Figure(
                name=f"{side} / training, groups of {group_size}",
                value=rates.ratio(side, "training"),
                unit="",
                target=TARGET_RATIO,
                floor=ceiling / rates.median("training"),
                note="floor: reading, rows and forward pass alone, one after the other, on all cores without a gap",
            )
    yield from _metrics_alone(scale.of(_SCORES, 200_000))


def _rates(data: Path, *, rows: int, rounds: int) -> tuple[Paired, float]:
    """Measure the impressions a second of each side, and those that scoring could reach."""
    from esmm_dist.embedding.start_values import StartValues
    from esmm_dist.inference.evaluate import evaluate_batches
    from esmm_dist.inference.learned_ids import LearnedIds
    from esmm_dist.inference.predict import PredictConfig, write_predictions
    from esmm_dist.inference.scoring import own_batches
    from esmm_dist.inference.trained_model import TrainedModel, open_split
    from esmm_dist.input.users import BatchUsers
    from esmm_dist.train.trainer import Trainer

    manifest, world = read_manifest(data), SoloWorld()
    schema, impressions = manifest.schema, manifest.splits["train"].impressions
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(reference_config(data, Path(folder), epochs=rounds + 2), NoProgress())
        fill(trainer.store, trainer.config, rows)
        steps = -(-manifest.splits["train"].records // batch_records(manifest))
        embedding, seed = trainer.config.embedding, trainer.config.seed
        starts = StartValues(embedding_dim=embedding.embedding_dim, scale=embedding.start_range, seed=seed)
        trained = TrainedModel(
            step=0,
            scorer=trainer.scorer,
            start_values={table: starts for table in schema.tables},
            global_batch_records=batch_records(manifest),
            calibration=None,
        )
        out = PredictConfig(run=folder, data=data, split="train", out=Path(folder, "scores.parquet"))

        def train() -> int:
            return trainer.train_steps(steps)

        def evaluate() -> int:
            reader, _ = open_split(trained, data, "train", world)
            learned_ids = LearnedIds(trained.scorer.forward.model.seen_fields, trained.start_values)
            with closing(own_batches(trained.scorer, reader, BatchUsers(schema), learned_ids=learned_ids)) as scored:
                evaluate_batches(scored, schema.label_tree, NoProgress(), world)
            return impressions

        def predict() -> int:
            reader, _ = open_split(trained, data, "train", world)
            return write_predictions(trained.scorer, reader, schema, out, world, NoProgress())

        def score() -> None:
            reader, _ = open_split(trained, data, "train", world)
            for batch in reader.epoch(0, seed=None):
                trained.scorer.score(trained.scorer.pull(batch))

        sides = {"training": train, "evaluate": evaluate, "predict": predict}
        for work in sides.values():
            work()  # compiles, and warms up what is kept between calls
        rates = paired({name: _rate(work) for name, work in sides.items()}, rounds=rounds)
        return rates, num_threads() * impressions / timed(score).cpu_s


def _rate(work: Callable[[], int]) -> Callable[[], float]:
    def measured() -> float:
        done: list[int] = []
        times = timed(lambda: done.append(work()))
        return done[0] / times.wall_s

    return measured


def _metrics_alone(scores: int) -> Iterator[Figure]:
    """Collect synthetic scores in a process of its own, whose memory is that of the metrics."""
    command = [sys.executable, "-m", "tests.benchmarks.inference_speed", str(scores)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    memory_bytes, disk_bytes, cpu_s = map(float, output.split())
    millions = f"metrics of {scores / 1e6:g} M impressions"
    yield Figure(name=f"{millions}: memory at the most", value=memory_bytes / 2**20, unit="MiB", less_is_better=True)
    yield Figure(name="... on disk", value=disk_bytes / scores, unit="bytes/impression", less_is_better=True)
    yield Figure(name="... CPU time", value=1e9 * cpu_s / scores, unit="ns/impression", less_is_better=True)


def _most_memory_kb() -> int:
    """Return what this program took at the most, in kB; ``ru_maxrss`` begins with that of who started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def _collect(scores: int) -> None:
    """Print the memory, the disk and the CPU time that the metrics of synthetic scores take."""
    from esmm_dist.model.metrics.label_tree_metrics import LabelTreeMetrics

    random = np.random.default_rng(1)
    batch, cpu_s = 16_384, 0.0
    before = _most_memory_kb()
    with LabelTreeMetrics(LabelTree.of(("click", "conversion")), scale="logit") as metrics:
        for _ in range(0, scores, batch):
            logits = random.normal(-2.5, 1.2, (batch, 2)).astype(np.float32)
            labels = random.random((batch, 2)) < 1 / (1 + np.exp(-logits))
            labels[:, 1] &= labels[:, 0]
            users = random.integers(0, scores // 40, batch)
            cpu_s += timed(lambda: metrics.add(labels, logits, users)).cpu_s  # noqa: B023 (called at once)
        cpu_s += timed(metrics.metrics).cpu_s
        memory = 1024 * (_most_memory_kb() - before)
        print(memory, metrics.spilled_bytes, cpu_s)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():
        _collect(int(sys.argv[1]))
    else:
        show(__doc__, figures)
