"""Build one zlib stream out of pieces that were compressed apart.

A shard is one zlib stream, but its records come from many pieces of work. As pigz does, each piece is deflated alone
and flushed to a byte boundary, and the stream is put together::

    78 01                          zlib header (RFC 1950)
    piece, piece, ...              deflate blocks, none of them the last (RFC 1951), each piece flushed
    03 00                          an empty last block
    4 bytes, big-endian            Adler-32 of all the data

So the bytes depend on the cut into pieces only, not on who compressed them or in which order.
"""

from isal import isal_zlib

HEADER = b"\x78\x01"
_LAST_BLOCK = b"\x03\x00"
_ADLER_BASE = 65521  # the largest prime below 2^16 (RFC 1950)
_RAW = -15  # window bits: 32 kB, without header and checksum


def compress_piece(data: bytes | memoryview, level: int) -> tuple[bytes, int]:
    """Deflate one piece; return its bytes and the Adler-32 of ``data``."""
    compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW)
    piece = compressor.compress(data) + compressor.flush(isal_zlib.Z_FULL_FLUSH)
    return piece, isal_zlib.adler32(data)


def trailer(adler: int) -> bytes:
    """Return the bytes that end a stream whose data has this Adler-32."""
    return _LAST_BLOCK + adler.to_bytes(4, "big")


def join_adler(first: int, second: int, second_bytes: int) -> int:
    """Return the Adler-32 of two runs of data from theirs (as zlib's adler32_combine): 1 is that of no data.

    With a = 1 + sum of bytes and b = sum of the a after each byte (mod 65521), the second run's sums start at
    a1, b1 instead of 1, 0: a = a1 + a2 - 1 and b = b1 + b2 + second_bytes * (a1 - 1).
    """
    a1, b1 = first & 0xFFFF, first >> 16
    a2, b2 = second & 0xFFFF, second >> 16
    a = (a1 + a2 - 1) % _ADLER_BASE
    b = (b1 + b2 + second_bytes * (a1 - 1)) % _ADLER_BASE
    return b << 16 | a
