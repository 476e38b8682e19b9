"""The head of a pull's reply comes back as it was sent."""

import numpy as np
import pytest

from esmm_dist.parameter_server.pull_reply import ReplyHead, decode_head, encode_head
from esmm_dist.parameter_server.refusals import RequestError


@pytest.mark.parametrize("changed", [[], [0], [2, 5, 6]])
def test_a_head_is_read_as_it_was_written(changed):
    head = decode_head(encode_head(ReplyHead(version=2**40, before_push=-1, changed=np.array(changed))), known=7)
    assert (head.version, head.before_push, head.changed.tolist()) == (2**40, -1, changed)
    assert head.changed.dtype == np.int64


@pytest.mark.parametrize("changed", [[7], [-1], [3, 3], [4, 2]])
def test_places_that_no_known_id_has_are_refused(changed):
    data = encode_head(ReplyHead(version=1, before_push=1, changed=np.array(changed)))
    with pytest.raises(RequestError, match="places of changed rows that are not among the 7 known ones"):
        decode_head(data, known=7)


@pytest.mark.parametrize("size", [0, 15, 18])
def test_bytes_that_are_no_head_are_refused(size):
    with pytest.raises(RequestError, match=f"begins with {size} bytes, which are not the head of one"):
        decode_head(bytes(size), known=7)
