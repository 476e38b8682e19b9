"""Kernels that read rows of a slab, and that move them in place as an optimizer says.

A slab row is float32 ``[D + slots + 2]``: the row, its slot variables, and as int32 the step that changed it last and
the number of steps that did. ``meta`` is the same memory as int32. ``numbers`` int64 [n] are the rows of the slab, each
at most once; negative ones are left out. ``settings`` float64: ``[step, 1 / impressions, l2, ...]``, then what the
optimizer's class in ``embedding/optimizers.py`` says. ``before`` gets the rows as they were; [0, 0] if nobody asks.

Each inner loop writes one array and reads others, because only such loops become vector instructions: a compiler cannot
know that the row and its slot variables do not overlap (Adagrad, D = 16: 31 -> 18 ns a row in the cache). The kernels
begin a row with the same lines: a function of them all, called with arrays, costs 50 ns a row in reference counts.
"""

import numpy as np

from esmm_dist.arrays import F32, F64, Array, Ids
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.prefetch import prefetch

_AHEAD = 16
_FLOATS_A_LINE = 16
_META_COLUMNS = 2
_STEP, _SHARE, _L2, _OWN = 0, 1, 2, 3

_NUMBERS = "Array(int64, 1, 'C', readonly=True)"
_SUMS = "Array(float32, 2, 'C', readonly=True)"
_SLAB = "float32[:, ::1], int32[:, ::1]"
_UPDATE = f"void({_SLAB}, {_NUMBERS}, {_SUMS}, float64[::1], float32[:, ::1])"


@kernel(f"void(float32[:, ::1], {_NUMBERS}, float32[:, ::1])")
def read_rows(values: F32, numbers: Ids, rows: F32) -> None:
    """Copy the first D columns of slab rows into ``rows`` float32 [n, D]."""
    count, dim = rows.shape
    for i in range(count):
        if i + _AHEAD < count and numbers[i + _AHEAD] >= 0:
            for column in range(0, dim, _FLOATS_A_LINE):
                prefetch(values, numbers[i + _AHEAD], column)
            prefetch(values, numbers[i + _AHEAD], dim - 1)
        if numbers[i] >= 0:
            for column in range(dim):
                rows[i, column] = values[numbers[i], column]


@kernel(_UPDATE)
def adagrad(values: F32, meta: Array, numbers: Ids, sums: F32, settings: F64, before: F32) -> None:
    """Update rows and accumulators."""
    count, dim = sums.shape
    columns = values.shape[1]
    step, share, l2 = np.int32(settings[_STEP]), np.float32(settings[_SHARE]), np.float32(settings[_L2])
    gradient = np.empty(dim, dtype=np.float32)
    accumulator = np.empty(dim, dtype=np.float32)
    change = np.empty(dim, dtype=np.float32)
    epsilon, rate = np.float32(settings[_OWN]), np.float32(settings[_OWN + 1])
    for i in range(count):
        if i + _AHEAD < count and numbers[i + _AHEAD] >= 0:
            for column in range(0, columns, _FLOATS_A_LINE):
                prefetch(values, numbers[i + _AHEAD], column)
            prefetch(values, numbers[i + _AHEAD], columns - 1)
        number = numbers[i]
        if number < 0:
            continue
        if len(before):
            for column in range(columns):
                before[i, column] = values[number, column]
        meta[number, columns - _META_COLUMNS] = step
        meta[number, columns - 1] += np.int32(1)
        for column in range(dim):
            gradient[column] = sums[i, column] * share
        if l2 != 0:
            for column in range(dim):
                gradient[column] += l2 * values[number, column]
        for column in range(dim):
            accumulator[column] = gradient[column] * gradient[column] + values[number, dim + column]
        for column in range(dim):
            change[column] = gradient[column] / np.sqrt(accumulator[column] + epsilon) * rate
        for column in range(dim):
            values[number, dim + column] = accumulator[column]
        for column in range(dim):
            values[number, column] -= change[column]


