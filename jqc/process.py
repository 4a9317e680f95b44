"""What arrays share with the rest of the process: BLAS threads, memory of the C library, the system's memory maps."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

KEPT = 2**28
"""Bytes of the largest piece of memory to keep: with larger ones an SCF's peak grows by a quarter."""

KEPT_IN_TRAINING = 2**31 - 1
"""The same for training, whose steps ask for the same pieces again and again; the most that glibc understands."""

MOST_MAPS = 0.75
"""Share of the memory maps that may be taken when the next molecule comes: eighteen size classes hold half of them."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Options of glibc's mallopt."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Limited:
    """BLAS threads of the process while contexts of `single_threaded_blas` are open, in any thread."""

    def __init__(self):
        self.lock, self.contexts, self.limits = threading.Lock(), 0, ExitStack()

    def enter(self) -> None:
        from threadpoolctl import ThreadpoolController

        with self.lock:
            if not self.contexts:
                self.limits.enter_context(ThreadpoolController().limit(limits=1, user_api="blas"))
            self.contexts += 1

    def leave(self) -> None:
        with self.lock:
            self.contexts -= 1
            if not self.contexts:
                self.limits.close()


_LIMITED = _Limited()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """One BLAS thread inside this context; contexts of several threads may overlap, the last one ends the limit.

    XLA calls LAPACK for eigenvectors on CPUs. OpenBLAS lets its threads spin for some 30 ms after every call, on cores
    that XLA's next product needs; for a hundred orbitals that was a third of an SCF iteration.
    """
    _LIMITED.enter()
    try:
        yield
    finally:
        _LIMITED.leave()


def keep_freed_memory(largest: int = KEPT) -> None:
    """Keep memory that is freed for whoever asks next, where the C library is glibc; for the whole process, for good.

    A program of XLA's on CPUs takes room for its temporaries at every call, often tens of megabytes, and glibc has the
    system map these anew each time, page by page: half of the time of a training step. Pieces of up to `largest` bytes
    are kept instead, in one arena for all threads, for no other grows beyond 64 MB. To be called before the first
    computation, since threads stay with the arena that they begin with.
    """
    for option, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, largest), (_TRIM_THRESHOLD, largest)):
        _glibc("mallopt", option, value)


def release_freed_memory() -> None:
    """Hand memory that was freed back to the system, where the C library is one that keeps it (glibc).

    A compiler leaves some 0.3 GB of small free pieces behind, which no large array ever uses.
    """
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    """Call a function that only glibc has, or do nothing."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)


def make_room_for_programs() -> None:
    """Drop JAX's compiled programs where this process has most of the memory maps that the system (Linux) grants.

    XLA's programs on CPUs hold up to 2,500 maps for a molecule whose sizes are new, and a process that solves
    thirty of them would reach 65,530, where it is ended by a segmentation fault.
    """
    jax = sys.modules.get("jax")
    if jax is not None and _maps() > MOST_MAPS * _granted_maps():
        jax.clear_caches()


def _maps() -> int:
    """Memory maps of this process, zero where the system does not say."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0


def _granted_maps() -> int:
    try:
        return int(Path("/proc/sys/vm/max_map_count").read_text())
    except (OSError, ValueError):
        return 65_530
