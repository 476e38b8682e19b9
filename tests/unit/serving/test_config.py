from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.serving.config import ServeConfig


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": "a/b"}, r"name is 'a/b'. Use letters, digits"),
        ({"name": ""}, r"name is ''"),
        ({"port": 65536}, r"port is 65536. Set 0 .. 65535"),
        ({"metrics_port": -1}, r"metrics_port is -1"),
        ({"metrics_port": 8501}, r"metrics_port is 8501, as port is"),
        ({"tls_cert": Path("cert.pem")}, r"tls_cert and tls_key belong together"),
        ({"tls_key": Path("key.pem")}, r"tls_cert and tls_key belong together"),
        ({"bind": "0.0.0.0"}, r"bind is 0.0.0.0, which other machines reach, and there is no token"),
        ({"bind": "[::]"}, r"bind is \[::\], which other machines reach"),
        ({"bind": "127.0.0.1:80"}, r"bind is 127.0.0.1:80, a host with a port. Give --bind 127.0.0.1 --port 80\."),
        ({"bind": "[::1]:80"}, r"bind is \[::1\]:80, a host with a port. Give --bind \[::1\] --port 80\."),
        ({"workers": 0}, r"workers is 0. Set 1 or more"),
        ({"max_batch_impressions": 0}, r"max_batch_impressions is 0"),
        ({"poll_s": 0.0}, r"poll_s is 0.0. Set 0.05 or more"),
        ({"batch_wait_ms": -1.0}, r"batch_wait_ms is -1.0"),
        ({"drain_s": float("nan")}, r"drain_s is nan"),
        ({"max_body_bytes": 0}, r"max_body_bytes is 0. Set a number above 0"),
        ({"upload_timeout_s": float("inf")}, r"upload_timeout_s is inf"),
        ({"max_header_bytes": 100}, r"max_header_bytes is 100. Set 1024 or more"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(settings: dict[str, Any], text: str):
    with pytest.raises(ConfigError, match=text):
        ServeConfig(models="models", **settings)


def test_other_addresses_need_a_token_or_consent():
    assert ServeConfig(models="m", bind="0.0.0.0", token_file=Path("token")).bind == "0.0.0.0"
    assert ServeConfig(models="m", bind="0.0.0.0", insecure_no_token=True).bind == "0.0.0.0"
    for bind in ("127.0.0.1", "localhost", "::1", "[::1]"):
        assert ServeConfig(models="m", bind=bind).bind == bind
        assert ServeConfig(models="m", bind=bind).host == bind.strip("[]")


def test_two_free_ports_can_be_asked_for():
    assert ServeConfig(models="m", port=0, metrics_port=0).metrics_port == 0