@kernel("float32(float32[::1], int64, int64)")
def pairwise_sum(values: F32, first: int, end: int) -> np.float32:
    """Add numbers in NumPy's order, which keeps rounding errors small and is part of a row's bits."""
    count = end - first
    if count < 8:
        total = np.float32(0)
        for i in range(first, end):
            total += values[i]
        return total
    if count <= 128:
        part = np.empty(8, dtype=np.float32)
        for lane in range(8):
            part[lane] = values[first + lane]
        whole = first + count - count % 8
        for i in range(first + 8, whole, 8):
            for lane in range(8):
                part[lane] += values[i + lane]
        total = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]))
        for i in range(whole, end):
            total += values[i]
        return total  # type: ignore[no-any-return]
    half = count // 2
    half -= half % 8
    left = pairwise_sum(values, first, first + half)
    return np.float32(left + pairwise_sum(values, first + half, end))


@kernel(_UPDATE)
def rowwise_adagrad(values: F32, meta: Array, numbers: Ids, sums: F32, settings: F64, before: F32) -> None:
    """Update rows and their one accumulator."""
    count, dim = sums.shape
    columns = values.shape[1]
    step, share, l2 = np.int32(settings[_STEP]), np.float32(settings[_SHARE]), np.float32(settings[_L2])
    gradient = np.empty(dim, dtype=np.float32)
    square = np.empty(dim, dtype=np.float32)
    epsilon, rate = np.float32(settings[_OWN]), np.float32(settings[_OWN + 1])
    for i in range(count):
        if i + _AHEAD < count and numbers[i + _AHEAD] >= 0:
            for column in range(0, columns, _FLOATS_A_LINE):
                prefetch(values, numbers[i + _AHEAD], column)
            prefetch(values, numbers[i + _AHEAD], columns - 1)
        number = numbers[i]
        if number < 0:
            continue
        if len(before):
            for column in range(columns):
                before[i, column] = values[number, column]
        meta[number, columns - _META_COLUMNS] = step
        meta[number, columns - 1] += np.int32(1)
        for column in range(dim):
            gradient[column] = sums[i, column] * share
        if l2 != 0:
            for column in range(dim):
                gradient[column] += l2 * values[number, column]
        for column in range(dim):
            square[column] = gradient[column] * gradient[column]
        values[number, dim] += pairwise_sum(square, 0, dim) / np.float32(dim)
        root = np.sqrt(values[number, dim] + epsilon)
        for column in range(dim):
            square[column] = gradient[column] / root * rate
        for column in range(dim):
            values[number, column] -= square[column]


@kernel(_UPDATE)
def adam(values: F32, meta: Array, numbers: Ids, sums: F32, settings: F64, before: F32) -> None:
    """Update rows and moments."""
    count, dim = sums.shape
    columns = values.shape[1]
    step, share, l2 = np.int32(settings[_STEP]), np.float32(settings[_SHARE]), np.float32(settings[_L2])
    gradient = np.empty(dim, dtype=np.float32)
    first = np.empty(dim, dtype=np.float32)
    second = np.empty(dim, dtype=np.float32)
    change = np.empty(dim, dtype=np.float32)
    new_1, new_2 = np.float32(settings[_OWN]), np.float32(settings[_OWN + 1])
    epsilon, rate = np.float32(settings[_OWN + 2]), np.float32(settings[_OWN + 3])
    for i in range(count):
        if i + _AHEAD < count and numbers[i + _AHEAD] >= 0:
            for column in range(0, columns, _FLOATS_A_LINE):
                prefetch(values, numbers[i + _AHEAD], column)
            prefetch(values, numbers[i + _AHEAD], columns - 1)
        number = numbers[i]
        if number < 0:
            continue
        if len(before):
            for column in range(columns):
                before[i, column] = values[number, column]
        meta[number, columns - _META_COLUMNS] = step
        meta[number, columns - 1] += np.int32(1)
        for column in range(dim):
            gradient[column] = sums[i, column] * share
        if l2 != 0:
            for column in range(dim):
                gradient[column] += l2 * values[number, column]
        for column in range(dim):
            old = values[number, dim + column]
            first[column] = old + new_1 * (gradient[column] - old)
        for column in range(dim):
            old = values[number, 2 * dim + column]
            second[column] = old + new_2 * (gradient[column] * gradient[column] - old)
        for column in range(dim):
            change[column] = rate * first[column] / (np.sqrt(second[column]) + epsilon)
        for column in range(dim):
            values[number, dim + column] = first[column]
        for column in range(dim):
            values[number, 2 * dim + column] = second[column]
        for column in range(dim):
            values[number, column] -= change[column]


