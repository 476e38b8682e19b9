"""Put the ranks' connections on the network interface that HOROVOD_GLOO_IFACE names.

Horovod 0.28.1 obeys it for the connections of its start alone. Those that gradients travel on (gloo's device of
process set 0, ``GlooContext::InitializeForProcessSet``) stand at the address of the machine's name, whatever is asked
for: a name without an address ends each rank by a signal, and one that leads to a network card opens ports there. No
variable changes that. gloo asks the C library's ``gethostname`` for the name, through a pointer in the library's table
of imported functions (ELF: a relocation in ``.rela.plt`` or ``.rela.dyn``), and it takes an address for a name. So this
pointer is set to a function that answers with the interface's address.
"""

import contextlib
import ctypes
import fcntl
import ipaddress
import mmap
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from esmm_dist.errors import StackError

INTERFACE = "HOROVOD_GLOO_IFACE"

_GETHOSTNAME = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
_PROT_READ, _PROT_READ_WRITE = 1, 3
_SIOCGIFADDR = 0x8915

_answers: list[Any] = []
"""Functions that Horovod has pointers to: they live as long as the process."""


def listen_on_interface(library: Path) -> None:
    """Put gloo's connections on the interface that the environment names, if it names one.

    Args:
        library: file of Horovod's library, which this process has loaded

    Raises:
        StackError: There is no such interface; or none is named, and the machine's name has no address of it.
    """
    interface = os.environ.get(INTERFACE, "")
    if interface and _answer_gethostname(library, interface_address(interface)):
        return
    check_host_name(socket.gethostname())


def interface_address(interface: str) -> str:
    """Return the address of a network interface of this machine: of version 4, if it has one.

    Raises:
        StackError: There is no such interface, or it has no address.
    """
    addresses = _addresses()
    if interface in addresses:
        return addresses[interface]
    raise StackError(
        f"{INTERFACE} is '{interface}', but this machine has no interface of that name with an address. It has: "
        f"{', '.join(addresses)}. Set one of them."
    )


def _addresses() -> dict[str, str]:
    """Return the address of each interface that has one."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", os.fsencode(name)))
                found[name] = socket.inet_ntoa(answer[20:24])
    with contextlib.suppress(OSError):  # no file: a kernel without version 6
        for line in Path("/proc/net/if_inet6").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            digits, *_, name = line.split()
            address = ipaddress.ip_address(bytes.fromhex(digits))
            if not address.is_link_local:  # it would be none without the number of its interface
                found.setdefault(name, str(address))
    return found


def check_host_name(name: str) -> None:
    """Check that the machine's name leads to an address of this machine.

    Raises:
        StackError: It does not; Horovod would end this process by a signal.
    """
    why = "has no address"
    with contextlib.suppress(OSError, UnicodeError):
        for family, kind, protocol, _, address in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
            with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return
            why = f"leads to {address[0]}, which is not an address of this machine"
    raise StackError(
        f"This machine's name '{name}' {why}, and ranks listen on it unless {INTERFACE} is set. Set it for "
        f"all ranks ({INTERFACE}=lo on one machine, else the name of the network interface), or add the line "
        f"'127.0.0.1 {name}' (several machines: with this one's address) to /etc/hosts."
    )


def _answer_gethostname(library: Path, answer: str) -> bool:
    """Let a loaded library's calls of gethostname give an answer; return False if it has no such calls."""
    text = answer.encode() + b"\0"

    def gethostname(name: int, size: int) -> int:
        ctypes.memmove(name, text, min(len(text), size))
        return 0

    function = _GETHOSTNAME(gethostname)
    _answers.append(function)
    pointer = ctypes.cast(function, ctypes.c_void_p).value
    assert pointer is not None
    places = list(_pointers(library, b"gethostname"))
    for place in places:
        with _writable(place):
            ctypes.c_void_p.from_address(place).value = pointer
    return bool(places)


def _pointers(library: Path, symbol: bytes) -> Iterator[int]:
    """Yield the addresses, in this process, of a loaded library's pointers to an imported function."""
    base = _loaded_at(library)
    if base is None:
        return
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as elf:
        segments, dynamic = _segments(elf)

        def at(address: int) -> int:
            """Return the place in the file of an address of the library."""
            return next(address - start + place for place, start, size in segments if start <= address < start + size)

        for table, size in ((_DT_JMPREL, _DT_PLTRELSZ), (_DT_RELA, _DT_RELASZ)):
            if table not in dynamic:
                continue
            start = at(dynamic[table])
            for where, info, _ in struct.iter_unpack("<QQq", elf[start : start + dynamic[size]]):
                if info >> 32 == 0:  # of no symbol
                    continue
                (name,) = struct.unpack_from("<I", elf, at(dynamic[_DT_SYMTAB]) + 24 * (info >> 32))
                begin = at(dynamic[_DT_STRTAB]) + name
                if elf[begin : begin + len(symbol) + 1] == symbol + b"\0":
                    yield base + where


def _segments(elf: mmap.mmap) -> tuple[list[tuple[int, int, int]], dict[int, int]]:
    """Return an ELF file's loaded segments, each as (place in the file, address, bytes), and its dynamic section."""
    (start,), (count,) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<H", elf, 56)
    headers = [struct.unpack_from("<IIQQQQQQ", elf, start + 56 * number) for number in range(count)]
    dynamic: dict[int, int] = {}
    for kind, _, offset, _, _, size, _, _ in headers:
        if kind == _PT_DYNAMIC:
            dynamic = dict(struct.iter_unpack("<QQ", elf[offset : offset + size]))
    return [(offset, address, size) for kind, _, offset, address, _, size, *_ in headers if kind == _PT_LOAD], dynamic


def _loaded_at(library: Path) -> int | None:
    """Return the address at which this process has loaded a library; None if it has not."""
    real = os.path.realpath(library)
    found = (start for start, _, _, offset, file in _maps() if offset == 0 and os.path.realpath(file) == real)
    return next(found, None)


def _maps() -> Iterator[tuple[int, int, str, int, str]]:
    """Yield the parts of this process's memory: (start, end, rights, place in its file, file or "")."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        addresses, rights, offset, _, _, *file = line.split(maxsplit=5)
        start, _, end = addresses.partition("-")
        yield int(start, 16), int(end, 16), rights, int(offset, 16), file[0] if file else ""


@contextlib.contextmanager
def _writable(place: int) -> Iterator[None]:
    """Make a pointer of the table writable within the block: the loader may have made it read-only."""
    rights = next(rights for start, end, rights, _, _ in _maps() if start <= place < end)
    if "w" in rights:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    page = ctypes.c_void_p(place - place % mmap.PAGESIZE)
    if libc.mprotect(page, mmap.PAGESIZE, _PROT_READ_WRITE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        yield
    finally:
        libc.mprotect(page, mmap.PAGESIZE, _PROT_READ)
