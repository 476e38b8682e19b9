"""The one way in which a kernel is compiled, by Numba."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

from esmm_dist.left_out import left_out

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def kernel(signature: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Compile a function for arrays and numbers of one signature, at import; the machine code is kept on disk.

    The code holds no interpreter lock, and does arithmetic in the order and the precision in which it is written (no
    ``fastmath``, no fused multiply-add), so that it gives the bits of NumPy's operations. Out-of-range indices are not
    checked: callers pass arrays whose contract they have checked.

    A kernel calls kernels of its own file only: Numba notices that a file has changed by that file alone.

    Args:
        signature: types of the arguments, such as ``"void(int64[::1], float32[:, ::1])"``; ``::1`` is C order. A call
            with other types raises TypeError.
    """

    def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        with left_out("scipy"):  # Numba looks for its BLAS, in 0.1 s, for products of matrices
            try:
                made = njit(signature, nogil=True, cache=True, error_model="numpy")(function)
            except RuntimeError:  # neither the folder of the file nor a home can be written: compiled at each start
                made = njit(signature, nogil=True, error_model="numpy")(function)
        return cast("Callable[Arguments, Result]", made)

    return compiled
