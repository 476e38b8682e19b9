"""A program that stands for ``esmm train``, ``evaluate`` and ``predict``: makes their results in a tenth of a second.

Its CTCVR AUC is 0.7 + hidden_units[0] / 10,000 + seed / 100; pCVR is 0.5 for every sample. ``PLAY`` says what else
happens: ``crash`` (``crash 2``: of seed 2 alone), ``wait`` (until SIGTERM), ``nan`` (no conversions).

It imports what one of its commands needs when that begins: tests start it two hundred times, and Arrow alone takes a
quarter of a second.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

ESMM = (sys.executable, "-P", __file__)
CHECK = (sys.executable, "-S", "-c", "print({})")
"""Stands for the check of models: all can be made."""
NUM_IMPRESSIONS = 1000

_stopped = False


def _stop(*_: object) -> None:
    global _stopped
    _stopped = True


def _tell(**event: object) -> None:
    print(f"\x1e{json.dumps(event)}", file=sys.stderr, flush=True)


def _train(flags: dict[str, str], play: str) -> None:
    import yaml

    run = Path(flags["--run"])
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    with (run / "starts").open("a") as starts:
        starts.write("start\n")
    (run / "cores").write_text(json.dumps(sorted(os.sched_getaffinity(0))))
    settings = yaml.safe_load(Path(flags["--config"]).read_text())
    _tell(event="message", text="Chosen: nothing")
    _tell(event="start", task="Training", total=40, unit="steps", done=0)
    _tell(event="advance", amount=10, note="")
    while play == "wait" and not _stopped:
        time.sleep(0.005)
    done = {"step": 10, "total_steps": 40, "impressions": NUM_IMPRESSIONS, "seconds": 0.1, "rows": 7}
    if _stopped:
        (run / "checkpoints" / "step-0000010").mkdir()
        print(json.dumps({**done, "stopped_by": "SIGTERM"}))
        return
    auc = 0.7 + settings["model"]["hidden_units"][0] / 10_000 + int(flags["--seed"]) / 100
    (run / "auc").write_text(str(auc))
    time.sleep(0.05)
    print(json.dumps({**done, "step": 40, "stopped_by": None}))


def _evaluate(flags: dict[str, str], play: str) -> None:
    auc = float((Path(flags["--run"]) / "auc").read_text())
    of_split = {"validation": 0.0, "test": 0.001}[flags["--split"]]
    task = {"auc": None if play == "nan" else auc + of_split, "auc_standard_error": 0.01}
    print(json.dumps({name: task for name in ("ctr", "cvr", "ctcvr")} | {"split": flags["--split"]}))


def _predict(flags: dict[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    samples = pa.array(range(60), pa.int64())
    half = pa.array([0.5] * 60, pa.float32())
    pq.write_table(pa.table({"sample_id": samples, "pctr": half, "pcvr": half, "pctcvr": half}), flags["--out"])
    print(json.dumps({"path": flags["--out"]}))


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    words = [word for word in sys.argv[2:] if word not in ("--json", "--no-baseline")]
    flags = dict(zip(words[:-1:2], words[1::2], strict=True))
    play, _, seed = os.environ.get("PLAY", "").partition(" ")
    if play == "crash" and sys.argv[1] == "train" and seed in ("", flags["--seed"]):
        print("Step 3", file=sys.stderr)
        sys.exit("esmm: The loss is not finite at step 3.")
    {
        "train": lambda: _train(flags, play),
        "evaluate": lambda: _evaluate(flags, play),
        "predict": lambda: _predict(flags),
    }[sys.argv[1]]()


if __name__ == "__main__":
    main()
