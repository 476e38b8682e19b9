"""One zlib stream of pieces that were compressed apart."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from preprocess.write.zlib_pieces import HEADER, compress_piece, join_adler, trailer


@given(pieces=st.lists(st.binary(max_size=300), max_size=5))
def test_pieces_compressed_apart_make_one_zlib_stream(pieces: list[bytes]):
    stream, adler = HEADER, 1
    for piece in pieces:
        packed, piece_adler = compress_piece(piece, 1)
        stream += packed
        adler = join_adler(adler, piece_adler, len(piece))
    assert adler == zlib.adler32(b"".join(pieces))
    assert zlib.decompress(stream + trailer(adler)) == b"".join(pieces)


def test_adler_of_long_data_wraps_around():
    first, second = b"\xff" * 100_000, b"\xfe" * 200_000
    assert join_adler(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)
