"""Fluids of Lennard-Jones particles in reduced units."""

import numpy as np
import pytest

from jqc.md import NVE, LennardJones, begin


@pytest.fixture(scope="session")
def lattice():
    """n³ positions on a simple cubic lattice, a little off, and the edges of their box."""

    def make(n: int, density: float) -> tuple[np.ndarray, np.ndarray]:
        edge = n / density ** (1 / 3)
        places = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * edge / n
        return places + np.random.default_rng(0).normal(0, 0.02, places.shape), np.full(3, edge)

    return make


@pytest.fixture(scope="session")
def argon():
    return LennardJones(1.0, 1.0, cutoff=2.0)


@pytest.fixture(scope="session")
def fluid(argon, lattice):
    """A state of 125 atoms at ρ = 0.5 and T = 1.2."""
    positions, cell = lattice(5, 0.5)
    return begin(argon, NVE(), positions, np.ones(len(positions)), temperature=1.2, cell=cell, skin=0.3)
