"""``esmm driver`` as in a pod whose cluster has names for the other pods: ``driver_in_pod.py ARGS``.

``POD_ADDRESSES`` is a JSON object of the pods' host names and their addresses on this machine.
"""

import json
import os
import socket
import sys

from launcher import cli

ADDRESSES = json.loads(os.environ["POD_ADDRESSES"])
resolve = socket.getaddrinfo


def resolve_pods(host, *args, **more):
    """Find a pod, or anything else as ever."""
    return resolve(ADDRESSES.get(host, host), *args, **more)


socket.getaddrinfo = resolve_pods
sys.exit(cli.main(["driver", *sys.argv[1:]]))
