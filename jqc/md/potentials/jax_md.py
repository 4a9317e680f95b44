"""Energies of jax-md, with lists of neighbours that this package keeps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jqc.md.neighbours import Neighbours
from jqc.md.space import Cell
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class JaxMD:
    """An `energy_fn(positions, neighbor, **parameters)` of jax-md, in its dense format, or without `neighbor`.

    `parameters` are handed over by name. A cell goes to energies of a box that may change, as `box`, with `moving`;
    else it is the one that the energy's displacement was made with.

    A cutoff in an energy of jax-md is a number inside of a function: give the same here.
    """

    energy_fn: Callable[..., Float[Array, ""]] = field(metadata={"static": True})
    parameters: dict[str, Any] = field(default_factory=dict)
    cutoff: float | None = field(default=None, metadata={"static": True})
    moving: bool = field(default=False, metadata={"static": True})

    def energy(self, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None) -> Float[Array, ""]:
        """What jax-md's function gives."""
        box = {"box": cell} if self.moving else {}
        listed = {} if neighbours is None else {"neighbor": _dense(neighbours)}
        return jnp.asarray(self.energy_fn(positions, **listed, **box, **self.parameters))


def _dense(neighbours: Neighbours) -> Any:
    """The list as one of jax-md's."""
    from jax_md import partition

    make: Any = partition.NeighborList
    error: Any = partition.PartitionError
    return make(
        idx=neighbours.index,
        reference_position=neighbours.reference,
        error=error(jnp.zeros((), jnp.uint8)),
        cell_list_capacity=None,
        max_occupancy=neighbours.index.shape[1],
        format=partition.NeighborListFormat.Dense,
        cell_size=None,
        cell_list_fn=None,
        update_fn=None,
    )
