"""Run every benchmark, each in a process of its own, and print one table of all figures.

    make bench            all of it: 20 to 25 minutes on 2 idle cores
    make bench QUICK=1    small sizes: shows that all runs; the figures mean little

A benchmark is a module of this folder with a function ``figures`` (``figures.py`` says what it yields). The comparison
with the peers is one more if their environment is there (``make bench-peers`` makes it). Writes ``bench.md`` and
``bench.json`` to build/.
"""

import argparse
import ast
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tests.benchmarks.figures import Figure, read_figures, table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = "peers.compare"
VERSIONS = ("tensorflow", "numpy", "numba", "keras", "pyarrow")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that all runs, in a few minutes")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where the data is made and kept")
    parser.add_argument("--only", nargs="*", help="names of benchmarks, such as training_speed")
    arguments = parser.parse_args()
    names = arguments.only if arguments.only is not None else all_names()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found: list[Figure] = []
    failed = []
    for name in names:
        start = time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = run(name, arguments.folder, quick=arguments.quick)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        found += figures or []
        failed += [name] if figures is None else []
    if arguments.quick:
        found = [replace(figure, target=None) for figure in found]
    text = f"{conditions(quick=arguments.quick)}\n\n{table(found)}\n"
    print(text)
    build = ROOT / "build"
    (build / "bench.md").write_text(text)
    (build / "bench.json").write_text(json.dumps([asdict(figure) for figure in found], indent=1))
    if PEERS not in names:
        print("Without the peers (TorchRec's kernels, Keras): make bench-peers measures them.")
    if failed:
        sys.exit(f"These benchmarks failed, see above: {', '.join(failed)}")


def all_names() -> list[str]:
    """Return the names of all benchmarks, the peers' only if their environment is there."""
    names = [path.stem for path in sorted(HERE.glob("*.py")) if has_figures(path.read_text())]
    return names + ([PEERS] if (ROOT / "build/peers/.venv/bin/python").is_file() else [])


def has_figures(source: str) -> bool:
    """Tell whether a module's source has a function ``figures``."""
    return any(isinstance(node, ast.FunctionDef) and node.name == "figures" for node in ast.parse(source).body)


def run(name: str, folder: Path, *, quick: bool) -> list[Figure] | None:
    """Run one benchmark, its output to stderr; return its figures, or None if it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary) / "figures.json"
        line = [sys.executable, "-m", f"tests.benchmarks.{name}", "--folder", str(folder), "--json", str(written)]
        done = subprocess.run([*line, *(["--quick"] if quick else [])], stdout=sys.stderr, cwd=ROOT)
        return read_figures(written) if done.returncode == 0 else None


def conditions(*, quick: bool) -> str:
    """Return what the figures depend on: machine, versions, commit, data, command."""
    commit = _output(["git", "-C", str(ROOT), "log", "-1", "--format=%h of %as"])
    changed = " with changes" if _output(["git", "-C", str(ROOT), "status", "--porcelain", "-uno"]) else ""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "\n".join(
        [
            f"- Machine: {processor(Path('/proc/cpuinfo').read_text())}, {os.cpu_count()} cores, {memory:.0f} GiB",
            f"- Versions: CPython {platform.python_version()}, {packages}; commit {commit}{changed}",
            "- Data: `esmm synth`, 200,000 impressions (a quarter in test), full-length lists and id ranges",
            "- Command: `make bench QUICK=1`; small sizes, which are not compared with the targets"
            if quick
            else "- Command: `make bench`",
        ]
    )


def processor(cpuinfo: str) -> str:
    """Return the processor's name, and its instructions for vectors and matrices, as /proc/cpuinfo has them."""
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    values = {name.strip(): value.strip() for name, value in fields.items()}
    flags = values.get("flags", "").split()
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{values.get('model name', 'unknown processor')} ({', '.join(wide) or 'no wide vectors'})"


def _output(line: Sequence[str]) -> str:
    return subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


if __name__ == "__main__":
    main()
