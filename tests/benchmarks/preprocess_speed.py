"""Speed of preprocess, and the size of its records, on synthetic data with full-length lists (about 617 ids).

Command: ``python tests/benchmarks/preprocess_speed.py [--impressions 100000] [--workers 2]``, about 30 s. Floors: 12 MB
of raw text a CPU-second over the whole command (start-up and all processes included), and 550 bytes an impression.
Each case runs in a process of its own. With more impressions the start-up of Python (about 1 CPU-second a process)
counts less.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from esmm_dist.progress import NoProgress
from esmm_dist.schema import load_schema
from esmm_dist.schema.manifest import read_manifest
from preprocess.config import PreprocessConfig
from preprocess.read.aliccp.line import Kind, ParsedLine, parse_line
from preprocess.run import preprocess
from tests.support.reference.example_proto import ListFrame, encode_rows, example, varints
from tests.support.reference.tfrecord import OVERHEAD_BYTES

CASES: dict[str, dict[str, object]] = {
    "default": {},
    "NONE": {"compression": "NONE"},
    "one impression a record": {"group_size": 1},
    "groups of 64": {"group_size": 64},
}
SAMPLE_LINES = 2000  # from which the size of the seed's records is taken


def run_case(raw: Path, out: Path, workers: int, case: str) -> None:
    """Run preprocess once in this process."""
    config = PreprocessConfig(raw=raw, out=out, schema="aliccp", workers=workers, **CASES[case])  # type: ignore[arg-type]
    preprocess(config, NoProgress())


def measure(raw: Path, out: Path, workers: int, case: str) -> None:
    """Run one case in a process of its own and print its figures."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [
        sys.executable,
        __file__,
        "--raw",
        str(raw),
        "--out",
        str(out),
        "--workers",
        str(workers),
        "--case",
        case,
    ]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    manifest = read_manifest(out)
    report = manifest.report["splits"]
    text = sum(table["text_bytes"] for of_split in report.values() for k, table in of_split.items() if k in KINDS)
    impressions = sum(split.impressions for split in manifest.splits.values())
    stored = sum(shard.file_bytes for split in manifest.splits.values() for shard in split.shards)
    records = sum(of_split["record_bytes"] for of_split in report.values())
    print(
        f"{case:26} {text / 1e6 / cpu:6.1f} MB of text and {impressions / cpu:8,.0f} impressions a CPU-second "
        f"({time.monotonic() - began:.1f} s), {stored / impressions:6.0f} bytes an impression stored, "
        f"{records / impressions:6.0f} before compression"
    )


KINDS: tuple[Kind, ...] = ("skeleton", "common")


def seed_bytes(raw: Path) -> float:
    """Return the mean bytes of one uncompressed Example an impression: each field as lists of ids and of values."""
    schema = load_schema("aliccp")
    commons: dict[bytes, ParsedLine] = {}
    with (raw / "common_features_train.csv").open("rb") as file:
        for line in file:
            parsed = parse_line(line.rstrip(b"\n"), "common", schema.user_fields)
            if isinstance(parsed, ParsedLine):
                commons[parsed.key] = parsed
    frames = {f.name: (ListFrame(key=f.name), ListFrame(key=f"{f.name}_v", kind="float")) for f in schema.fields}
    sizes = []
    with (raw / "sample_skeleton_train.csv").open("rb") as file:
        for line in islice(file, SAMPLE_LINES):
            own = parse_line(line.rstrip(b"\n"), "skeleton", schema.impression_fields)
            if not isinstance(own, ParsedLine):
                continue
            lists = encode_rows(ListFrame(key="click"), b"\0", np.array([0, 1]))[0] * 2
            parts = [(schema.impression_fields, own.features)]
            if own.key in commons:
                parts.append((schema.user_fields, commons[own.key].features))
            for fields, features in parts:
                for index, field in enumerate(fields):
                    ids, splits = varints(np.array([f[1] for f in features if f[0] == index], np.int64))
                    values = b"\0\0\0\0" * (len(splits) - 1)
                    id_frame, value_frame = frames[field.name]
                    lists += encode_rows(id_frame, ids, splits[[0, -1]])[0]
                    lists += encode_rows(value_frame, values, np.array([0, len(values)]))[0]
            sizes.append(len(example(lists)) + OVERHEAD_BYTES)
    return float(np.mean(sizes))


def main() -> None:
    """Measure every case and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", choices=sorted(CASES))
    arguments = parser.parse_args()
    if arguments.case:
        run_case(arguments.raw, arguments.out, arguments.workers, arguments.case)
        return
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        make = f"from preprocess.synthetic.config import SynthConfig; from pathlib import Path; import sys, json;\
from preprocess.synthetic.synthesize import synthesize;\
synthesize(SynthConfig(out=Path(sys.argv[1]), impressions={arguments.impressions}, list_scale=1.0))"
        subprocess.run([sys.executable, "-c", make, str(raw)], check=True)
        print(json.dumps({path.name: path.stat().st_size for path in sorted(raw.glob("*.csv"))}))
        for i, case in enumerate(CASES):
            measure(raw, Path(folder) / str(i), arguments.workers, case)
        print(f"one uncompressed Example an impression, as the seed wrote them: {seed_bytes(raw):.0f} bytes")


if __name__ == "__main__":
    main()
