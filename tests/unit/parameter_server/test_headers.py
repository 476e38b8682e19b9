"""The headers of calls come back as they were sent, and what is not one is refused by name."""

import json
from typing import Any

import pytest

from esmm_dist.embedding.table_files import TableFile
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.headers import PullHeader, RestoreHeader, RunHeader
from esmm_dist.parameter_server.refusals import RequestError


def pull_header(**changes: Any) -> PullHeader:
    known = {"run": "r", "generation": 2, "table": "t", "rows": 3, "wire": "float32", "step": None, "patience_s": 1.0}
    return PullHeader(**{**known, **changes})


def test_a_header_comes_back():
    for header in (pull_header(), pull_header(step=7, run="s3://bucket/ä")):
        assert headers.decode_header(PullHeader, headers.encode_header(header)) == header


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a PullHeader"),
        (b"\x80\x04\x95", "is not a PullHeader"),  # the start of a pickle
        (b"[]", "is not a PullHeader"),
        (b'{"run": "r"}', "generation: Field required"),
        (
            b'{"run":"r","generation":"2","table":"t","rows":3,"wire":"float32","step":null,"patience_s":1}',
            "generation: Input should",
        ),
        (
            b'{"run":"r","generation":2,"table":"t","rows":3,"wire":"float64","step":null,"patience_s":1}',
            "wire: Input should be",
        ),
        (b" " * (5 << 20), "header has 5242880 bytes; at most 4194304"),
    ],
)
def test_what_is_not_a_header_is_refused(data, message):
    with pytest.raises(RequestError, match=message):
        headers.decode_header(PullHeader, data)


def test_a_header_with_files_in_it_comes_back_typed():
    file = TableFile(
        path="main.arrow", table="main", kind="rows", first_bucket=0, last_bucket=4096, rows=3, file_bytes=9, crc32c=7
    )
    header = RestoreHeader(
        run="r", generation=2, step=5, location="/runs/a", folder="step-00000005", files=(file, file)
    )
    assert headers.decode_header(RestoreHeader, headers.encode_header(header)) == header


def test_a_name_that_a_header_does_not_know_is_left_out():
    data = json.dumps({"run": "r", "generation": 2, "of a later version": 1}).encode()
    assert headers.decode_header(RunHeader, data) == RunHeader(run="r", generation=2)


def test_a_reply_is_json():
    assert headers.encode_reply({"rows": 3}) == b'{"rows": 3}'
