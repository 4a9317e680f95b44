"""Objects of the host that compiled programs reach through a number: open files, PySCF's workspaces.

A program is keyed on the shapes of its arguments, so that it cannot hold an object itself: it would be compiled anew
for every molecule, and keep the object for good. What travels through it is an array with the object's number.
"""

import itertools
import weakref
from typing import Any

import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.typing import Array, Int

_objects: dict[int, Any] = {}
_numbers = itertools.count(1)


def host_object(content: Any) -> Int[Array, ""]:
    """A number that stands for an object as long as the returned array lives; `content.close()` is called then."""
    number = next(_numbers)
    _objects[number] = content
    handle = jnp.asarray(number, jnp.int32)
    weakref.finalize(handle, _forget, number)
    return handle


def _forget(number: int) -> None:
    _objects.pop(number).close()


def found(handle: np.ndarray | Array) -> Any:
    """The object behind a number.

    Raises:
        InputError: it is gone, or belongs to another process.
    """
    number = int(handle)
    if number not in _objects:
        raise InputError("what this system keeps on the host is gone; keep the system that build_system returned.")
    return _objects[number]
