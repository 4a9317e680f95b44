"""Derivatives of a converged SCF by positions and basis parameters: whole SCFs, forces, unrolling, in every mode."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.scf import SCFSettings
from jqc.scf.energy import energy_parts
from jqc.scf.grassmann import point
from jqc.scf.implicit import relaxed_dm
from jqc.scf.occupation import aufbau
from jqc.scf.step import diagonalise
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.system.parameters import basis_parameters
from jqc.system.traced import traced_system

TIGHT = SCFSettings(energy_tolerance=1e-12, residual_tolerance=1e-9)

MOLECULES = {
    "water": (["O", "H", "H"], [[0.0, 0.0, 0.2], [0.0, 1.43, -0.9], [0.0, -1.43, -0.9]], 0, 0),
    "oh": (["O", "H"], [[0.0, 0.0, 0.2], [0.0, 0.0, -1.63]], 0, 1),
    "nh2": (["N", "H", "H"], [[0.0, 0.0, 0.1], [0.0, 1.5, -1.1], [0.0, -1.5, -1.1]], 0, 1),
    "heh": (["He", "H"], [[0.0, 0.0, 0.0], [0.0, 0.3, 1.4]], 1, 0),
    "nitrogen": (["N", "N"], [[0.0, 0.0, -1.05], [0.0, 0.0, 1.05]], 0, 0),
}


def build(name: str, basis: str, coords=None):
    symbols, own, charge, spin = MOLECULES[name]
    molecule = jqc.Molecule.from_arrays(symbols, own if coords is None else coords, charge=charge, spin=spin)
    return jqc.build_system(molecule, basis, grid_level=0)


@cache
def solution(name: str, basis: str, xc: str):
    return jqc.scf(build(name, basis), xc, settings=TIGHT).check()


@jax.jit
def relaxed_energy(functional, system, at):
    return jqc.energy(functional, system, relaxed_dm(functional, system, at, order=1))


def dipole_of(system, dm):
    return system.core_charges @ system.coords - jnp.einsum("xmn,smn->x", system.dipole, dm)


@jax.jit
def relaxed_dipole(functional, system, at):
    return dipole_of(system, relaxed_dm(functional, system, at, order=1))


@jax.jit
def relaxed_kinetic(functional, system, at):
    return jnp.einsum("mn,smn->", system.kinetic, relaxed_dm(functional, system, at, order=1))


def through(function, name: str, basis: str, xc: str):
    """A property of the relaxed solution as a function of positions and basis parameters."""
    result = solution(name, basis, xc)
    at = point(result.system, result.mo_coeff)

    def along(coords=None, parameters=None):
        return function(result.functional, traced_system(result.system, coords, parameters), at)

    return along


def by_whole_scfs(read, system_at, result, step: float):
    """Central difference of what is read off SCFs started from a solution."""
    found = [
        read(jqc.scf(system_at(sign * step), result.functional, guess=result.dm, settings=TIGHT).check())
        for sign in (1, -1)
    ]
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize(
    ("name", "basis", "xc"),
    [pytest.param("oh", "sto-3g", "b3lyp", marks=pytest.mark.slow), ("heh", "6-31g", "cam-b3lyp")],
)
def test_gradient_is_minus_the_forces(name, basis, xc):
    result = solution(name, basis, xc)
    slope = jax.grad(through(relaxed_energy, name, basis, xc))(result.system.molecule.coords)
    np.testing.assert_allclose(slope, -jqc.forces(result), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "basis", "xc"),
    [pytest.param("water", "sto-3g", "hf", marks=pytest.mark.slow), ("nh2", "sto-3g", "hf")],
)
def test_dipole_derivative_in_both_modes(name, basis, xc):
    """Against systems that `build_system` makes at displaced positions, restricted and unrestricted."""
    result = solution(name, basis, xc)
    coords = np.asarray(result.system.molecule.coords)
    function = through(relaxed_dipole, name, basis, xc)
    forward, reverse = jax.jacfwd(function)(coords), jax.jacrev(function)(coords)
    np.testing.assert_allclose(forward, reverse, rtol=0, atol=1e-8)
    direction = np.random.default_rng(0).normal(size=coords.shape)

    def displaced(shift):
        return build(name, basis, coords + shift * direction)

    expected = by_whole_scfs(lambda r: dipole_of(r.system, padded(r)), displaced, result, 1e-3)
    np.testing.assert_allclose(jnp.einsum("xay,ay->x", forward, direction), expected, rtol=0, atol=3e-6)


def padded(result):
    n, n_padded = result.dm.shape[-1], result.system.n_padded
    return jnp.pad(jnp.asarray(result.dm).reshape(-1, n, n), ((0, 0), *(((0, n_padded - n),) * 2)))


def test_hessian_by_positions():
    """`jax.hessian`, forward over reverse, against finite differences of forces."""
    result = solution("water", "sto-3g", "hf")
    coords = np.asarray(result.system.molecule.coords)
    hessian = jax.hessian(through(relaxed_energy, "water", "sto-3g", "hf"))(coords)
    n = coords.size
    np.testing.assert_allclose(hessian.reshape(n, n), hessian.reshape(n, n).T, rtol=0, atol=1e-7)
    direction = np.random.default_rng(1).normal(size=coords.shape)
    moved = lambda shift: build("water", "sto-3g", coords + shift * direction)  # noqa: E731
    expected = -by_whole_scfs(jqc.forces, moved, result, 1e-3)
    np.testing.assert_allclose(jnp.einsum("axby,by->ax", hessian, direction), expected, rtol=0, atol=1e-5)


def changed(parameters, symbol: str, shift, kind: str):
    """The first exponent or coefficient of an element's last shell but one, changed by a fraction."""
    shells = list(parameters[symbol])
    shell = shells[-2]
    scaled = getattr(shell, kind).at[0].multiply(1 + shift)
    shells[-2] = replace(shell, **{kind: scaled})
    return parameters | {symbol: tuple(shells)}


