"""Generate images from a terminal and watch them arrive."""

import sys

__version__ = "0.1.0"

if sys.argv[0] == "-m" or sys.argv[0].rpartition("/")[2] == "imgcli":  # we are the program, not a library
    import _signal as signal  # type: ignore[import-not-found]  # `signal` itself takes milliseconds to load

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until we listen: a Ctrl-C ends us without a traceback
