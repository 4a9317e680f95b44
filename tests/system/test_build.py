"""From a molecule to a system: padding, names of fitting sets, core potentials, and what is refused."""

from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from pyscf import gto
from pyscf.scf import hf

from jqc.errors import BasisError, InputError, PrecisionError
from jqc.system import Molecule, build_system
from jqc.system.basis import make_mole, written

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

SAME_LIBRARY = 1e-12
"""The same integrals from the same library, added up in the same way."""


@cache
def system(name: str, **options):
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    return build_system(molecule, grid_level=0, **options)


def helium() -> Molecule:
    return Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])


# --- padding ---

MATRICES = ("overlap", "kinetic", "attraction", "dipole")


@pytest.mark.parametrize("matrix", MATRICES)
def test_padded_orbitals_are_zero_rows(matrix):
    benzene = system("benzene")
    n = int(benzene.n_ao)
    array = np.asarray(getattr(benzene, matrix))
    assert n < benzene.n_padded == array.shape[-1] == array.shape[-2]
    assert not array[..., n:, :].any()
    assert not array[..., :, n:].any()


def test_padded_atoms_carry_nothing():
    row = Molecule.from_arrays(["He"] * 17, [[0.0, 0.0, 4.0 * i] for i in range(17)])
    chain = build_system(row, "sto-3g", grid_level=0)
    absent = np.asarray(chain.numbers) == 0
    assert absent.sum() == len(chain.numbers) - 17
    assert absent.any()
    assert not np.asarray(chain.core_charges)[absent].any()


def test_padded_points_weigh_nothing():
    water = system("water")
    total = sum(int((np.asarray(g.weights) != 0).sum()) for g in water.groups)
    slots = sum(g.weights.size for g in water.groups)
    assert total < slots


@pytest.mark.parametrize(
    ("matrix", "name"), [("overlap", "int1e_ovlp"), ("kinetic", "int1e_kin"), ("dipole", "int1e_r")]
)
def test_matrices_equal_pyscf(matrix, name):
    water = system("water")
    mole = make_mole(water.molecule, "def2-svp")
    n = int(water.n_ao)
    np.testing.assert_allclose(
        np.asarray(getattr(water, matrix))[..., :n, :n], mole.intor(name), rtol=0, atol=SAME_LIBRARY
    )


def test_two_geometries_have_the_same_shapes():
    water = Molecule.from_xyz(MOLECULES / "water.xyz")
    moved = Molecule.from_arrays(
        water.numbers, np.asarray(water.coords) + np.array([[0, 0, 0.01], [0, 0, 0], [0, 0, 0]])
    )
    first, second = (build_system(m) for m in (water, moved))
    shapes = [[leaf.shape for leaf in jax.tree.leaves(s)] for s in (first, second)]
    assert shapes[0] == shapes[1]
    assert jax.tree.structure(first) == jax.tree.structure(second)


# --- the molecule comes back ---


@pytest.mark.parametrize(("charge", "spin"), [(0, 0), (1, 1), (-1, 1), (2, 0), (0, 2)])
def test_molecule_round_trip(charge, spin):
    water = Molecule.from_xyz(MOLECULES / "water.xyz", charge, spin)
    back = build_system(water, "sto-3g", grid_level=0).molecule
    assert (back.charge, back.spin) == (charge, spin)
    np.testing.assert_array_equal(back.numbers, water.numbers)
    np.testing.assert_array_equal(back.coords, water.coords)


def test_electrons_by_spin():
    assert system("o2").electrons.tolist() == [9, 7]


def test_nuclear_repulsion_equals_pyscf():
    water = system("water")
    assert float(water.nuclear_repulsion) == pytest.approx(
        make_mole(water.molecule, "def2-svp").energy_nuc(), abs=1e-13
    )


# --- fitting sets ---


@pytest.mark.parametrize(
    ("basis", "asked", "name"),
    [
        ("def2-svp", None, "def2-universal-jkfit"),
        ("def2-tzvp", None, "def2-universal-jkfit"),
        ("cc-pvdz", None, "even-tempered"),
        ("sto-3g", None, "even-tempered"),
        ("def2-svp", "even-tempered", "even-tempered"),
        ("cc-pvdz", "cc-pvdz-jkfit", "cc-pvdz-jkfit"),
    ],
)
def test_name_of_the_fitting_set(basis, asked, name):
    assert system("hcl", basis=basis, aux_basis=asked).aux_basis == name


def test_exact_integrals_have_no_fitting_set():
    assert system("hcl", coulomb="exact").aux_basis == "none"


# --- core potentials ---


