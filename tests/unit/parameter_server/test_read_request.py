"""The rows of a call are read and checked before any of them is used."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.parameter_server.headers import PullHeader, PushHeader
from esmm_dist.parameter_server.read_request import read_pull, read_push
from esmm_dist.parameter_server.record_batches import encode_ids, encode_push
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.stats import Timer

IDS = np.array([3, 5, 9], dtype=np.int64)
GRADIENTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=np.float32)


class Reader:
    """Stands for Flight's: batches in pieces, with a message without a batch between them."""

    def __init__(self, batch: pa.RecordBatch, *, pieces: int = 1) -> None:
        self.schema = batch.schema
        size = -(-max(batch.num_rows, 1) // pieces)
        self._batches = [batch.slice(at, size) for at in range(0, max(batch.num_rows, 1), size)]

    def __iter__(self) -> Iterator[SimpleNamespace]:
        for batch in self._batches:
            yield SimpleNamespace(data=None)
            yield SimpleNamespace(data=batch)


def pull(batch: pa.RecordBatch, *, rows: int = 3, most: int = 100, pieces: int = 1) -> Ids:
    header = PullHeader(run="r", generation=1, table="t", rows=rows, wire="float32", step=None, patience_s=0.0)
    ids, known = read_pull(Reader(batch, pieces=pieces), header, max_rows=most, timer=Timer())
    assert len(known) == 0
    return ids


def push(
    batch: pa.RecordBatch, *, with_counts: bool = False, most: int = 100, pieces: int = 1, **changes: Any
) -> tuple[Ids, F32, I64 | None]:
    known = {"rows": batch.num_rows, "step": 1, "impressions": 4, "wire": "float32"}
    header = PushHeader(run="r", generation=1, table="t", rank=0, rate_factor=1.0, **{**known, **changes})
    reader = Reader(batch, pieces=pieces)
    return read_push(reader, header, embedding_dim=2, with_counts=with_counts, max_rows=most, timer=Timer())


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_request_is_the_same_in_however_many_messages_it_comes(pieces):
    assert pull(encode_ids(IDS), pieces=pieces).tolist() == [3, 5, 9]
    counts = np.array([1, 2, 3])
    batch = encode_push(IDS, GRADIENTS, counts, "float32")
    ids, gradients, found = push(batch, with_counts=True, pieces=pieces)
    assert found is not None
    np.testing.assert_array_equal(ids, IDS)
    np.testing.assert_array_equal(gradients, GRADIENTS)
    np.testing.assert_array_equal(found, counts)


def test_a_request_of_no_rows_is_one():
    assert pull(encode_ids(IDS[:0]), rows=0).shape == (0,)
    ids, gradients, counts = push(encode_push(IDS[:0], GRADIENTS[:0], None, "float32"))
    assert (ids.shape, gradients.shape, counts) == ((0,), (0, 2), None)
    assert gradients.dtype == np.float32


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rows": 2}, "the header says 2 rows, the request has 3 or more"),
        ({"rows": 4}, "the header says 4 rows, the request has 3 or more"),
        ({"rows": -1}, "a request of -1 rows; --max-request-rows is 100"),
        ({"rows": 101}, "a request of 101 rows; --max-request-rows is 100"),
        ({"most": 2}, "a request of 3 rows; --max-request-rows is 2"),
    ],
)
def test_more_or_fewer_rows_than_the_header_and_the_limit_say_are_refused(settings, text):
    with pytest.raises(RequestError, match=f"table 't': {text}"):
        pull(encode_ids(IDS), **settings)


def test_the_limit_itself_is_allowed():
    assert len(pull(encode_ids(IDS), most=3)) == 3


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"step": 0}, "a push of step 0 over 4 impressions; 1 is the least"),
        ({"impressions": 0}, "a push of step 1 over 0 impressions; 1 is the least"),
    ],
)
def test_a_push_of_no_step_or_of_no_impressions_is_refused(changes, text):
    with pytest.raises(RequestError, match=text):
        push(encode_push(IDS, GRADIENTS, None, "float32"), **changes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_refused(value):
    gradients = GRADIENTS.copy()
    gradients[2, 1] = value
    with pytest.raises(RequestError, match="table 't': a gradient of step 1 is not finite"):
        push(encode_push(IDS, gradients, None, "float32"))


@pytest.mark.parametrize(("counts", "least"), [([1, 0, 2], 0), ([-3, 1, 1], -3)])
def test_an_id_that_no_impression_held_is_refused(counts, least):
    batch = encode_push(IDS, GRADIENTS, np.array(counts), "float32")
    with pytest.raises(RequestError, match=f"table 't': an id was held by {least} impressions"):
        push(batch, with_counts=True)


def test_counts_must_come_where_admission_counts_and_nowhere_else():
    with pytest.raises(RequestError, match=r"columns \['id', 'gradient'\], expected \['id', 'gradient', 'count'\]"):
        push(encode_push(IDS, GRADIENTS, None, "float32"), with_counts=True)
    with pytest.raises(RequestError, match=r"columns \['id', 'gradient', 'count'\], expected \['id', 'gradient'\]"):
        push(encode_push(IDS, GRADIENTS, IDS, "float32"))


def test_the_wait_for_a_request_is_not_time_of_the_server():
    class SlowTimer(Timer):
        entered = 0

        def waiting(self):
            self.entered += 1
            return super().waiting()

    timer = SlowTimer()
    header = PullHeader(run="r", generation=1, table="t", rows=3, wire="float32", step=None, patience_s=0.0)
    read_pull(Reader(encode_ids(IDS)), header, max_rows=3, timer=timer)
    assert timer.entered == 1
