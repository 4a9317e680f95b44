"""What arrays share with the rest of the process: threads of linear algebra libraries, memory of the C library."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """One BLAS thread inside this context.

    XLA calls LAPACK for eigenvectors on CPUs. OpenBLAS lets its threads spin for some 30 ms after every call, on cores
    that XLA's next product needs; for a hundred orbitals that was a third of an SCF iteration.
    """
    from threadpoolctl import ThreadpoolController

    with ThreadpoolController().limit(limits=1, user_api="blas"):
        yield


def release_freed_memory() -> None:
    """Hand memory that was freed back to the system, where the C library is one that keeps it (glibc).

    A compiler leaves some 0.3 GB of small free pieces behind, which no large array ever uses.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
