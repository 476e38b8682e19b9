"""Leave features out of ragged rows in one pass, without the interpreter lock."""

from esmm_dist.arrays import F32, I32, I64, Bools
from esmm_dist.kernels.compiled import kernel

MASK, LENGTHS, IDS, VALUES = (
    f'Array({kind}, {dimensions}, "C", readonly=True)'
    for kind, dimensions in (("boolean", 1), ("int32", 2), ("int64", 1), ("float32", 1))
)


@kernel(f"void({MASK}, {LENGTHS}, {IDS}, {VALUES}, int32[:, ::1], int64[::1], float32[::1])")
def keep_features(
    mask: Bools, lengths: I32, ids: I64, values: F32, kept_lengths: I32, kept_ids: I64, kept_values: F32
) -> None:
    """Write the features whose mask is true, and how many of each field are left.

    Args:
        mask: bool [N]
        lengths: features of each field of each row, int32 [R, F]
        ids: int64 [N]
        values: float32 [N]
        kept_lengths: int32 [R, F]
        kept_ids: int64 [mask.sum()]
        kept_values: float32 [mask.sum()]
    """
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
