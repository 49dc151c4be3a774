"""What only macOS's own library tells: which machine this is, which start of it, and where a file lies.

Asked through ctypes, because the programs that tell the same (`ioreg`, `sysctl`, `mount`) cost tens of milliseconds
each. Every answer is None where the library does not give it, and callers then prove less instead of guessing.
"""

from __future__ import annotations

_UUID_BYTES = 16
_MNT_LOCAL = 0x0000_1000
# struct statfs with 64-bit inodes: flags at byte 64, the type's name in 16 bytes from byte 72, 2,168 bytes in all.
_FLAGS_AT = 64
_TYPE_AT = 72
_STATFS_BYTES = 4096


def host_uuid() -> str | None:
    """Return the hardware's UUID as hex, which outlives restarts and reinstallations."""
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "gethostuuid"):
        return None
    buffer = ctypes.create_string_buffer(_UUID_BYTES)
    wait = (ctypes.c_long * 2)(1, 0)  # a struct timespec: how long it may take, one second
    return buffer.raw.hex() if library.gethostuuid(buffer, ctypes.byref(wait)) == 0 else None


def boot_session() -> str | None:
    """Return the UUID of this start of the machine."""
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "sysctlbyname"):
        return None
    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    failed = library.sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return buffer.value.decode("ascii", "replace") or None if not failed else None


def local_type(fd: int) -> str | None:
    """Return the type of the file system that an open file lies on, or None unless that is known to be local.

    Args:
        fd: the open file.
    """
    import ctypes

    library = ctypes.CDLL(None)
    # Intel machines keep the older structure under the plain name.
    name = "fstatfs$INODE64" if hasattr(library, "fstatfs$INODE64") else "fstatfs"
    if not hasattr(library, name):
        return None
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if getattr(library, name)(ctypes.c_int(fd), buffer) != 0:
        return None
    return parse_statfs(buffer.raw)


def parse_statfs(raw: bytes) -> str | None:
    """Return the type's name in a `struct statfs`, or None where the mount is not marked as local."""
    flags = int.from_bytes(raw[_FLAGS_AT : _FLAGS_AT + 4], "little")
    name = raw[_TYPE_AT : _TYPE_AT + 16].split(b"\0")[0].decode("ascii", "replace")
    return name if flags & _MNT_LOCAL and name else None
