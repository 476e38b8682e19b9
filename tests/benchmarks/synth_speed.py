"""Speed of the synthetic log: impressions and raw text a CPU-second, and the highest memory.

Command: ``python tests/benchmarks/synth_speed.py [--impressions 300000]``, about 15 s. The floor is 20,000 impressions
a CPU-second. Each case runs in a process of its own, so that memory is the case's own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES: dict[str, tuple[float, float | None]] = {
    "default": (0.2, None),
    "full-length lists": (1.0, None),
    "full-length lists, real dimensions": (1.0, 1.0),
}
"""list_scale and dimension_scale."""


def measure(impressions: int, list_scale: float, dimension_scale: float | None) -> dict[str, float]:
    """Write one log and return its figures: CPU seconds include the set-up, not the imports."""
    from preprocess.synthetic.config import SynthConfig
    from preprocess.synthetic.synthesize import synthesize

    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        report = synthesize(
            SynthConfig(
                out=Path(folder),
                impressions=impressions,
                list_scale=list_scale,
                dimension_scale=dimension_scale,
            )
        )
        seconds = time.process_time() - began
    text = sum(split.skeleton_bytes + split.common_bytes for split in report.splits.values())
    return {
        "impressions_per_cpu_s": impressions / seconds,
        "mb_per_cpu_s": text / 1e6 / seconds,
        "text_bytes_per_impression": text / impressions,
        "ids_per_impression": sum(report.splits["train"].mean_ids.values()),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def main() -> None:
    """Measure every case and print a table, or one case as JSON (used by itself)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=300_000)
    parser.add_argument("--case", choices=sorted(CASES))
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(arguments.impressions, *CASES[arguments.case])))
        return
    for case in CASES:
        command = [sys.executable, __file__, "--impressions", str(arguments.impressions), "--case", case]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(case)
        for name, value in figures.items():
            print(f"  {name:26} {value:>10,.0f}")


if __name__ == "__main__":
    main()
