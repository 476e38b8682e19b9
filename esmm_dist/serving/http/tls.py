"""The server's certificate."""

import ssl

from esmm_dist.errors import ConfigError
from esmm_dist.serving.config import ServeConfig
from esmm_dist.storage.secret_file import read_secret


def tls_context(settings: ServeConfig) -> ssl.SSLContext | None:
    """Return what encrypts connections, TLS 1.2 or newer; None: the settings name no certificate.

    Raises:
        ConfigError: The files cannot be read, do not fit each other, or others can read the key.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    read_secret(settings.tls_key, setting="tls_key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a question for a pass phrase, at which a server would hang
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: b"")
    except OSError as e:  # ssl.SSLError is one
        raise ConfigError(
            f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key} cannot be used: {e.strerror or e}. Give a "
            "certificate and its own key as PEM files, the key without a pass phrase."
        ) from e
    return context
