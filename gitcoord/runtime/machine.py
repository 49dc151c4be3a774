"""The clocks and names of this machine: the one place that asks for the time and for randomness.

A machine is what shares one set of clocks. Its id decides whether two times may be compared at all, so an id that two
machines share is a danger and one that changes is only slow: leases of the former id are then ended by challenge, as
those of strangers are. That is why the id of a Linux machine takes in the host name: images and containers are copied
with their `/etc/machine-id`, rarely with their name too.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod

from gitcoord.config import host_name
from gitcoord.errors import ClockFault
from gitcoord.model_time import Stamp, elapsed_ms, format_time, parse_time
from gitcoord.runtime.files import write_whole
from gitcoord.runtime.oslock import OsLock

__all__ = [
    "Clock",
    "Stamp",
    "SystemClock",
    "elapsed_ms",
    "format_time",
    "machine_name",
    "new_id",
    "parse_time",
    "random_hex",
    "wall_ms",
]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
# Where the system does not name its boot, the moment of the boot does, this coarsely: clocks are slewed all the time.
_BOOT_GRAIN_MS = 10_000
_KEPT_LENGTH = 32
# macOS has no CLOCK_BOOTTIME: its CLOCK_MONOTONIC counts sleep, which Python's own monotonic clock there does not.
_UPTIME: int = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))
_LARGEST_ID_TIME = (1 << 48) - 1
# git's dates begin in 1970: one before it makes a commit that `git fsck` calls broken for ever.
_FIRST_MS, _LAST_MS = 1000, 7_258_118_400_000


class Clock(ABC):
    """Where the present comes from."""

    @abstractmethod
    def stamp(self) -> Stamp:
        """Return what the clocks say now."""


class SystemClock(Clock):
    """The clocks of this machine.

    The machine's and the boot's names are looked up once for each object.
    """

    __slots__ = ("_boot", "_machine", "_runtime_dir")

    def __init__(self, runtime_dir: str) -> None:
        """Remember where a machine without an id of its own keeps one; nothing is read yet.

        Args:
            runtime_dir: the runtime directory, which such a machine must be able to write.
        """
        self._runtime_dir = runtime_dir
        self._machine: str | None = None
        self._boot: str | None = None

    def stamp(self) -> Stamp:
        """Return what the clocks say now.

        Raises:
            ClockFault: the wall clock says what cannot be recorded.
            StorageFault: the machine has no id and none can be kept.
        """
        at_ms, uptime_ms = believable(wall_ms()), read_uptime_ms()
        if self._machine is None:
            self._machine = read_machine_id(self._runtime_dir)
        if self._boot is None:
            self._boot = read_boot_id() or f"since-{(at_ms - uptime_ms) // _BOOT_GRAIN_MS}"
        return Stamp(at_ms, uptime_ms, self._boot, self._machine)


def believable(at_ms: int) -> int:
    """Return a time, in milliseconds since the epoch, if it can be recorded.

    Raises:
        ClockFault: it cannot.
    """
    if not _FIRST_MS <= at_ms <= _LAST_MS:
        raise _wrong_clock(f"is {at_ms // 1000:,} seconds from 1970")
    return at_ms


def _wrong_clock(what: str) -> ClockFault:
    return ClockFault(
        f"this machine's clock {what}; what gitcoord records lies between 1970 and 2200",
        next="set the clock, then try again",
    )


def wall_ms() -> int:
    """Return the wall clock alone, for showing how long ago something was.

    Raises:
        ClockFault: it is too far in the future for the system to tell.
    """
    try:
        return time.time_ns() // 1_000_000
    except OverflowError:  # 64 bits of nanoseconds end in 2262
        raise _wrong_clock("is beyond the year 2262") from None


def read_uptime_ms() -> int:
    """Return milliseconds of a clock that nobody sets, and that goes on while the machine sleeps where it can."""
    if sys.platform == "win32":
        return time.monotonic_ns() // 1_000_000
    return time.clock_gettime_ns(_UPTIME) // 1_000_000


def read_boot_id() -> str | None:
    """Return the system's name for this start of the machine, or None where it gives none."""
    if sys.platform == "darwin":
        from gitcoord.runtime.darwin import boot_session

        return boot_session()
    return _read_line(_BOOT_ID_FILE) or None


def read_machine_id(runtime_dir: str) -> str:
    """Return 16 hex characters that name this machine and do not tell the system's own secret id.

    Args:
        runtime_dir: where a random id is kept for a machine that has none.

    Raises:
        StorageFault: that id cannot be written.
    """
    return hash_machine_id(_system_id() or f"{_kept_id(runtime_dir)} {host_name()}")


def hash_machine_id(source: str) -> str:
    """Return the 16 hex characters for what the system says of itself."""
    # hashlib's blake2b is this function; through hashlib it comes with OpenSSL, which costs a fifth of a hook's time.
    try:
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b

    return blake2b(source.encode("utf-8", "surrogateescape"), digest_size=8, key=b"gitcoord machine").hexdigest()


def _system_id() -> str | None:
    """Return what the system says of itself that another machine would not say, or None."""
    if sys.platform == "darwin":
        from gitcoord.runtime.darwin import host_uuid

        return host_uuid()  # without the host name, which follows the network there
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
                return f"{winreg.QueryValueEx(key, 'MachineGuid')[0]} {host_name()}"
        except OSError:
            return None
    for path in _MACHINE_ID_FILES:
        line = _read_line(path)
        # An image that has not been started yet says "uninitialized", or nothing.
        if len(line) == 32 and line.strip("0"):
            return f"{line} {host_name()}"
    return None


def _read_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline(200).strip()
    except OSError:
        return ""


def _kept_id(runtime_dir: str) -> str:
    """Return the random id in the runtime directory, made by whoever comes first."""
    path = os.path.join(runtime_dir, "machine")
    kept = _read_line(path)
    if len(kept) == _KEPT_LENGTH:
        return kept
    with OsLock(f"{path}.lock"):
        kept = _read_line(path)
        if len(kept) != _KEPT_LENGTH:
            kept = random_hex(_KEPT_LENGTH // 2)
            write_whole(path, kept.encode() + b"\n")
    return kept


def machine_name() -> str:
    """Return the name that people know this machine by; two machines may share it."""
    return host_name()


def random_hex(size: int) -> str:
    """Return `size` bytes from the system's source of randomness as hex."""
    return os.urandom(size).hex()


def new_id(at_ms: int) -> str:
    """Return a new unique id: 26 characters that sort by time, in the form of a ULID.

    Ids of one millisecond sort at random; uniqueness rests on 80 random bits.

    Args:
        at_ms: the time that it shows; a time outside of what fits is moved to the nearest that does.
    """
    bits = min(max(at_ms, 0), _LARGEST_ID_TIME) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))