@cache
def hydrogen_iodide():
    molecule = Molecule.from_arrays(["H", "I"], [[0.0, 0.0, 0.0], [0.0, 0.0, 3.04]])
    mole = gto.M(atom="H 0 0 0; I 0 0 3.04", unit="Bohr", basis="def2-svp", ecp={"I": "def2-svp"}, verbose=0)
    return molecule, mole, build_system(molecule, grid_level=0)


def test_core_potential_replaces_electrons():
    _, mole, system = hydrogen_iodide()
    assert mole.nelectron == 26
    assert int(system.electrons.sum()) == 26
    np.testing.assert_array_equal(np.asarray(system.core_charges)[:2], mole.atom_charges())


def test_core_potential_repulsion_and_hamiltonian():
    _, mole, system = hydrogen_iodide()
    n = mole.nao
    assert float(system.nuclear_repulsion) == pytest.approx(mole.energy_nuc(), abs=1e-13)
    np.testing.assert_allclose(
        (system.kinetic + system.attraction)[:n, :n], hf.get_hcore(mole), rtol=0, atol=SAME_LIBRARY
    )


def test_core_potential_keeps_the_molecule():
    molecule, _, system = hydrogen_iodide()
    assert (system.molecule.charge, system.molecule.spin) == (0, 0)
    assert system.molecule.symbols == molecule.symbols


def test_light_elements_keep_their_electrons():
    assert int(system("hcl").electrons.sum()) == 18


# --- a basis and a grid of one's own ---


def test_a_basis_written_out_is_the_basis():
    molecule, mole, named = hydrogen_iodide()
    given = build_system(molecule, written(mole), written(make_mole(molecule, "def2-universal-jkfit")), grid_level=0)
    for matrix in MATRICES:
        np.testing.assert_allclose(getattr(given, matrix), getattr(named, matrix), rtol=0, atol=SAME_LIBRARY)
    np.testing.assert_array_equal(given.electrons, named.electrons)
    np.testing.assert_allclose(given.repulsion[0.0], named.repulsion[0.0], rtol=0, atol=1e-10)


def test_a_basis_written_out_that_lacks_an_element():
    with pytest.raises(BasisError, match="has no functions for Ne"):
        build_system(Molecule.from_arrays(["Ne"], [[0.0, 0.0, 0.0]]), written(make_mole(helium(), "def2-svp")))


def test_a_grid_of_ones_own():
    points, weights = np.random.default_rng(1).normal(size=(50, 3)), np.arange(50.0)
    given = build_system(helium(), grid=(points, weights))
    coords = np.concatenate([np.asarray(g.coords).reshape(-1, 3) for g in given.groups])
    held = np.concatenate([np.asarray(g.weights).ravel() for g in given.groups])
    order = np.argsort(held[held > 0])
    np.testing.assert_array_equal(np.sort(held[held > 0]), weights[1:])  # a point without weight counts for nothing
    np.testing.assert_array_equal(coords[held > 0][order], points[1:])


# --- what is refused ---


@pytest.mark.parametrize(("points", "weights"), [((50, 3), (49,)), ((3, 50), (50,)), ((50, 3), (50, 1))])
def test_a_grid_of_other_shapes(points, weights):
    with pytest.raises(InputError, match="make no grid"):
        build_system(helium(), grid=(np.zeros(points), np.ones(weights)))


def test_unknown_basis_lists_the_nearest():
    with pytest.raises(BasisError, match=r"unknown basis 'def2-svpx'.*did you mean.*def2svp"):
        build_system(helium(), "def2-svpx")


def test_unknown_basis_unlike_any_other():
    with pytest.raises(BasisError, match="unknown basis 'qqqq'"):
        build_system(helium(), "qqqq")


def test_basis_that_lacks_an_element():
    molecule = Molecule.from_arrays(["H", "I"], [[0.0, 0.0, 0.0], [0.0, 0.0, 3.04]])
    with pytest.raises(BasisError, match="'cc-pvdz' has no functions for I"):
        build_system(molecule, "cc-pvdz")


def test_unknown_fitting_set():
    with pytest.raises(BasisError, match="unknown basis 'nonsense-jkfit'"):
        build_system(helium(), aux_basis="nonsense-jkfit")


def test_single_precision_is_refused_and_told_how_to_change_it():
    with jax.enable_x64(False), pytest.raises(PrecisionError, match="jax_enable_x64"):
        build_system(helium())


@pytest.mark.parametrize("coulomb", ["ri", "", None])
def test_unknown_coulomb_treatment(coulomb):
    with pytest.raises(InputError, match="choose 'df' or 'exact'"):
        build_system(helium(), coulomb=coulomb)


@pytest.mark.parametrize("level", [-1, 10, 3.5, "fine", None])
def test_grid_level_that_does_not_exist(level):
    with pytest.raises(InputError, match=r"choose 0 \(coarse\) to 9 \(fine\)"):
        build_system(helium(), grid_level=level)
