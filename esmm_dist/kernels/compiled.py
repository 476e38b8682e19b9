"""The one way in which a kernel is compiled, by Numba."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit
from numba.core.runtime.nrt import rtsys
from numba.core.typeinfer import register_dispatcher

from esmm_dist.left_out import left_out

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

INSTRUCTIONS = ("line_sums.py", "memory_at.py", "prefetch.py")
"""Files of this folder whose functions become part of the kernels that call them."""


def kernel(
    signature: str, *, makes_arrays: bool = True
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Compile a function for arrays and numbers of one signature, at import; the machine code is kept on disk.

    The code holds no interpreter lock, and does arithmetic in the order and the precision in which it is written (no
    ``fastmath``, no fused multiply-add), so that it gives the bits of NumPy's operations. Out-of-range indices are not
    checked: callers pass arrays whose contract they have checked.

    A kernel calls kernels of its own file only, and what ``INSTRUCTIONS`` names: by these its code on disk is known to
    be out of date.

    Args:
        signature: types of the arguments, such as ``"void(int64[::1], float32[:, ::1])"``; ``::1`` is C order. A call
            with other types raises TypeError.
        makes_arrays: whether the kernel makes arrays of its own. If not, Numba does not count who holds an array: that
            is an atomic operation for each array that a kernel passes on to another one, so it belongs to kernels that
            call others for each number.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": makes_arrays}

    def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        with left_out("scipy"):  # Numba looks for its BLAS, in 0.1 s, for products of matrices
            try:
                made: Any = njit(cache=True, **options)(function)
                made._cache._cache_file._source_stamp = (made._cache._cache_file._source_stamp, _stamp())
                _load_without_compiler(made._cache, makes_arrays=makes_arrays)
            except RuntimeError:  # neither the folder of the file nor a home can be written: compiled at each start
                made = njit(**options)(function)
            with register_dispatcher(made):  # a kernel may call itself
                made.compile(signature)
            made.disable_compile()
        return cast("Callable[Arguments, Result]", made)

    return compiled


@cache
def _stamp() -> tuple[tuple[int, int], ...]:
    """Return what changes with each of ``INSTRUCTIONS``, as Numba takes it of a kernel's own file: time and size."""
    states = [Path(__file__).with_name(name).stat() for name in INSTRUCTIONS]
    return tuple((state.st_mtime_ns, state.st_size) for state in states)


def _load_without_compiler(cache: Any, *, makes_arrays: bool) -> None:
    """Have machine code that is on disk loaded without what only compiling needs: 0.14 CPU-seconds of each start.

    Numba fills a target context with all that it can compile before it looks for the code on disk. Where there is none,
    the compiler fills it still. The caller of ``load_overload`` holds Numba's lock of the compiler.

    Args:
        cache: the code on disk of one function, a ``numba.core.caching.FunctionCache``
        makes_arrays: whether the function needs Numba's functions that allocate arrays, 0.02 s more
    """
    load = cache.load_overload

    def load_overload(signature: str, context: Any) -> Any:
        context.refresh = partial(rtsys.initialize, context) if makes_arrays else lambda: None
        try:
            return load(signature, context)
        finally:
            del context.refresh

    cache.load_overload = load_overload
