"""Numbers at addresses of memory: what a kernel reads from arrays of which it knows the places alone."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from esmm_dist.kernels.prefetch import prefetch_of


def _loader(kind: Any, number: Any) -> Any:
    @intrinsic
    def load(_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.load(builder.inttoptr(arguments[0], kind.as_pointer()))

        return number(address), generate

    return load


@intrinsic
def _prefetch(_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        prefetch_of(builder, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(address), generate


prefetch_at = cast("Callable[[int], None]", _prefetch)
int64_at = cast("Callable[[int], int]", _loader(ir.IntType(64), types.int64))
float32_at = cast("Callable[[int], np.float32]", _loader(ir.FloatType(), types.float32))
uint16_at = cast("Callable[[int], int]", _loader(ir.IntType(16), types.uint16))
int8_at = cast("Callable[[int], int]", _loader(ir.IntType(8), types.int8))
"""Each reads the number at an address, or asks for the memory that is there and goes on. No address is checked."""
