"""Machines of a cluster as network namespaces of this one: each with an address, a link of its own and a distance.

::

    namespace 0: eth0 10.231.0.1 ──┐
    namespace 1: eth0 10.231.0.2 ──┼── switch
    namespace 2: eth0 10.231.0.3 ──┘

Without a delay the switch is a bridge in a namespace between them, and eth0 one end of a veth pair; ``tc tbf`` limits
what each end sends. Kernels without ``tc netem`` delay nothing, so with a delay the switch is a process (``main``) that
holds back each frame of the namespaces' TAP devices, and their MTU is large, so that there are few frames. Nothing is
visible outside the namespaces, which go with the ``with`` block.
"""

import contextlib
import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DEVICE = "eth0"
_NET = "10.231.0"
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_TAP_MTU = 60_000
_QUEUE_MS = 50
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class NetworkNamespace:
    """One machine."""

    name: str
    address: str

    def line(self, *command: str) -> list[str]:
        """Return the words that run a command there."""
        return ["ip", "netns", "exec", self.name, *command]


def why_no_namespaces() -> str:
    """Return why namespaces cannot be made here; empty if they can."""
    if os.geteuid():
        return "only root can make network namespaces"
    name = f"esmm-{os.getpid()}-try"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no command ip (iproute2)"
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    try:
        limited = subprocess.run(
            ["ip", "netns", "exec", name, *_limit("lo", 100.0)], capture_output=True, text=True, check=False
        )
        return f"tc tbf does not work: {limited.stderr.strip()}" if limited.returncode else ""
    finally:
        _run("ip", "netns", "del", name)


@contextlib.contextmanager
def network_namespaces(
    count: int, *, rate_mbit: float | None = None, round_trip_ms: float = 0.0
) -> Iterator[list[NetworkNamespace]]:
    """Make machines that reach each other.

    Args:
        count: number of machines
        rate_mbit: bandwidth of each one's link, each way, 1e6 bits a second; None: what the machine does
        round_trip_ms: time to another one and back, ms
    """
    prefix = f"esmm-{os.getpid()}"
    spaces = [NetworkNamespace(f"{prefix}-{index}", f"{_NET}.{index + 1}") for index in range(count)]
    with contextlib.ExitStack() as stack:
        for name in [*(space.name for space in spaces), f"{prefix}-hub"]:
            _run("ip", "netns", "add", name)
            stack.callback(_run, "ip", "netns", "del", name)
        for space in spaces:
            _run("ip", "-n", space.name, "link", "set", "lo", "up")
        if round_trip_ms:
            stack.enter_context(_delaying_switch(spaces, round_trip_ms))
        else:
            _make_bridge(spaces, f"{prefix}-hub", rate_mbit)
        for space in spaces:
            _run("ip", "-n", space.name, "addr", "add", f"{space.address}/24", "dev", DEVICE)
            _run("ip", "-n", space.name, "link", "set", DEVICE, "up")
            if rate_mbit is not None:
                _run(*space.line(*_limit(DEVICE, rate_mbit)))
        yield spaces


def _make_bridge(spaces: Sequence[NetworkNamespace], hub: str, rate_mbit: float | None) -> None:
    _run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
    _run("ip", "-n", hub, "link", "set", "bridge", "up")
    for index, space in enumerate(spaces):
        port = f"port{index}"
        peer = ["type", "veth", "peer", "name", DEVICE, "netns", space.name]
        _run("ip", "-n", hub, "link", "add", port, *peer)
        _run("ip", "-n", hub, "link", "set", port, "master", "bridge", "up")
        if rate_mbit is not None:
            _run("ip", "netns", "exec", hub, *_limit(port, rate_mbit))


def _limit(device: str, rate_mbit: float) -> list[str]:
    """Return the line that limits what a device sends; the burst holds the 64 kB segments of local TCP."""
    rate = ["rate", f"{rate_mbit:g}mbit", "burst", f"{max(128, int(rate_mbit))}kb", "latency", f"{_QUEUE_MS}ms"]
    return ["tc", "qdisc", "replace", "dev", device, "root", "tbf", *rate]


@contextlib.contextmanager
def _delaying_switch(spaces: Sequence[NetworkNamespace], round_trip_ms: float) -> Iterator[None]:
    line = [sys.executable, __file__, str(round_trip_ms), *(space.name for space in spaces)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as switch:
        assert switch.stdout is not None
        assert switch.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            switch.terminate()


def _run(*line: str) -> None:
    subprocess.run(line, check=True, capture_output=True)


def main(round_trip_ms: str, *names: str) -> None:
    """Carry frames between the TAP devices of namespaces, each after half a round trip, until SIGTERM."""
    taps = [_tap_in(name) for name in names]
    half_s = float(round_trip_ms) / 2000
    known: dict[bytes, int] = {}
    waiting: list[tuple[float, int, list[int], bytes]] = []
    number = 0
    poll = select.epoll()
    for tap in taps:
        poll.register(tap, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, targets, frame = heapq.heappop(waiting)
            for target in targets:
                with contextlib.suppress(OSError):  # its device is not up yet
                    os.write(target, frame)
        timeout_s = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else None
        if timeout_s is not None and timeout_s < 0.001:  # epoll counts whole ms, and 1 ms is what is to be measured
            select.select(taps, [], [], timeout_s)
            timeout_s = 0.0
        for tap, _ in poll.poll(timeout_s):
            try:
                frame = os.read(tap, 65_536 + 64)
            except OSError:
                continue
            known[frame[6:12]] = tap
            known_target = known.get(frame[0:6])
            targets = [known_target] if known_target is not None else [other for other in taps if other != tap]
            number += 1
            heapq.heappush(waiting, (time.monotonic() + half_s, number, targets, frame))


def _tap_in(name: str) -> int:
    """Make a TAP device in a namespace; return the file of its frames."""
    libc = ctypes.CDLL(None, use_errno=True)
    space = os.open(Path("/var/run/netns") / name, os.O_RDONLY)
    if libc.setns(space, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"cannot enter the namespace {name}")
    os.close(space)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TAP | _IFF_NO_PI))
    subprocess.run(["ip", "link", "set", DEVICE, "mtu", str(_TAP_MTU)], check=True)
    return tap


if __name__ == "__main__":
    main(*sys.argv[1:])