@kernel(_UPDATE)
def sgd(values: F32, meta: Array, numbers: Ids, sums: F32, settings: F64, before: F32) -> None:
    """Update rows, and velocities where the slab has columns for them."""
    count, dim = sums.shape
    columns = values.shape[1]
    step, share, l2 = np.int32(settings[_STEP]), np.float32(settings[_SHARE]), np.float32(settings[_L2])
    gradient = np.empty(dim, dtype=np.float32)
    change = np.empty(dim, dtype=np.float32)
    rate, momentum = np.float32(settings[_OWN]), np.float32(settings[_OWN + 1])
    has_velocity = columns > dim + _META_COLUMNS
    for i in range(count):
        if i + _AHEAD < count and numbers[i + _AHEAD] >= 0:
            for column in range(0, columns, _FLOATS_A_LINE):
                prefetch(values, numbers[i + _AHEAD], column)
            prefetch(values, numbers[i + _AHEAD], columns - 1)
        number = numbers[i]
        if number < 0:
            continue
        if len(before):
            for column in range(columns):
                before[i, column] = values[number, column]
        meta[number, columns - _META_COLUMNS] = step
        meta[number, columns - 1] += np.int32(1)
        for column in range(dim):
            gradient[column] = sums[i, column] * share
        if l2 != 0:
            for column in range(dim):
                gradient[column] += l2 * values[number, column]
        for column in range(dim):
            change[column] = rate * gradient[column]
        if has_velocity:
            for column in range(dim):
                change[column] = values[number, dim + column] * momentum + change[column]
            for column in range(dim):
                values[number, dim + column] = change[column]
        for column in range(dim):
            values[number, column] += change[column]


@kernel(_UPDATE)
def ftrl(values: F32, meta: Array, numbers: Ids, sums: F32, settings: F64, before: F32) -> None:
    """Update rows, z and n."""
    count, dim = sums.shape
    columns = values.shape[1]
    step, share, l2 = np.int32(settings[_STEP]), np.float32(settings[_SHARE]), np.float32(settings[_L2])
    gradient = np.empty(dim, dtype=np.float32)
    grown = np.empty(dim, dtype=np.float32)
    root = np.empty(dim, dtype=np.float32)
    z = np.empty(dim, dtype=np.float32)
    row = np.empty(dim, dtype=np.float32)
    rate, factor = np.float32(settings[_OWN]), np.float32(settings[_OWN + 1])
    l1, twice_l2 = np.float32(settings[_OWN + 2]), np.float32(settings[_OWN + 3])
    for i in range(count):
        if i + _AHEAD < count and numbers[i + _AHEAD] >= 0:
            for column in range(0, columns, _FLOATS_A_LINE):
                prefetch(values, numbers[i + _AHEAD], column)
            prefetch(values, numbers[i + _AHEAD], columns - 1)
        number = numbers[i]
        if number < 0:
            continue
        if len(before):
            for column in range(columns):
                before[i, column] = values[number, column]
        meta[number, columns - _META_COLUMNS] = step
        meta[number, columns - 1] += np.int32(1)
        for column in range(dim):
            gradient[column] = sums[i, column] * share
        if l2 != 0:
            for column in range(dim):
                gradient[column] += l2 * values[number, column]
        for column in range(dim):
            grown[column] = values[number, 2 * dim + column] + gradient[column] * gradient[column]
        for column in range(dim):
            root[column] = np.sqrt(grown[column])
        for column in range(dim):
            gain = (root[column] - np.sqrt(values[number, 2 * dim + column])) / rate * values[number, column]
            z[column] = values[number, dim + column] + (factor * gradient[column] - gain)
        for column in range(dim):
            clipped = z[column] if z[column] > -l1 else -l1
            clipped = clipped if clipped < l1 else l1
            row[column] = (clipped - z[column]) / (root[column] / rate + twice_l2)
        for column in range(dim):
            values[number, column] = row[column]
        for column in range(dim):
            values[number, dim + column] = z[column]
        for column in range(dim):
            values[number, 2 * dim + column] = grown[column]
