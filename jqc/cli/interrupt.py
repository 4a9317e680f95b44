"""Ctrl-C that ends a command at once, also inside compiled code, and never in the middle of a file.

Python delivers an interrupt as an exception between two of its own instructions: late when a compiler or
libcint is at work, and lost when it strikes inside a callback. Here the system's signal handler wakes a
thread that ends the process.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jqc.files import uninterrupted

INTERRUPTED = 130
"""Exit code of an interrupted command, 128 + SIGINT as shells report it."""


@contextmanager
def ending_on_interrupt() -> Iterator[None]:
    """End the process with code 130 at an interrupt inside; an interrupt that is ignored stays ignored."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.signal(signal.SIGINT, lambda number, frame: None), signal.set_wakeup_fd(writer)
    watcher = threading.Thread(target=_end_when_woken, args=(reader,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous[1])
        signal.signal(signal.SIGINT, previous[0])
        os.close(writer)  # the watcher reads the end of the pipe and returns
        watcher.join()
        os.close(reader)


def _end_when_woken(reader: int) -> None:
    """Wait for the number of a signal; end of file means that nobody will interrupt any more."""
    while received := os.read(reader, 1):
        if received[0] == signal.SIGINT:
            with uninterrupted:
                os.write(2, b"jqc: interrupted.\n")
                os._exit(INTERRUPTED)