def by_pyscf(kind: str, symbol: str, step: float):
    """dE and d(dipole) by a basis parameter from PySCF's fitted Hartree–Fock with a basis of its own."""
    from pyscf import scf

    system = solution("water", "6-31g", "hf").system
    mole = make_mole(system.molecule, "6-31g")
    fitting = auxiliary_basis(mole, None)[0]
    found = []
    for sign in (1, -1):
        parameters = changed(basis_parameters(system), symbol, sign * step, kind)
        basis = {
            name: [[s.momentum, *np.column_stack([s.exponents, s.coefficients]).tolist()] for s in shells]
            for name, shells in parameters.items()
        }
        solver = scf.RHF(mole.copy().build(dump_input=False, basis=basis)).density_fit(auxbasis=fitting)
        solver.conv_tol, solver.conv_tol_grad = 1e-13, 1e-8
        energy = solver.kernel()
        found.append(np.array([energy, *solver.dip_moment(unit="au", verbose=0)]))
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize(("kind", "symbol"), [("exponents", "O"), ("coefficients", "O"), ("exponents", "H")])
def test_basis_parameters_against_pyscf(kind, symbol):
    """dE/dζ, dE/dc and those of the dipole, forward and reverse; normalisation changes along."""
    own = basis_parameters(solution("water", "6-31g", "hf").system)

    def along(function):
        property_at = through(function, "water", "6-31g", "hf")
        return lambda shift: property_at(None, changed(own, symbol, shift, kind))

    energy, moment = by_pyscf(kind, symbol, 1e-3)[0], by_pyscf(kind, symbol, 1e-3)[1:]
    assert float(jax.grad(along(relaxed_energy))(0.0)) == pytest.approx(energy, rel=1e-5, abs=1e-6)
    forward = jax.jvp(along(relaxed_dipole), (0.0,), (1.0,))[1]
    np.testing.assert_allclose(forward, moment, rtol=0, atol=2e-6)
    reverse = jax.grad(lambda shift: along(relaxed_dipole)(shift)[2])(0.0)
    assert float(reverse) == pytest.approx(float(forward[2]), abs=1e-9)


