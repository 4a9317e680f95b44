"""Tables on disk, and numbers that stand for objects of the host."""

import gc
import os
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import InputError, MemoryLimitError
from jqc.system.hosted import found, host_object
from jqc.system.scratch import Scratch


def test_columns_come_back_as_rows():
    numbers = np.random.default_rng(0).normal(size=(6, 7))
    table = Scratch(8, 9)
    table.write(0, numbers[:, :3])
    table.write(3, numbers[:, 3:])
    expected = np.zeros((8, 9))
    expected[:6, :7] = numbers
    np.testing.assert_array_equal(table.rows(0, 8), expected)
    np.testing.assert_array_equal(table.rows(2, 3), expected[2:5])
    with pytest.raises(EOFError):
        table.rows(6, 3)


def test_no_file_is_left(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = Scratch(100, 100)
    assert not any(tmp_path.iterdir())
    table.close()


def test_a_full_disk_is_told(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MemoryLimitError, match=r"no space left on device\); set TMPDIR"):
        Scratch(10, 10)


class Closed:
    count = 0

    def close(self):
        Closed.count += 1


def test_an_object_lives_as_long_as_its_number():
    content = Closed()
    handle = host_object(content)
    number = int(handle)
    assert found(handle) is content
    system = {"handle": handle}
    del handle
    gc.collect()
    assert found(np.int32(number)) is content
    del system
    gc.collect()
    assert Closed.count == 1
    with pytest.raises(InputError, match="gone"):
        found(np.int32(number))


def test_a_program_serves_another_object():
    class Table:
        def __init__(self, value):
            self.value = value

        def close(self):
            pass

    @jax.jit
    def double(handle):
        read = lambda handle: np.float64(found(handle).value)  # noqa: E731
        return 2 * jax.pure_callback(read, jax.ShapeDtypeStruct((), jnp.float64), handle)

    one, other = host_object(Table(1.5)), host_object(Table(4.0))
    assert float(double(one)) == 3.0
    assert float(double(other)) == 8.0
    assert double._cache_size() == 1
