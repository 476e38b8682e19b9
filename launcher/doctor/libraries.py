"""Check that TFRA, Horovod and the GPUs work, TFRA and Horovod each in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from launcher.doctor.finding import Finding, failed, note, ok
from launcher.doctor.probe import PROBES
from launcher.terminal.streams import CHILD_ENCODING

PROBE_TIMEOUT_S = 180
"""A probe takes about 8 s; on a cold disk that reads 2 GB of libraries it has taken a minute."""

_REINSTALL = "Run: rm -r .venv && make setup"


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a probe process reported."""

    state: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    """The last line that it wrote to stderr, or how it ended; empty if it succeeded."""


def check_libraries() -> list[Finding]:
    """Run the probes in parallel and judge them. Takes 10 to 20 s, most of it importing TensorFlow."""
    with ThreadPoolExecutor(len(PROBES)) as pool:
        results = dict(zip(PROBES, pool.map(run_probe, PROBES), strict=True))
    machine_has_gpu = shutil.which("nvidia-smi") is not None
    return [
        judge_tfra(results["tfra"]),
        judge_horovod(results["horovod"]),
        judge_gpu(results["tfra"], results["horovod"], machine_has_gpu),
    ]


def run_probe(name: str, timeout_s: float = PROBE_TIMEOUT_S) -> ProbeResult:
    """Run one probe in a new process and wait for it."""
    # -P: a file in the current folder must not shadow a module of the same name
    command = [sys.executable, "-P", "-m", "launcher.doctor.probe", name]
    environment = {**os.environ, **CHILD_ENCODING}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ProbeResult(error=f"no answer within {timeout_s:.0f} s")
    if done.returncode < 0:
        return ProbeResult(error=f"its process was killed by signal {-done.returncode}")
    if done.returncode > 0:
        lines = done.stderr.strip().splitlines()
        return ProbeResult(error=lines[-1] if lines else f"its process ended with status {done.returncode}")
    return ProbeResult(state=json.loads(done.stdout.splitlines()[-1]))


def judge_tfra(result: ProbeResult) -> Finding:
    """Judge the hash table: an inserted id must give its value, any other the default."""
    name = "TFRA table"
    if result.error:
        return failed(name, result.error, _REINSTALL)
    if result.state["found"] != [71, -1, 70]:
        return failed(name, f"looked up {result.state['found']}, expected [71, -1, 70]", _REINSTALL)
    return ok(name, "inserted and looked up ids")


def judge_horovod(result: ProbeResult) -> Finding:
    """Judge Horovod: it must be built against this TensorFlow, and with gloo."""
    name = "Horovod"
    remedy = f"Horovod must be compiled against the installed TensorFlow. {_REINSTALL}"
    if result.error:
        return failed(name, f"does not work with TensorFlow: {result.error}", remedy)
    if not result.state["gloo"]:
        return failed(name, "built without gloo", remedy)
    if result.state["sum"] != [1.0, 2.0]:
        return failed(name, f"the sum of [1.0, 2.0] over one rank is {result.state['sum']}", remedy)
    built = "gloo and NCCL" if result.state["nccl"] else "gloo, without NCCL"
    return ok(name, f"works with TensorFlow; built with {built}")


def judge_gpu(tfra: ProbeResult, horovod: ProbeResult, machine_has_gpu: bool) -> Finding:
    """Judge the GPUs: having none is fine, unless the machine has one."""
    if tfra.error and horovod.error:
        return failed("GPU", "unknown, because no probe of TensorFlow succeeded", "Fix the failures above first.")
    gpus = (horovod.state if tfra.error else tfra.state)["gpus"]
    if not gpus and machine_has_gpu:
        remedy = "Install the CUDA 12.3 and cuDNN 8.9 libraries that TensorFlow 2.16 needs; until then the CPU is used."
        return note("GPU", "nvidia-smi is installed, but TensorFlow sees no GPU", remedy)
    if not gpus:
        return ok("GPU", "none; everything runs on the CPU")
    if not horovod.state.get("nccl"):
        remedy = "Build Horovod with HOROVOD_GPU_OPERATIONS=NCCL, so that several GPUs exchange gradients directly."
        return note("GPU", f"{len(gpus)}; Horovod lacks NCCL", remedy)
    return ok("GPU", f"{len(gpus)}")