@pytest.mark.slow
def test_positions_and_parameters_together_on_the_grid():
    """HeH⁺ in PBE along one direction in both: dipole, and gradient (forward over reverse), against whole SCFs."""
    result = solution("heh", "6-31g", "pbe")
    own, coords = basis_parameters(result.system), np.asarray(result.system.molecule.coords)
    direction = np.random.default_rng(2).normal(size=coords.shape)

    def place(shift):
        return coords + shift * direction, changed(own, "He", shift, "exponents")

    def gradient(found, shift):
        at, parameters = point(found.system, found.mo_coeff), place(shift)[1]
        moved = lambda coords: traced_system(result.system, coords, parameters)  # noqa: E731
        return jax.grad(lambda coords: relaxed_energy(result.functional, moved(coords), at))(place(shift)[0])

    step = 4e-4
    ends = []
    for shift in (step, -step):
        moved = traced_system(result.system, *place(shift))
        found = jqc.scf(moved, result.functional, guess=result.dm, settings=TIGHT).check()
        ends.append((dipole_of(moved, padded(found)), gradient(found, shift)))
    expected = [(plus - minus) / (2 * step) for plus, minus in zip(*ends, strict=True)]
    energy, moment = (through(f, "heh", "6-31g", "pbe") for f in (relaxed_energy, relaxed_dipole))
    slope = jax.jvp(lambda shift: moment(*place(shift)), (0.0,), (1.0,))[1]
    np.testing.assert_allclose(slope, expected[0], rtol=0, atol=2e-6)
    second = jax.jvp(lambda shift: jax.grad(energy)(*place(shift)), (0.0,), (1.0,))[1]
    np.testing.assert_allclose(second, expected[1], rtol=0, atol=1e-5)


@partial(jax.jit, static_argnums=3)
def unrolled_dipole(functional, system, dm, iterations: int):
    """Plain Roothaan iterations, damped, differentiated as they stand; L⁻ᵀ, L Lᵀ = S, makes orbitals orthonormal."""
    basis = jnp.linalg.inv(jnp.linalg.cholesky(system.overlap)).T
    present = jnp.ones(system.n_padded, bool)

    def iterate(dm, _):
        fock = jax.grad(lambda dm: energy_parts(functional, system, dm).total)(dm)
        mo_energy, mo_coeff = diagonalise(basis.T @ fock @ basis, basis, present)
        filled = 2 * aufbau(mo_energy, system.electrons[:1])
        new = (mo_coeff * filled[:, None, :]) @ jnp.swapaxes(mo_coeff, -1, -2)
        return 0.7 * new + 0.3 * dm, None

    return dipole_of(system, jax.lax.scan(iterate, dm, None, length=iterations)[0])


@pytest.mark.parametrize(
    ("name", "basis", "xc"),
    [("water", "sto-3g", "hf"), pytest.param("heh", "6-31g", "pbe", marks=pytest.mark.slow)],
)
def test_implicit_is_unrolled(name, basis, xc):
    """The dipole along a direction in positions, exponents and coefficients, through 100 iterations."""
    result = solution(name, basis, xc)
    start = result.system.molecule.coords, basis_parameters(result.system)
    rng = np.random.default_rng(3)
    directions = [
        (rng.normal(size=start[0].shape), jax.tree.map(jnp.zeros_like, start[1])),
        (jnp.zeros(start[0].shape), jax.tree.map(lambda p: p * rng.normal(size=p.shape), start[1])),
    ]
    implicit = lambda place: through(relaxed_dipole, name, basis, xc)(*place)  # noqa: E731

    def unrolled(place):
        return unrolled_dipole(result.functional, traced_system(result.system, *place), padded(result), 100)

    for direction in directions:
        expected = jax.jvp(unrolled, (start,), (direction,))[1]
        found = jax.jvp(implicit, (start,), (direction,))[1]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * float(jnp.abs(expected).max()))


def test_degenerate_orbitals_do_no_harm():
    """The electrons' kinetic energy of N₂, whose π orbitals are degenerate: not variational, finite, symmetric."""
    result = solution("nitrogen", "sto-3g", "pbe")
    coords = np.asarray(result.system.molecule.coords)
    function = through(relaxed_kinetic, "nitrogen", "sto-3g", "pbe")
    slope = jax.grad(function)(coords)
    assert bool(jnp.isfinite(slope).all())
    axis = np.array([[0.0, 0.0, -0.5], [0.0, 0.0, 0.5]])
    moved = lambda shift: traced_system(result.system, coords + shift * axis)  # noqa: E731
    expected = by_whole_scfs(lambda r: jnp.sum(r.system.kinetic * padded(r)), moved, result, 1e-3)
    assert float(jnp.sum(slope * axis)) == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(slope[:, :2], 0, atol=1e-6)
