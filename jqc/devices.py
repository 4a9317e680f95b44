"""Devices as one mesh, of this process or of a group of processes, and where arrays lie on it.

A program of arrays on a mesh means what it means on one device, wherever its arrays lie; only rounding may differ,
since sums are made in another order.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "device"
"""The mesh's one axis."""


def mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of some devices, or of all that this process and those of its group have.

    >>> mesh(jax.devices()[:1]).size
    1
    """
    return Mesh(np.array(jax.devices() if devices is None else devices), (AXIS,))


def one_device() -> Mesh:
    """A mesh of the device that JAX would use by itself."""
    return mesh(list(jnp.zeros(()).devices()))


def everywhere(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Copies of host arrays, whole on every device; each process of a group gives the same."""
    return _placed(jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree), everywhere(mesh))


def divided(tree: Any, mesh: Mesh) -> Any:
    """Host arrays with their rows shared out among the devices, or whole on each where there is no even share.

    Each process of a group gives all rows, and copies to its devices what falls to them.
    """
    rows = {np.shape(leaf)[0] for leaf in jax.tree.leaves(tree)}
    even = all(count % mesh.size == 0 for count in rows)
    return _placed(tree, NamedSharding(mesh, PartitionSpec(AXIS)) if even else everywhere(mesh))


def _placed(tree: Any, sharding: NamedSharding) -> Any:
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def placed(leaf: Any) -> jax.Array:
        leaf = np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

    return jax.tree.map(placed, tree)
