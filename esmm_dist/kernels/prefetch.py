"""A hint to the processor: which memory a kernel reads next."""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from esmm_dist.arrays import Array

_TO_READ, _KEEP_IN_ALL_CACHES, _DATA = 0, 3, 1


def prefetch_of(builder: Any, place: Any) -> None:
    """Emit the hint for a pointer, in an intrinsic that builds its own code."""
    byte_pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer, number, number, number])
    name = "llvm.prefetch.p0i8"
    hint = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
    flags = [number(flag) for flag in (_TO_READ, _KEEP_IN_ALL_CACHES, _DATA)]
    builder.call(hint, [builder.bitcast(place, byte_pointer), *flags])


@intrinsic
def _prefetch(_context: Any, array: Any, _row: Any, _column: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
        of_matrix = (signature.args[0], matrix, arguments[1:])
        place = cgutils.get_item_pointer(context, builder, *of_matrix, wraparound=False)  # type: ignore[no-untyped-call]
        prefetch_of(builder, place)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


prefetch = cast("Callable[[Array, int, int], None]", _prefetch)
"""Start to load the cache line of ``array[row, column]``, a matrix, and go on without waiting for it.

Rows that are far apart in memory take 100 ns each to arrive; with the hint given 16 rows ahead, these waits overlap
(Adagrad, 100,000 rows of 136 bytes in 4.5 M: 114 -> 34 ns a row). Indices are not checked; a hint beyond the
array's end is harmless, and of no use.
"""
