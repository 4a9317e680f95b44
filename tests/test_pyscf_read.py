"""PySCF's mean-field objects in jqc: the energy of their density is the one that PySCF finds."""

from pathlib import Path

import numpy as np
import pytest
from pyscf import dft, gto, scf

import jqc
import jqc.pyscf
from jqc.errors import InputError
from jqc.response import forces
from jqc.scf import SCFSettings
from jqc.system import Molecule, System, with_range

MOLECULES = Path(__file__).parents[1] / "examples/molecules"

ENERGY = 1e-8
"""Hartree; the same points, integrals and density."""

SLOPE = 1e-6
"""Hartree/bohr."""

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)


def mole(name: str, **options):
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    return gto.M(**{"atom": atoms, "unit": "Bohr", "basis": "def2-svp", "spin": molecule.spin, "verbose": 0} | options)


def kohn_sham(name: str, xc: str, restricted=True, **options):
    mf = (dft.RKS if restricted else dft.UKS)(mole(name, **options), xc=xc)
    mf.grids.level = 1
    return mf


def custom_grid():
    mf = kohn_sham("water", "pbe").density_fit(auxbasis="def2-universal-jkfit")
    mf.grids.atom_grid, mf.grids.prune = {"O": (30, 110), "H": (25, 86)}, None
    return mf


def custom_basis(xc: str):
    """Another basis for each element, a core potential, and the fitting set that PySCF finds for them."""
    basis = {"H": gto.basis.load("6-311g**", "H"), "I": "def2-svp"}
    mf = dft.RKS(gto.M(atom="H 0 0 0; I 0 0.2 1.6", basis=basis, ecp={"I": "def2-svp"}, verbose=0), xc=xc)
    mf.grids.level = 1
    return mf.density_fit()


GIVEN = {
    "fitted": lambda: kohn_sham("water", "pbe").density_fit(auxbasis="def2-universal-jkfit"),
    "default fitting set": lambda: kohn_sham("oh", "b3lyp", False, basis="cc-pvdz").density_fit(),
    "exact": lambda: kohn_sham("water", "r2scan", basis="6-31g"),
    "unrestricted": lambda: kohn_sham("oh", "b3lyp", False, basis="6-31g"),
    "range-separated": lambda: kohn_sham("water", "hse06", basis="6-31g"),
    "symmetric": lambda: kohn_sham("water", "pbe", basis="6-31g", symmetry=True),
    "cation": lambda: kohn_sham("water", "pbe", False, basis="6-31g", charge=1, spin=1),
    "own grid": custom_grid,
    "own basis": lambda: custom_basis("wb97x"),
    "restricted open shell": lambda: dft.ROKS(mole("oh", basis="6-31g"), xc="lda,vwn"),
    "Hartree-Fock": lambda: scf.RHF(mole("water")).density_fit(auxbasis="def2-universal-jkfit"),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_jqc_finds_pyscfs_energy(kind):
    mf = GIVEN[kind]()
    mf.max_cycle = 4  # a density need not be converged
    mf.kernel()
    xc = jqc.functional(getattr(mf, "xc", "hf"))
    system = with_range(jqc.pyscf.system(mf), tuple(omega for omega, _ in xc.exchange))
    dm = jqc.pyscf.density(mf)
    assert float(jqc.energy(xc, system, dm)) == pytest.approx(mf.energy_tot(dm), abs=ENERGY)


def test_names_are_kept_where_they_say_it_all():
    fitted: System = jqc.pyscf.system(GIVEN["fitted"]())
    assert (fitted.basis, fitted.aux_basis, fitted.coulomb) == ("def2-svp", "def2-universal-jkfit", "df")
    assert jqc.pyscf.system(GIVEN["exact"]()).coulomb == "exact"


def test_a_basis_written_out_serves_forces():
    mf = custom_basis("pbe")
    mf.conv_tol, mf.conv_tol_grad = 1e-11, 1e-7
    mf.kernel()
    result = jqc.scf(jqc.pyscf.system(mf), "pbe", jqc.pyscf.density(mf), settings=TIGHT)
    assert result.energy == pytest.approx(mf.e_tot, abs=ENERGY)
    np.testing.assert_allclose(forces(result), -mf.nuc_grad_method().kernel(), rtol=0, atol=SLOPE)


def test_nothing_is_built_in_the_object():
    mf = kohn_sham("water", "pbe", basis="6-31g")
    jqc.pyscf.system(mf)
    assert mf.grids.coords is None


# --- what is refused ---


def periodic():
    from pyscf.pbc import gto as pbc_gto
    from pyscf.pbc import scf as pbc_scf

    return pbc_scf.RHF(pbc_gto.M(atom="He", a=np.eye(3) * 4, basis="sto-3g", verbose=0))


def small(**options):
    return gto.M(**{"atom": "He", "basis": "sto-3g", "verbose": 0} | options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (periodic, "is periodic"),
        (lambda: scf.GHF(small()), "received GHF"),
        (lambda: scf.RHF(small(cart=True)), "Cartesian"),
        (lambda: scf.RHF(small(atom="He 0 0 0; ghost-He 0 0 2")), r"ghost atoms \(GHOST-He\)"),
        (lambda: scf.RHF(small()).PCM(), "solvent"),
        (lambda: scf.RHF(small(atom="Ar", basis="6-31g")).x2c(), "Hamiltonian is not the molecule's own"),
        (lambda: scf.RHF(small()).density_fit(only_dfj=True), "differently"),
        (
            lambda: scf.RHF(small(atom="He1 0 0 0; He2 0 0 2", basis={"He1": "sto-3g", "He2": "6-31g"})),
            "He carry different functions",
        ),
    ],
)
def test_objects_that_jqc_cannot_take(make, message):
    with pytest.raises(InputError, match=message):
        jqc.pyscf.system(make())


def test_no_density_yet():
    with pytest.raises(InputError, match=r"run mf\.kernel\(\) first"):
        jqc.pyscf.density(scf.RHF(small()))
