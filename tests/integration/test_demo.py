"""The demo at a fifth of its size, as a user runs it."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ESMM = Path(sys.executable).parent / "esmm"


def run_demo(folder):
    started = time.monotonic()
    done = subprocess.run(
        [ESMM, "demo", folder, "--impressions", "60000", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done, time.monotonic() - started


@pytest.mark.timeout(400)  # 25 s on an idle machine; two demos and other tests beside them have taken 80
def test_the_demo_learns_from_a_raw_log_and_ends_with_its_table(tmp_path):
    folder = tmp_path / "demo"
    result, done, _ = run_demo(folder)
    # A model that learns nothing stays within three standard errors of 0.5.
    for task in ("ctr", "ctcvr"):
        metrics = result["metrics"][task]
        assert metrics["auc"] > 0.5 + 6 * metrics["auc_standard_error"]
        assert metrics["auc"] < result["best_auc"][task] + 3 * metrics["auc_standard_error"]
    assert len(done.stdout.splitlines()) == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("$ esmm ")]
    assert [line.split()[2] for line in lines] == [
        *("synth", "preprocess", "stats", "train", "evaluate", "report", "predict")
    ]
    for name in ("data", "run"):
        page = (folder / f"{name}.html").read_text(encoding="utf-8")
        assert page.count("<figure") > 3
        assert str(folder / f"{name}.html") in done.stderr
    evaluations = json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8"))["evaluations"]
    assert len({each["step"] for each in evaluations}) > 3  # a learning curve, not a dot
    assert "What to try next:" in done.stderr
    # Our own warnings are told by "Warning: "; those of Python and of libraries are none of the user's business
    assert not re.search(r"[A-Z]\w*Warning|WARNING|Traceback|tensorflow/|external/", done.stderr)

    predictions = pq.read_table(folder / "predictions.parquet")
    assert predictions.column_names == ["sample_id", "pctr", "pcvr", "pctcvr"]
    assert predictions.num_rows == result["metrics"]["ctr"]["impressions"]

    listed = subprocess.run([ESMM, "checkpoints", folder / "run"], capture_output=True, text=True, check=True)
    assert f"ctr AUC {result['metrics']['ctr']['auc']:.4f}" in listed.stdout
    assert listed.stderr == ""

    again, _, seconds = run_demo(folder)
    assert again == result
    assert seconds < 10  # nothing is done again; starting Python takes one second
