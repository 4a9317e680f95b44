"""Orbital values on the grid, kept where memory allows: the fastest quadrature is one that evaluates nothing."""

from dataclasses import replace

import jax
import numpy as np

from jqc.process import release_freed_memory
from jqc.system.blocks import BlockGroup, group_orbitals
from jqc.system.build import System
from jqc.timing import stage

_evaluate = jax.jit(group_orbitals)


def keep_orbitals(system: System) -> System:
    """The system with φ and ∇φ on the grid evaluated, group by group (narrow ones first), as long as memory lasts.

    `scf` does so by itself for as long as it runs; do it where `energy` is called many times at one geometry.
    Positions are no longer differentiable through what is kept.
    """
    with stage("compile"):
        programs = [_evaluate.lower(system.shells, system.coords, group).compile() for group in _within(system)]
    # What compiling has left behind is handed back before the largest arrays of all are made.
    release_freed_memory()
    with stage("grid"):
        kept = [
            replace(group, orbitals=program(system.shells, system.coords, group))
            for program, group in zip(programs, _within(system), strict=True)
        ]
        return jax.block_until_ready(replace(system, groups=(*kept, *system.groups[len(kept) :])))


def kept_shapes(system: System) -> System:
    """What `keep_orbitals` would return, with a shape in place of each kept array: programs are compiled for it."""
    kept = [replace(group, orbitals=jax.ShapeDtypeStruct(_shape(group), group.dtype)) for group in _within(system)]  # pyright: ignore[reportArgumentType]
    return replace(system, groups=(*kept, *system.groups[len(kept) :]))


def orbital_bytes(group: BlockGroup) -> int:
    """Memory that the orbitals of a group take."""
    blocks, rows, components, points = _shape(group)
    return np.dtype(group.dtype).itemsize * blocks * rows * components * points


def _shape(group: BlockGroup) -> tuple[int, int, int, int]:
    blocks, rows = group.index.shape
    return blocks, rows, 4, group.weights.shape[1]


def _within(system: System) -> list[BlockGroup]:
    """Leading groups that fit the budget together, without their orbitals."""
    kept, budget = [], system.orbital_bytes
    for group in system.groups:
        budget -= orbital_bytes(group)
        if budget < 0:
            break
        kept.append(replace(group, orbitals=None))
    return kept
