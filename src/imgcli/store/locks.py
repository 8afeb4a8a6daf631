"""How a live process marks a file as its own."""

from __future__ import annotations

from contextlib import suppress


def is_locked(descriptor: int) -> bool:
    """Tell whether somebody has locked an open file; False where there are no locks."""
    with suppress(ImportError, OSError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def has_locks(descriptor: int) -> bool:
    """Tell whether a lock on this file would say anything; false on some network file systems.

    For a descriptor that holds no lock itself: it would lose it.
    """
    with suppress(ImportError, OSError):
        import fcntl

        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        return True
    return False


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process dies; False when somebody else has it.

    True where the file system or the system has no locks: then nobody can tell.
    """
    with suppress(ImportError, OSError):
        import fcntl

        return _has_locked(descriptor, fcntl.LOCK_EX)
    return True


def try_share(descriptor: int) -> bool:
    """Lock an open file against `try_lock`, but not against others who share it; True likewise."""
    with suppress(ImportError, OSError):
        import fcntl

        return _has_locked(descriptor, fcntl.LOCK_SH)
    return True


def _has_locked(descriptor: int, kind: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
