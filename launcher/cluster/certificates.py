"""The secrets of a job: a random token, and certificates of an authority of its own.

One certificate is for those who listen (servers, agents), one for those who call (workers, driver). The authority's
key is forgotten once it has signed: nobody can sign anything else with it.
"""

import datetime
import ipaddress
import secrets as random_secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from launcher.cluster import names
from launcher.cluster.job_file import JobFile

VALID = datetime.timedelta(days=5 * 365)
"""A job may be resumed years later, with the secrets that it was submitted with."""

_BEFORE = datetime.timedelta(days=1)
"""Clocks of nodes differ."""


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What Secret J holds."""

    files: Mapping[str, str] = field(repr=False)
    """Text by key (``names.TOKEN_KEY`` and so on)."""


def make_secrets(job: JobFile, *, now: datetime.datetime | None = None) -> Secrets:
    """Make a job's token and, unless it does without TLS, its certificates. Each call makes others.

    Args:
        job: the job, whose name and namespace are in the certificates
        now: when they begin to be valid. None: now
    """
    files = {names.TOKEN_KEY: random_secrets.token_urlsafe(32)}
    if job.cluster.tls and job.task == "train":
        authority = _Authority(job.name, now or datetime.datetime.now(datetime.UTC))
        files[names.CA_KEY] = authority.certificate
        dns = names.certified_names(job.name, job.known_namespace)
        files[names.SERVER_CERT_KEY], files[names.SERVER_KEY_KEY] = authority.sign("server", dns)
        files[names.CLIENT_CERT_KEY], files[names.CLIENT_KEY_KEY] = authority.sign("client", None)
    return Secrets(files=files)


class _Authority:
    def __init__(self, job: str, now: datetime.datetime) -> None:
        self._job, self._now, self._key = job, now, ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"esmm job {job}")
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = _pem(self._certificate)

    def sign(self, role: str, dns: Sequence[str] | None) -> tuple[str, str]:
        """Return certificate and key: of one who listens at these names (and at 127.0.0.1), or of one who calls."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(f"esmm job {self._job} {role}"), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if dns is None else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if dns is not None:
            loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            alternative = x509.SubjectAlternativeName([*(x509.DNSName(name) for name in dns), loopback])
            builder = builder.add_extension(alternative, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(builder.sign(self._key, hashes.SHA256())), private.decode()

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        own = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _BEFORE)
            .not_valid_after(self._now + VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
