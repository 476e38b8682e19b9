"""One rank: meet the others, and print where this process has connections, as JSON. Its argument: the token file."""

import json
import os
import socket
import sys
from pathlib import Path

from esmm_dist.ranks.open_world import open_world


def own_addresses() -> list[str]:
    """Return the addresses of this process's own ends of TCP connections."""
    own = {os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.islink(entry.path)}
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if f"socket:[{words[9]}]" in own:
            found.add(socket.inet_ntoa(bytes.fromhex(words[1].partition(":")[0])[::-1]))
    return sorted(found)


if __name__ == "__main__":
    world = open_world(Path(sys.argv[1]))
    world.barrier()
    print(json.dumps({"rank": world.rank, "stands": own_addresses()}))
    world.barrier()
