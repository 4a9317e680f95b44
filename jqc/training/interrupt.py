"""Ctrl-C that lets a step finish."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether an interrupt has come since; the first one is only noted, a second one acts as before.

    An interrupt that is ignored stays ignored, and threads other than the main one receive none. Whoever is woken by
    signals (`signal.set_wakeup_fd`), as commands are, is not told of the first one.
    """
    asked = threading.Event()
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous in (signal.SIG_IGN, None):
        yield asked.is_set
        return

    def note(number: int, frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        with _all_but_the_first_interrupt_passed_on():
            yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _all_but_the_first_interrupt_passed_on() -> Iterator[None]:
    """Stand between signals and whoever is woken by them; a thread does, since compiled code keeps Python waiting."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    outer = signal.set_wakeup_fd(writer)
    between = threading.Thread(target=_pass_on, args=(reader, outer), daemon=True)
    between.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(outer)
        os.close(writer)  # the thread reads the end of the pipe and returns
        between.join()
        os.close(reader)


def _pass_on(reader: int, outer: int) -> None:
    interrupted = False
    while received := os.read(reader, 1):
        first = received[0] == signal.SIGINT and not interrupted
        interrupted |= first
        if outer != -1 and not first:
            os.write(outer, received)
