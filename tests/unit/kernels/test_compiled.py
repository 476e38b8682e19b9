"""How a kernel gets its machine code: from the disk, or from the compiler."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import esmm_dist.kernels.compiled as compiled_module
from esmm_dist.kernels.compiled import kernel

_PROGRAM = """
import sys
from esmm_dist.kernels.compiled import kernel

@kernel("int64(int64[::1])")
def added(numbers):
    total = 0
    for number in numbers:
        total += number
    return total

import numpy as np
assert added(np.arange(5)) == 10
try:
    added(np.ones(2, np.float32))
except TypeError:
    print("the compiler is loaded" if "numba.np.npyimpl" in sys.modules else "loaded without the compiler")
"""


def run(program: Path, cache: Path, **variables: str) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **variables}
    return subprocess.run(
        [sys.executable, str(program)], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_code_on_the_disk_is_loaded_without_the_compiler_and_another_type_of_argument_is_refused(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    assert run(program, tmp_path / "cache") == "the compiler is loaded"  # and leaves the code on the disk
    assert run(program, tmp_path / "cache") == "loaded without the compiler"


def test_a_kernel_is_compiled_beside_one_that_was_loaded(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    run(program, tmp_path / "cache")
    another = _PROGRAM.replace("added", "joined").partition("import numpy")[2]
    definition = '@kernel("int64(int64[::1])")\ndef joined(numbers):\n    return numbers.sum()\n'
    program.write_text(_PROGRAM.partition("try:")[0])
    both = tmp_path / "both.py"
    both.write_text(
        f"import sys\nimport program\nfrom esmm_dist.kernels.compiled import kernel\n{definition}import numpy{another}"
    )
    assert run(program, tmp_path / "cache") == ""
    assert run(both, tmp_path / "cache") == "the compiler is loaded"


def test_code_on_the_disk_is_as_old_as_the_instructions_within_it(tmp_path):
    program = tmp_path / "program.py"
    older = "import esmm_dist.kernels.compiled as c\nc._stamp = lambda: ((1, 1),)\n"
    program.write_text(
        f"import os\nif 'OLDER' in os.environ:\n    {older.replace(chr(10), chr(10) + '    ')}{_PROGRAM}"
    )
    assert run(program, tmp_path / "cache") == "the compiler is loaded"
    assert run(program, tmp_path / "cache", OLDER="1") == "the compiler is loaded"


def test_a_kernel_may_call_itself(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from esmm_dist.kernels.compiled import kernel\n"
        '@kernel("int64(int64)")\n'
        "def factorial(number):\n    return 1 if number < 2 else number * factorial(number - 1)\n"
        "print(factorial(5))\n"
    )
    assert [run(program, tmp_path / "cache") for _ in range(2)] == ["120", "120"]


def test_every_file_with_instructions_is_known():
    folder = Path(compiled_module.__file__).parent
    found = {path.name for path in folder.glob("*.py") if "\n@intrinsic\n" in path.read_text()}
    assert found == set(compiled_module.INSTRUCTIONS)


def test_a_kernel_that_makes_no_arrays_counts_no_holders_of_them():
    @kernel("int64(int64[::1], int64)", makes_arrays=False)
    def number_at(numbers, place):
        return numbers[place]

    @kernel("int64(int64[::1])", makes_arrays=False)
    def added(numbers):
        total = 0
        for place in range(len(numbers)):
            total += number_at(numbers, place)
        return total

    assert added(np.arange(5)) == 10
    compiled: Any = added
    (code,) = compiled.inspect_llvm().values()
    assert "NRT_incref" not in code
