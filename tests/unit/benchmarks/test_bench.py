"""All benchmarks together, in their quick form."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.bench import HERE, ROOT, all_names, has_figures, processor
from tests.benchmarks.figures import read_figures


def test_a_benchmark_is_a_module_with_a_function_figures():
    assert has_figures("def figures(scale): ...")
    assert not has_figures("class A:\n    def figures(self): ...")
    assert not has_figures("figures = []")
    assert "training_speed" in all_names()
    assert not {"figures", "bench", "reference_work"} & set(all_names())


def test_the_processors_name_comes_with_its_wide_instructions():
    core = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f\n\n"
    assert processor(core + core) == "Some CPU (avx2, avx512f)"
    assert processor("model name\t: Old\nflags\t: fpu") == "Old (no wide vectors)"
    assert processor("") == "unknown processor (no wide vectors)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [path.stem for path in sorted(HERE.glob("*.py")) if has_figures(path.read_text())])
def test_every_benchmark_runs_in_its_quick_form(name: str, folder: Path):
    written = folder / f"{name}.json"
    line = [
        sys.executable,
        "-m",
        f"tests.benchmarks.{name}",
        "--quick",
        "--folder",
        str(folder),
        "--json",
        str(written),
    ]
    subprocess.run(line, check=True, cwd=ROOT)
    figures = read_figures(written)
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.value == figure.value for figure in figures)  # none is nan
