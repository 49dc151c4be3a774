"""What a session has been told already, so that news reaches it once.

One file for each incarnation, one id a line, only ever appended to: two processes of a session lose nothing to each
other. At worst both tell the same news at the same moment. Losing the file means that news is told again.
"""

from __future__ import annotations

import os

from gitcoord.runtime.files import id_path, names, private_dir, refused, remove, write_whole
from gitcoord.runtime.oslock import Descriptor
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_READ_LIMIT = 4_000_000
_WORD = "word"
_WORD_LIMIT = 10_000


class Told:
    """The news that the sessions of one clone have had."""

    __slots__ = ("_folder",)

    def __init__(self, runtime_dir: str) -> None:
        """Name the place; nothing is read yet."""
        self._folder = os.path.join(runtime_dir, "told")

    def fresh(self, incarnation: str, ids: Iterable[str]) -> list[str]:
        """Return those ids, in their order, that the incarnation has not been told.

        Args:
            incarnation: the session's sign-on id.
            ids: what there is to tell; any text.
        """
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return []
        told = self._read(incarnation)
        return [one for one in wanted if _line(one) not in told]

    def remember(self, incarnation: str, ids: Iterable[str]) -> None:
        """Note that the incarnation has been told.

        Args:
            incarnation: the session's sign-on id.
            ids: what it was told.

        Raises:
            StorageFault: the runtime directory cannot be written.
            ValueError: the incarnation is not an id.
        """
        lines = [_line(one) for one in ids]
        if not lines:
            return
        path = id_path(self._folder, incarnation)
        private_dir(self._folder)
        try:
            file = Descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                # The leading newline ends a line that a crash cut short.
                os.write(file.fd, b"\n" + b"\n".join(lines) + b"\n")
            finally:
                file.close()
        except OSError as error:
            raise refused(path, error) from error

    def sweep(self, keep: Collection[str]) -> list[str]:
        """Forget what incarnations were told that are no longer on the log, and return their ids.

        Args:
            keep: the incarnations that are.
        """
        gone = (name for name in names(self._folder) if name not in keep)
        return sorted(name for name in gone if remove(os.path.join(self._folder, name)))

    def _read(self, incarnation: str) -> set[bytes]:
        try:
            file = Descriptor(id_path(self._folder, incarnation), os.O_RDONLY)
        except OSError:
            return set()
        try:
            return set(file.read(_READ_LIMIT).split(b"\n"))
        except OSError:
            return set()
        finally:
            file.close()


def _line(text: str) -> bytes:
    """Return a text as one line, whatever characters it has."""
    return text.encode("unicode_escape")


def leave_word(runtime_dir: str, session: str, text: str) -> None:
    """Leave word for whoever signs on under a session id next.

    Args:
        runtime_dir: the runtime directory.
        session: the id; a valid one.
        text: what to tell.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    folder = private_dir(os.path.join(runtime_dir, _WORD))
    write_whole(os.path.join(folder, session), text.encode())


def take_word(runtime_dir: str, session: str) -> list[str]:
    """Return what was left for a session id, once.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    path = os.path.join(runtime_dir, _WORD, session)
    try:
        file = Descriptor(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        text = file.read(_WORD_LIMIT).decode(errors="replace")
    except OSError:
        return []
    finally:
        file.close()
    remove(path)
    return [text]
