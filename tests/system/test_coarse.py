"""The rougher quadrature: who has one, and what it integrates."""

import numpy as np
import pytest

from jqc.system import build_system
from jqc.system.basis import make_mole
from jqc.system.coarse import coarse_grid
from jqc.system.grid import molecular_grid
from jqc.system.lengths import lengths_of


def points(groups):
    return sum(int((np.asarray(group.weights) != 0).sum()) for group in groups)


def test_molecules_for_which_it_pays_have_one(example, water):
    ethanol = build_system(example("ethanol"))
    assert 0 < points(ethanol.coarse) < 0.2 * points(ethanol.groups)
    assert not build_system(water).coarse
    assert not build_system(example("ethanol"), grid_level=1).coarse


def test_a_grid_of_ones_own_stands_alone(example):
    molecule = example("ethanol")
    grid = molecular_grid(make_mole(molecule, "def2-svp"), 3, 72)
    assert not build_system(molecule, grid=(grid.coords, grid.weights)).coarse


def test_lengths_decide(example, water, monkeypatch):
    """So that what shares programs has the same quadratures."""
    ethanol = build_system(example("ethanol"))
    again = build_system(example("ethanol"), like=ethanol)
    assert lengths_of(again) == lengths_of(ethanol)
    alone = build_system(water)
    monkeypatch.setattr("jqc.system.coarse.pays", lambda *_: True)
    assert build_system(water).coarse
    assert not build_system(water, like=alone).coarse


@pytest.mark.parametrize("name", ["ethanol", "hcl"])
def test_it_counts_electrons(example, name):
    """To two in a thousand, with free atoms' densities: enough to be corrected."""
    mole = make_mole(example(name), "def2-svp")
    grid = coarse_grid(mole, mole.nao)
    orbitals = mole.eval_gto("GTOval", grid.coords)
    from pyscf.scf.hf import init_guess_by_minao

    density = np.einsum("gi,ij,gj->g", orbitals, init_guess_by_minao(mole), orbitals)
    assert grid.weights @ density == pytest.approx(mole.nelectron, rel=2e-3)
