"""States in files, from which a simulation goes on as if it had never been stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jqc.archive import read_arrays, write_arrays
from jqc.errors import InputError
from jqc.md.neighbours import Neighbours
from jqc.md.state import State

_SEARCH = "search"
"""Name of what a list of neighbours knows beside its arrays."""


def save(path: Path, state: State) -> None:
    """Write a state; the file is replaced as a whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_arrays(path, _arrays(state))


def load(path: Path, like: State) -> State:
    """A state that was saved; `like` is a first state of the same simulation.

    Raises:
        InputError: one of another simulation.
        StoreError: no file, or a damaged one.
    """
    saved = read_arrays(path)
    if _SEARCH in saved and like.neighbours is not None:
        like = replace(like, neighbours=_searched(like.neighbours, saved[_SEARCH]))
    expected = _arrays(like)
    if saved.keys() != expected.keys():
        odd = sorted(saved.keys() ^ expected.keys())[0]
        raise InputError(f"{path} is of another simulation (only one of them has {odd!r}); give the same settings.")
    for name, array in saved.items():
        other = expected[name]
        listed = name.startswith(".neighbours.index")
        if array.dtype != other.dtype or (array.shape != other.shape and not (listed and len(array) == len(other))):
            raise InputError(
                f"{path} is of another simulation ({name} has shape {array.shape}, not {other.shape}); give the same "
                "settings."
            )
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    return structure.unflatten([_as_leaf(saved[jax.tree_util.keystr(at)], leaf) for at, leaf in paths])


def _arrays(state: State) -> dict[str, np.ndarray]:
    """Leaves by where they are in the state; keys as their numbers."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    found = {jax.tree_util.keystr(at): _numbers(leaf) for at, leaf in leaves}
    if state.neighbours is not None:
        found[_SEARCH] = np.asarray([*(state.neighbours.grid or (0, 0, 0)), state.neighbours.most])
    return found


def _numbers(leaf: Any) -> np.ndarray:
    is_key = jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _as_leaf(array: np.ndarray, like: Any) -> jax.Array:
    if jnp.issubdtype(jnp.asarray(like).dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    return jnp.asarray(array)


def _searched(neighbours: Neighbours, search: np.ndarray) -> Neighbours:
    x, y, z, most = (int(number) for number in search)
    return replace(neighbours, grid=(x, y, z) if x else None, most=most)
