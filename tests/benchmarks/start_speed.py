"""How long a start takes: until the first step of ``esmm train`` is done, and until a server listens.

    python -m tests.benchmarks.start_speed

Warm: Python's and Numba's files of compiled code exist, and the system has all files in memory. The data set is small,
so that a start is what is measured. A run's ``config.yaml`` is written once its first step is done; a server's address
file once it listens. The process is killed then, and its CPU time read.
"""

import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.figures import Figure, Scale, Times, show
from tests.benchmarks.reference_work import ESMM

_IMPRESSIONS = 20_000
_LATEST_S = 120.0


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the seconds and CPU-seconds of both starts: medians, after a first start that does not count."""
    data = small_data(scale.folder)
    with tempfile.TemporaryDirectory() as folder:
        for name, target in (("first step of esmm train", 6.0), ("esmm server listens", None)):
            times = []
            for turn in range(1 + scale.of(5, 1)):
                place = Path(folder) / f"{name} {turn}".replace(" ", "-")
                if target is None:
                    line, sign = [*_SERVER, "--address-file", str(place)], place
                else:
                    line, sign = ["train", "--data", str(data), "--run", str(place)], place / "config.yaml"
                times.append(until(line, sign))
            wall_s = statistics.median(each.wall_s for each in times[1:])
            cpu_s = statistics.median(each.cpu_s for each in times[1:])
            note = f"{cpu_s:.2f} CPU-s: what one idle core would take"
            yield Figure(name=name, value=wall_s, unit="s", target=target, floor=cpu_s, less_is_better=True, note=note)


_SERVER = ("server", "--index", "0", "--count", "1", "--bind", "127.0.0.1:0")


def small_data(folder: Path) -> Path:
    """Return the folder of a data set of 20,000 impressions, made unless it is there."""
    raw, data = folder / f"start-raw-{_IMPRESSIONS}", folder / f"start-data-{_IMPRESSIONS}"
    if not (data / "manifest.json").is_file():
        for line in (
            ["synth", str(raw), "--impressions", str(_IMPRESSIONS)],
            ["preprocess", str(raw), str(data), "--schema", "aliccp"],
        ):
            subprocess.run([*ESMM, *line], check=True, stdout=subprocess.DEVNULL)
    return data


def until(line: Sequence[str], sign: Path) -> Times:
    """Run ``esmm`` with a command line until a file is there, kill it, and return what it has taken.

    Raises:
        RuntimeError: It has ended without the file, or takes longer than two minutes.
    """
    start = time.monotonic()
    process = subprocess.Popen([*ESMM, *line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not sign.exists():
            if process.poll() is not None or time.monotonic() > start + _LATEST_S:
                raise RuntimeError(f"esmm {' '.join(line)} has not written {sign}")
            time.sleep(0.005)
        wall_s = time.monotonic() - start
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    return Times(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    show(__doc__, figures)
