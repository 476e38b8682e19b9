"""Leave features out of ragged rows in one pass, without the interpreter lock."""

from esmm_dist.arrays import F32, I32, I64, Bools
from esmm_dist.kernels.compiled import kernel

MASK, LENGTHS, IDS, VALUES = (
    f'Array({kind}, {dimensions}, "C", readonly=True)'
    for kind, dimensions in (("boolean", 1), ("int32", 2), ("int64", 1), ("float32", 1))
)


@kernel(
    f"void({MASK}, Tuple(({LENGTHS}, {IDS}, {VALUES})), Tuple((int32[:, ::1], int64[::1], float32[::1])))",
    makes_arrays=False,
)
def keep_features(mask: Bools, rows: tuple[I32, I64, F32], kept: tuple[I32, I64, F32]) -> None:
    """Write the features whose mask is true, and how many of each field are left.

    Args:
        mask: bool [N]
        rows: lengths int32 [R, F], ids int64 [N], values float32 [N]
        kept: the same of what is left, written here; ids and values have [mask.sum()]
    """
    lengths, ids, values = rows
    kept_lengths, kept_ids, kept_values = kept
    n, place = 0, 0
    for row in range(lengths.shape[0]):
        for field in range(lengths.shape[1]):
            first = place
            for _ in range(lengths[row, field]):
                if mask[n]:
                    kept_ids[place], kept_values[place] = ids[n], values[n]
                    place += 1
                n += 1
            kept_lengths[row, field] = place - first
