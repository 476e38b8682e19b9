import contextlib
import datetime
import ssl

import pytest
from cryptography import x509

from launcher.cluster.certificates import VALID, make_secrets
from tests.unit.launcher.cluster.jobs import KEYS, make_job


def _contexts(tmp_path, secrets):
    for key, text in secrets.files.items():
        (tmp_path / key).write_text(text)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    client = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    client.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    return server, client


def _shake_hands(server, client, name):
    a_in, a_out, b_in, b_out = (ssl.MemoryBIO() for _ in range(4))
    ends = [server.wrap_bio(a_in, a_out, server_side=True), client.wrap_bio(b_in, b_out, server_hostname=name)]
    for _ in range(6):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
        b_in.write(a_out.read())
        a_in.write(b_out.read())
    return ends[1].version()


@pytest.mark.parametrize(
    "name",
    [
        "nightly-server-0.nightly-server.ml.svc",
        "nightly-worker-4095.nightly-worker.ml.svc.cluster.local",
        "nightly-worker-0.nightly.ml.svc",  # of an MPIJob
        "localhost",
    ],
)
def test_who_calls_and_who_listens_trust_each_other_at_every_name_of_the_job(tmp_path, name):
    server, client = _contexts(tmp_path, make_secrets(make_job()))
    assert _shake_hands(server, client, name) == "TLSv1.3"


def test_another_job_is_not_trusted(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    server, _ = _contexts(tmp_path / "a", make_secrets(make_job()))
    _, client = _contexts(tmp_path / "b", make_secrets(make_job()))
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(server, client, "localhost")


def test_a_name_of_another_namespace_is_not_certified(tmp_path):
    server, client = _contexts(tmp_path, make_secrets(make_job()))
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _shake_hands(server, client, "nightly-server-0.nightly-server.other.svc")


def test_secrets_are_other_ones_each_time_and_are_not_shown():
    first, second = (make_secrets(make_job()) for _ in range(2))
    assert tuple(first.files) == KEYS
    assert all(first.files[key] != second.files[key] for key in KEYS)
    assert len(first.files["token"]) >= 40
    assert first.files["token"] not in repr(first)


def test_without_tls_there_is_a_token_only():
    assert list(make_secrets(make_job(cluster={"tls": False})).files) == ["token"]


def test_certificates_outlast_a_job_that_is_resumed_late_and_a_clock_that_is_behind():
    now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    secrets = make_secrets(make_job(), now=now)
    for key in ("ca.crt", "server.crt", "client.crt"):
        certificate = x509.load_pem_x509_certificate(secrets.files[key].encode())
        assert certificate.not_valid_before_utc < now
        assert certificate.not_valid_after_utc == now + VALID
