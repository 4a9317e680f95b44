"""Threads and memory that the process shares with others."""

import mmap
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from jqc import process
from jqc.process import make_room_for_programs, release_freed_memory, single_threaded_blas


def blas_threads() -> list[int]:
    np.linalg.eigh(np.eye(3))
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_blas_thread_inside_and_as_before_outside():
    before = blas_threads()
    with single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_threads_come_back_after_an_error():
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), single_threaded_blas():
        raise ZeroDivisionError
    assert blas_threads() == before


def resident() -> int:
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4096


def test_freed_memory_goes_back():
    pieces = [bytearray(60_000) for _ in range(2_000)]
    keep = pieces[-1]  # at the top of the heap, so that the C library cannot shrink it by itself
    del pieces
    before = resident()
    release_freed_memory()
    assert before - resident() > 50_000_000
    assert len(keep) == 60_000


FAULTS = """
import resource, sys, threading
from jqc.process import keep_freed_memory

def faults_of_a_large_piece():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=lambda: b"x" * 80_000_000)
    thread.start()
    thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(3):
    faults = faults_of_a_large_piece()
print(faults)
"""
"""Prints how many pages the system maps for memory that was freed just before, by another thread."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no glibc")
def test_freed_memory_is_kept():
    mapped = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how], text=True)) for how in ("kept", "not")
    }
    assert mapped["kept"] < 100 < 1000 < mapped["not"]


def test_programs_make_room_where_memory_maps_run_short(monkeypatch):
    double = jax.jit(lambda x: jnp.sin(2 * x))
    double(1.0)
    monkeypatch.setattr(process, "_granted_maps", lambda: 3 * process._maps())
    make_room_for_programs()
    assert double._cache_size() == 1
    monkeypatch.setattr(process, "_granted_maps", process._maps)
    make_room_for_programs()
    assert double._cache_size() == 0
    assert double(1.0) == pytest.approx(np.sin(2.0))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_memory_maps_are_counted():
    before = process._maps()
    pages = [mmap.mmap(-1, mmap.PAGESIZE, prot=prot) for prot in 20 * (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_EXEC)]
    assert process._maps() > before + 10
    assert process._granted_maps() > process._maps()
    assert len(pages) == 40
