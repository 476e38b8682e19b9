"""Speed of preprocess and the memory of its processes, on the raw log of the reference work (full-length lists).

Command: ``python -m tests.benchmarks.preprocess_speed``, about two minutes on two cores. Everything counts, the start
of Python too. Floor: what must happen to the same bytes on the same machine: the CRC-32C of the text, six copies of the
rows (0.8 of the text), deflate of the records at the same level, the CRC-32C of records and shards. Memory is the sum
of the resident sizes of all processes, looked at every 10 ms.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np
import psutil

from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from preprocess.read.aliccp.line import Kind
from preprocess.write.lanes import LEVEL
from preprocess.write.zlib_pieces import compress_piece
from tests.benchmarks.figures import Figure, Scale, show, timed
from tests.benchmarks.reference_work import raw_log

CASES: dict[str, dict[str, object]] = {
    "groups of 8": {"group_size": 8},
    "groups of 8, not compressed": {"group_size": 8, "compression": "NONE"},
    "groups of 64": {"group_size": 64},
    "groups of 1": {"group_size": 1},
}
TARGET_MB = 40.0
LEAST_MEMORY_GB = 0.33
ROUNDS = 3
KINDS: tuple[Kind, ...] = ("skeleton", "common")
_PROGRAM = """
import gc
import sys
from pathlib import Path
from esmm_dist.progress import NoProgress
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess

if __name__ == "__main__":
    raw, out, settings = sys.argv[1:]
    preprocess(PreprocessConfig(raw=Path(raw), out=Path(out), schema="aliccp", **eval(settings)), NoProgress())
    gc.freeze()  # as the command does (launcher/cli.py)
"""


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    raw, out = raw_log(scale), scale.folder / "preprocess-speed"
    program = scale.folder / "preprocess_speed_program.py"
    program.write_text(_PROGRAM)
    for case, settings in CASES.items():
        seconds = sorted(_cpu_s(program, raw, out, {**settings, "workers": 1}) for _ in range(scale.of(ROUNDS, 1)))
        manifest = read_manifest(out)
        text = text_bytes(manifest)
        is_target = case == "groups of 8"
        yield Figure(
            name=f"preprocess, {case}",
            value=text / 1e6 / seconds[len(seconds) // 2],
            unit="MB of text a CPU-second",
            target=TARGET_MB if is_target else None,
            floor=text / 1e6 / floor_s(out, manifest) if settings.get("compression") != "NONE" else None,
            note=f"{_stored_bytes(manifest):.0f} bytes an impression stored; floor: CRC, copies, deflate",
        )
    for memory_gb, workers in ((LEAST_MEMORY_GB, 1), (0.8, 2)):
        settings = {"group_size": 8, "workers": workers, "memory_gb": memory_gb}
        yield Figure(
            name=f"preprocess, memory of all processes, --memory-gb {memory_gb} --workers {workers}",
            value=_peak_bytes(program, raw, out, settings) / 1e9,
            unit="GB",
            target=memory_gb,
            less_is_better=True,
        )
    shutil.rmtree(out)


def text_bytes(manifest: DatasetManifest) -> int:
    """Return the bytes of raw text that a data set was made of."""
    report = manifest.report["splits"]
    return sum(table["text_bytes"] for of_split in report.values() for k, table in of_split.items() if k in KINDS)


def floor_s(out: Path, manifest: DatasetManifest) -> float:
    """Return the CPU-seconds of what must happen to the bytes of a data set that is compressed."""
    from isal import isal_zlib

    text = np.random.default_rng(1).integers(0, 256, text_bytes(manifest), np.uint8).tobytes()
    shards = [(out / shard.path).read_bytes() for split in manifest.splits.values() for shard in split.shards]
    records = [isal_zlib.decompress(shard) for shard in shards]

    def work() -> None:
        google_crc32c.value(text)
        for data in records:
            google_crc32c.value(data)
            compress_piece(data, LEVEL)
        for data in shards:
            google_crc32c.value(data)
        rows = text[: len(text) * 8 // 10]
        for _ in range(6):
            bytearray(rows)

    return timed(work).cpu_s


def _stored_bytes(manifest: DatasetManifest) -> float:
    stored = sum(shard.file_bytes for split in manifest.splits.values() for shard in split.shards)
    return stored / sum(split.impressions for split in manifest.splits.values())


def _begin(program: Path, raw: Path, out: Path, settings: dict[str, object]) -> "subprocess.Popen[bytes]":
    shutil.rmtree(out, ignore_errors=True)
    # pandas is here for tests; PyArrow imports it where it finds it, for 41 MB that are not preprocess's
    without = program.parent / "without-pandas"
    without.mkdir(exist_ok=True)
    (without / "pandas.py").write_text("raise ImportError('not at run time')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(without), str(Path(__file__).parents[2])])}
    return subprocess.Popen([sys.executable, str(program), str(raw), str(out), repr(settings)], env=environment)


def _cpu_s(program: Path, raw: Path, out: Path, settings: dict[str, object]) -> float:
    def work() -> None:
        assert _begin(program, raw, out, settings).wait() == 0

    return timed(work).cpu_s


def _peak_bytes(program: Path, raw: Path, out: Path, settings: dict[str, object]) -> int:
    """Run preprocess; return the largest sum of the resident sizes of its processes that was seen."""
    peaks = [0]
    process = _begin(program, raw, out, settings)
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            total = 0
            try:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                # the helper of multiprocessing that removes semaphores is no process of ours
                total = sum(p.memory_info().rss for p in family if "resource_tracker" not in " ".join(p.cmdline()))
            except psutil.Error:
                pass
            peaks.append(total)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0
    ended.set()
    watcher.join()
    return max(peaks)


if __name__ == "__main__":
    show(__doc__, figures)
