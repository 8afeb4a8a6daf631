"""How a live process marks a file as its own."""

from __future__ import annotations

from contextlib import suppress


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process dies; False when somebody else has it.

    True where the file system or the system has no locks: then nobody can tell.
    """
    with suppress(ImportError, OSError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
