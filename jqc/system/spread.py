"""One molecule on many devices: blocks of points and fitting functions are shared out, matrices are on every device."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jqc.errors import InputError
from jqc.system.blocks import BlockGroup
from jqc.system.build import System
from jqc.system.factors import Factor, Screened, Streamed
from jqc.typing import Array


def spread(system: System, mesh: Mesh) -> System:
    """The system on the devices of a mesh of one axis; what is computed from it is, too.

    Every device evaluates the density on its own blocks of points and sums over its own fitting functions; sums over
    devices are all that travels. Energies differ by rounding.

    Raises
    ------
    InputError
        Integrals that are streamed from one host, or seminumerical exchange.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> on_all = spread(helium, jax.sharding.Mesh(jax.devices(), "device"))
    >>> bool(abs(jqc.scf(on_all, "pbe").energy - jqc.scf(helium, "pbe").energy) < 1e-9)
    True
    """
    if _needs_host(system):
        raise InputError(
            "integrals that the host streams or makes in every pass cannot be spread over devices; grant more memory, "
            "or build the system with exchange='df' or 'none'."
        )
    whole, own = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    groups, coarse = (tuple(_blocks(group, mesh, own) for group in each) for each in (system.groups, system.coarse))
    repulsion = {omega: _rows(factor, mesh, own, whole) for omega, factor in system.repulsion.items()}
    rest = jax.device_put(replace(system, groups=(), coarse=(), repulsion={}), whole)
    return replace(rest, groups=groups, coarse=coarse, repulsion=repulsion)


def is_local(system: System) -> bool:
    """Whether all of a system lies on one device."""
    return not _needs_host(system) and not any(group.mesh for group in system.groups)


def _needs_host(system: System) -> bool:
    """Whether the host takes part in every pass."""
    return system.on_grid is not None or any(isinstance(factor, Streamed) for factor in system.repulsion.values())


def _blocks(group: BlockGroup, mesh: Mesh, own: NamedSharding) -> BlockGroup:
    """A group with empty blocks up to an even share; they repeat the last one's points at weight zero."""
    missing = -group.weights.shape[0] % mesh.size
    padded = jax.tree.map(lambda leaf: _repeated(leaf, missing), replace(group, orbitals=None))
    padded = replace(padded, weights=padded.weights.at[len(padded.weights) - missing :].set(0.0), mesh=mesh)
    return jax.device_put(padded, own)


def _rows(factor: Factor, mesh: Mesh, own: NamedSharding, whole: NamedSharding) -> Screened:
    """A factor with rows of zeros up to an even share."""
    assert not isinstance(factor, Streamed)
    rows = factor.rows if isinstance(factor, Screened) else factor
    pairs = factor.pairs if isinstance(factor, Screened) else jnp.arange(rows.shape[1])
    rows = jnp.pad(rows, ((0, -rows.shape[0] % (8 * mesh.size)), (0, 0)))
    return Screened(jax.device_put(rows, own), jax.device_put(pairs, whole), mesh)


def _repeated(leaf: Array, times: int) -> Array:
    return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], times, axis=0)])
