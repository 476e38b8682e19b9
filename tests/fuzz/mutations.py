"""Damage to valid bytes, drawn by hypothesis: bits flipped, parts cut out, doubled, moved, or replaced by noise."""

from hypothesis import strategies as st

MOST_MUTATIONS = 4


@st.composite
def mutated(draw: st.DrawFn, valid: bytes, noise: st.SearchStrategy[bytes] | None = None) -> bytes:
    """Draw what one to four accidents make of valid bytes.

    Args:
        draw: draws a value of a hypothesis strategy
        valid: What is damaged.
        noise: What is inserted; None: any bytes.
    """
    data = bytearray(valid)
    inserts = st.binary(min_size=1, max_size=16) if noise is None else noise
    for _ in range(draw(st.integers(1, MOST_MUTATIONS))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(1, 1 << draw(st.integers(0, 8))))
        part = bytes(data[start : start + length])
        match draw(st.sampled_from(["flip", "cut", "end", "double", "insert", "replace"])):
            case "flip" if data:
                data[start] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[start : start + length]
            case "end":
                del data[start:]
            case "double":
                place = draw(st.integers(0, len(data)))
                data[place:place] = part
            case "insert":
                data[start:start] = draw(inserts)
            case "replace":
                inserted = draw(inserts)
                data[start : start + len(inserted)] = inserted
    return bytes(data)
