"""Names of NumPy array types, by what an element is. Docstrings give the shape: B batch, D dim, U unique ids, N ids."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]

Ids = I64
"""Feature ids, ``[U]`` where each comes once, ``[N]`` as a batch holds them; and row numbers that stand for ids."""
