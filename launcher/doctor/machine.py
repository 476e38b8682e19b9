"""Check the machine: platform, memory, disk, compiler."""

import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from esmm_dist.errors import StackError
from esmm_dist.ranks.gloo_device import check_host_name
from esmm_dist.words import short_bytes
from launcher.doctor.finding import Finding, failed, note, ok

MIN_MEMORY_BYTES = 3 * 10**9
"""TensorFlow takes 0.6 GB, the demo's training 1.5 GB at its peak; twice that leaves room for the system."""

MIN_DISK_BYTES = 2 * 10**9
"""The demo writes less than 1 GB."""

_CGROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def check_machine(folder: Path) -> list[Finding]:
    """Check the machine of this process, and the disk of one folder. Takes milliseconds."""
    return [
        judge_platform(platform.system(), platform.machine(), platform.python_implementation(), sys.version_info[:2]),
        judge_memory(available_memory_bytes()),
        judge_disk(folder, shutil.disk_usage(folder).free),
        judge_compiler(compiler_version()),
        judge_host_name(socket.gethostname()),
    ]


def judge_platform(system: str, machine: str, implementation: str, version: tuple[int, ...]) -> Finding:
    """Judge the platform: wheels of TFRA exist for one only."""
    text = f"{implementation} {'.'.join(map(str, version))} on {system} {machine}, {os.cpu_count()} CPUs"
    if (system, machine, implementation, tuple(version)) == ("Linux", "x86_64", "CPython", (3, 11)):
        return ok("platform", text)
    return failed("platform", text, "Use CPython 3.11 on Linux x86-64: TFRA is built for nothing else.")


def judge_memory(available_bytes: int) -> Finding:
    """Judge the memory that a new process may take."""
    text = f"{short_bytes(available_bytes)} free"
    if available_bytes >= MIN_MEMORY_BYTES:
        return ok("memory", text)
    remedy = "End other programs, raise the container's memory limit, or use a larger machine."
    return failed("memory", f"{text}; the demo needs {short_bytes(MIN_MEMORY_BYTES)}", remedy)


def judge_disk(folder: Path, free_bytes: int) -> Finding:
    """Judge the disk that output goes to."""
    text = f"{short_bytes(free_bytes)} free in {folder}"
    if free_bytes >= MIN_DISK_BYTES:
        return ok("disk", text)
    remedy = "Free some space, or use a folder on another disk."
    return failed("disk", f"{text}; the demo needs {short_bytes(MIN_DISK_BYTES)}", remedy)


def judge_compiler(version: str | None) -> Finding:
    """Judge the C++ compiler, which only set-up needs."""
    if version:
        return ok("compiler", version)
    text = "g++ is not on PATH; only installing Horovod needs it"
    return note("compiler", text, "If set-up asks for it, run: sudo apt-get install g++")


def judge_host_name(name: str) -> Finding:
    """Judge the machine's name: Horovod's ranks listen at its address unless an interface is named for them."""
    try:
        check_host_name(name)
    except StackError:
        return note(
            "host name",
            f"'{name}' does not resolve to an address of this machine; esmm local and cluster jobs do not need it",
            f"For horovodrun, add the line '127.0.0.1 {name}' to /etc/hosts (with several machines, the address by "
            "which the others reach this one).",
        )
    return ok("host name", f"'{name}' resolves to this machine")


def available_memory_bytes(
    meminfo: Path = Path("/proc/meminfo"), cgroup_limits: tuple[tuple[Path, Path], ...] = _CGROUP_LIMITS
) -> int:
    """Return the bytes that a new process can use: what the system has left, or what the container's limit leaves."""
    values = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    available = int(values["MemAvailable"].split()[0]) * 1024
    for limit_file, used_file in cgroup_limits:
        if limit_file.is_file() and used_file.is_file():
            limit = limit_file.read_text(encoding="ascii").strip()
            if limit != "max":
                available = min(available, max(int(limit) - int(used_file.read_text(encoding="ascii")), 0))
    return available


def compiler_version() -> str | None:
    """Return the first line of ``g++ --version``; None if it is missing or fails."""
    path = shutil.which("g++")
    if path is None:
        return None
    done = subprocess.run(
        [path, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=False
    )
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None
