"""Copy bytes within a kernel as fast as C does: a loop over bytes runs at a tenth of that.

Numba does not know that two arrays do not overlap, so it does not make a copy of such a loop.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _copy_bytes(typingctx: Any, target: Any, source: Any, size: Any) -> Any:
    """Copy ``size`` bytes from one address to another; the two runs of bytes must not overlap (``memcpy``)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, origin = (builder.inttoptr(address, cgutils.voidptr_t) for address in arguments[:2])
        cgutils.raw_memcpy(builder, to, origin, arguments[2], 1)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


copy_bytes: Any = intrinsic(_copy_bytes)
