"""HTTP between the processes of a run goes straight to its address, whatever proxies the environment names."""

import importlib
import urllib.request
from typing import Any

open_directly = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""``urllib.request.urlopen`` that uses no proxy: neither http_proxy and all_proxy count, nor any form of no_proxy."""


def keep_horovod_from_proxies() -> None:
    """Have Horovod's calls to its rendezvous go there directly. Harmless when called twice.

    They use ``urlopen``, and would send a request for a port of this machine to a proxy that cannot reach it.
    """
    http_client: Any = importlib.import_module("horovod.runner.http.http_client")
    http_client.urlopen = open_directly
