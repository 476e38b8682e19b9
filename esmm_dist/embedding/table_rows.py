"""Rows of a table outside the table: what is saved, loaded and, later, sent."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Rows of a table as they are saved: ordered by id."""

    ids: Ids
    """int64 [n]"""
    rows: Floats
    """float32 [n, D]"""
    slots: Floats
    """float32 [n, S]: slot variables of the optimizer"""
    last_step: npt.NDArray[np.int64]
    """int64 [n]: the step that changed the row last"""
    count: npt.NDArray[np.int64]
    """int64 [n]: how many steps have changed the row"""
