"""Molecules of one shape in one program: slots that iterate together until one of them ends and is refilled.

`exchange` takes a state out of a slot and starts another molecule there, `advance_slots` iterates. Slots are spread
over the devices of a mesh, each of which goes on by itself until one of its own slots ends.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as Spec

from jqc.scf.drive import going
from jqc.scf.step import SCFSettings, SCFState, iterate, start
from jqc.system import System
from jqc.system.keep import evaluated
from jqc.typing import Array, Bool, Float, Int
from jqc.xc.base import Functional
from jqc.xc.quadrature import read_by


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Slots:
    """Systems with what is kept of them, and their states, along a slot axis; slots that are not `busy` wait."""

    system: System
    state: SCFState
    busy: Bool[Array, "slot"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Start:
    """What slots begin with, one for each device: a system and the density to start from, where one is `given`."""

    system: System
    dm: Float[Array, "device spin ao ao"]
    slot: Int[Array, "device"]
    given: Bool[Array, "device"]


def _over(mesh: Mesh, function, n_shared: int, n_spread: int, n_out: int):
    """A function of shared arguments and of arguments with a leading axis over the mesh, on each device by itself."""
    spread = Spec(mesh.axis_names)
    specs = (*[Spec()] * n_shared, *[spread] * n_spread)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=(spread,) * n_out, check_vma=False)


def _begin(functional, starter, system, dm, settings, budget) -> tuple[System, SCFState]:
    kept = evaluated(system, budget)
    return kept, start(starter, kept, dm, settings, read_by(functional))


_ONE = partial(jax.tree.map, lambda leaf: leaf[0])


@partial(jax.jit, static_argnames=("mesh", "width", "budget"))
def empty(
    functional: Functional,
    starter: Functional,
    given: Start,
    settings: SCFSettings,
    mesh: Mesh,
    width: int,
    budget: int,
) -> Slots:
    """Slots for systems of these shapes, `width` on each device."""

    def zeros(functional, starter, settings, given):
        begin = partial(_begin, budget=budget)
        shapes = jax.eval_shape(begin, functional, starter, _ONE(given.system), given.dm[0], settings)
        system, state = jax.tree.map(lambda leaf: jnp.zeros((width, *leaf.shape), leaf.dtype), shapes)
        return (Slots(system, state, jnp.zeros(width, bool)),)

    return _over(mesh, zeros, 3, 1, 1)(functional, starter, settings, given)[0]


@partial(jax.jit, static_argnames=("mesh", "budget"), donate_argnames="slots")
def exchange(
    functional: Functional,
    starter: Functional,
    slots: Slots,
    given: Start,
    settings: SCFSettings,
    mesh: Mesh,
    budget: int,
) -> tuple[Slots, SCFState]:
    """Take the state of one slot on each device out, and start what is given in its place."""

    def replaced(functional, starter, settings, slots, given):
        slot = given.slot[0]
        out = jax.tree.map(lambda leaf: leaf[slot][None], slots.state)

        def begin(slots):
            new = _begin(functional, starter, _ONE(given.system), given.dm[0], settings, budget)
            system, state = jax.tree.map(lambda all, one: all.at[slot].set(one), (slots.system, slots.state), new)
            return Slots(system, state, slots.busy)

        filled = jax.lax.cond(given.given[0], begin, lambda slots: slots, slots)
        return Slots(filled.system, filled.state, filled.busy.at[slot].set(given.given[0])), out

    return _over(mesh, replaced, 3, 2, 2)(functional, starter, settings, slots, given)


@partial(jax.jit, static_argnames=("n_occ", "mesh"), donate_argnames="slots")
def advance_slots(
    functional: Functional,
    slots: Slots,
    settings: SCFSettings,
    patience: Int[Array, ""],
    limit: Int[Array, ""],
    n_occ: int,
    mesh: Mesh,
) -> tuple[Slots, Bool[Array, "slot"]]:
    """DIIS in all busy slots until one on each device has converged, stalled or spent its iterations; which have."""

    def until_one_ends(functional, settings, patience, limit, slots):
        live = lambda state: slots.busy & jax.vmap(lambda each: going(each, patience, limit))(state)  # noqa: E731
        step = jax.vmap(lambda system, state: iterate(functional, system, state, settings, n_occ))

        def iterated(state):
            kept = live(state)
            choose = lambda new, old: jnp.where(kept.reshape(-1, *[1] * (new.ndim - 1)), new, old)  # noqa: E731
            return jax.tree.map(choose, step(slots.system, state), state)

        def none_ended(state):
            return jnp.any(slots.busy) & jnp.all(live(state) == slots.busy)

        state = jax.lax.while_loop(none_ended, iterated, slots.state)
        return Slots(slots.system, state, slots.busy), slots.busy & ~live(state)

    return _over(mesh, until_one_ends, 4, 1, 2)(functional, settings, patience, limit, slots)
