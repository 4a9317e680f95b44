"""Orbital values on the grid, kept where memory allows: the fastest quadrature is one that evaluates nothing."""

from dataclasses import replace

import jax
import numpy as np

from jqc.programs import compiled
from jqc.system.blocks import BlockGroup, group_orbitals
from jqc.system.build import System
from jqc.timing import stage

_evaluate = jax.jit(group_orbitals)


def keep_orbitals(system: System, budget: int | None = None) -> System:
    """The system with φ and ∇φ on the grid evaluated, group by group (narrow ones first), within a budget of bytes.

    `scf` does so by itself for as long as it runs; do it where `energy` is called many times at one geometry.
    Positions are no longer differentiable through what is kept. The budget is the system's own, or a smaller one.
    """
    within = _within(system, budget)
    programs = [compiled(_evaluate, system.shells, system.coords, group) for group in within]
    with stage("grid"):
        kept = [
            replace(group, orbitals=program(system.shells, system.coords, group))
            for program, group in zip(programs, within, strict=True)
        ]
        return jax.block_until_ready(replace(system, groups=(*kept, *system.groups[len(kept) :])))


def evaluated(system: System, budget: int) -> System:
    """What `keep_orbitals` returns, as a function to be compiled into a program."""
    kept = [
        replace(group, orbitals=group_orbitals(system.shells, system.coords, group))
        for group in _within(system, budget)
    ]
    return replace(system, groups=(*kept, *system.groups[len(kept) :]))


def kept_shapes(system: System, budget: int | None = None) -> System:
    """What `keep_orbitals` would return, with a shape in place of each kept array: programs are compiled for it."""
    shape = lambda group: jax.ShapeDtypeStruct(_shape(group), group.dtype)  # noqa: E731
    kept = [replace(group, orbitals=shape(group)) for group in _within(system, budget)]
    return replace(system, groups=(*kept, *system.groups[len(kept) :]))


def orbital_bytes(group: BlockGroup) -> int:
    """Memory that the orbitals of a group take."""
    blocks, rows, components, points = _shape(group)
    return np.dtype(group.dtype).itemsize * blocks * rows * components * points


def granted(system: System, budget: int | None = None) -> int:
    """Bytes for kept orbitals: the system's own budget, or a smaller one."""
    return system.orbital_bytes if budget is None else min(system.orbital_bytes, budget)


def kept_bytes(system: System, budget: int | None = None) -> int:
    """Memory that `keep_orbitals` would take."""
    return sum(map(orbital_bytes, _within(system, budget)))


def _shape(group: BlockGroup) -> tuple[int, int, int, int]:
    blocks, rows = group.index.shape
    return blocks, rows, 4, group.weights.shape[1]


def _within(system: System, budget: int | None) -> list[BlockGroup]:
    """Leading groups that fit the budget together, without their orbitals."""
    kept, left = [], granted(system, budget)
    for group in system.groups:
        left -= orbital_bytes(group)
        if left < 0:
            break
        kept.append(replace(group, orbitals=None))
    return kept
