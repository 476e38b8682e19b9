"""TLS between a driver and its agents: who shows a certificate, and who checks it.

An agent shows a certificate; a driver checks that its authority has signed it, for the very host that it asked for.
The driver's right to ask is shown by the token, not by a certificate, so a health probe needs none.
"""

import ssl
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.storage.secret_file import read_secret


def agent_tls(cert: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS context that an agent listens with.

    Raises:
        ConfigError: A file cannot be read, or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _check_readable(cert, "tls_cert")
    read_secret(key, setting="tls_key")
    try:
        context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as e:
        raise ConfigError(
            f"tls_cert {cert} and tls_key {key} are not a certificate and its private key ({_reason(e)}). Give PEM "
            "files that belong together."
        ) from e
    return context


def driver_tls(ca: Path | None) -> ssl.SSLContext | None:
    """Return the TLS context for a driver's calls to agents; None without an authority: plain HTTP.

    Raises:
        ConfigError: The authority's file cannot be read, or holds no certificate.
    """
    if ca is None:
        return None
    _check_readable(ca, "tls_ca")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)  # checks the host name too
    except (ssl.SSLError, OSError) as e:
        raise ConfigError(f"tls_ca {ca} holds no certificate ({_reason(e)}). Give the authority's PEM file.") from e
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _check_readable(path: Path, setting: str) -> None:
    try:
        path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{setting} {path} cannot be read: {e.strerror}.") from e


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
