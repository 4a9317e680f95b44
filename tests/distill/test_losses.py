"""Losses: slopes against finite differences, nothing left where student and teacher are one, and what changes nothing.

Few programs serve most tests: all losses without integrals, and the SCF's, of a functional of one parameter; the former
of a small network as well.
"""

from dataclasses import dataclass, replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from pyscf.gto.mole import ao_rotation_matrix
from scipy.spatial.transform import Rotation
from scipy.stats import ortho_group

import jqc
from jqc.distill.config import LOSSES
from jqc.distill.example import make_example, stack, with_integrals
from jqc.distill.labels import LabelSettings, label
from jqc.distill.losses import DILoss, SCFLoss
from jqc.errors import InputError
from jqc.scf import SCFSettings, grassmann
from jqc.system import build_system
from jqc.system.basis import make_mole
from jqc.system.lengths import lengths_needed
from jqc.xc import registry
from jqc.xc.base import integrate
from jqc.xc.neural.architectures import create

SLOPE = 1e-6
"""Relative, of derivatives along a direction; what differences of fourth order leave, and an SCF's residual."""

STEP = 2e-3

LEAST_SLOPE = 1e-7
"""Below it there would be little to compare."""

SAME = 1e-9
"""Relative to the largest; sums in another order, and integrals in another frame."""

SOLVED = 1e-9
"""Hartree and 1/bohr³: what a solution converged to 1e-7 leaves of losses that are its squares."""

LEFT = 1e-8
"""Of slopes, which are linear in what two solutions differ by: 2ΔE/s per electron times exchange of 8 hartree, where
sums in another order make ΔE up to 5e-12 hartree, s is 1e-3 and water has ten electrons."""

KEY = jax.random.key(3)

RELAXED = DILoss(density=0.0, gradient=0.0, hessian=0.0, relaxed=True)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ScaledSlater:
    """Exchange of the uniform gas times a parameter."""

    scale: jax.Array
    ingredients = "rho"
    exchange = ()
    local = True

    def energy(self, density, quadrature):
        rho = jnp.maximum(density.rho, 1e-15)
        return integrate(-0.930525736349100 * self.scale * jnp.sum(rho ** (4 / 3), axis=0), quadrature)


def network(seed: int):
    """A small network in double precision, with random numbers on what starts as zero."""
    flat, back = ravel_pytree(create("xcdiff", jax.random.key(seed), width=4, depth=1))
    noise = 0.2 * np.random.default_rng(seed).normal(size=flat.size)
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), back(flat + noise.astype(np.float32)))


def slater(scale: float) -> ScaledSlater:
    return ScaledSlater(jnp.asarray(scale))


TEACHERS = {"test-network": network(7), "test-slater": slater(1.05)}


@pytest.fixture(scope="module")
def teachers():
    """Functionals that labels can be made with, known by name as long as this file's tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_registered", dict(registry._registered))
        for name, teacher in TEACHERS.items():
            registry.register(name, teacher)
        yield


@pytest.fixture(scope="module")
def examples(water, labels, example_of, teachers):
    """Water as a teacher solves it, by the teacher's name, with integrals."""

    def arrays_of(name):
        settings = LabelSettings(name, grid_level=0)
        return labels if name == "b3lyp" else {k: array for k, (array, _) in label(water, "water", settings).items()}

    return cache(lambda name: with_integrals(example_of(arrays_of(name), water), water, "def2-svp"))


@jax.jit
def without_integrals(student, teacher, example):
    """DI-Loss, its terms alone, both alternatives without integrals, and their slopes by the student's parameters."""

    def values(student):
        total, terms = DILoss()(student, teacher, example, KEY)
        names = ("commutator", "perturbative")
        losses = {name: LOSSES[name](student, teacher, example, KEY)[0] for name in names}
        losses["relaxed"] = RELAXED(student, teacher, example, KEY)[0]
        return {"e-rho-grad-hess": total} | losses | terms

    return values(student), jax.jacrev(values)(student)


@jax.jit
def through_the_scf(student, teacher, example):
    """Loss, each of its terms alone, and their slopes; `unsolved` tells whether they are estimates."""

    def values(student):
        total, terms = SCFLoss()(student, teacher, example, KEY)
        return {"scf": total} | terms

    found, slopes = values(student), jax.jacrev(values)(student)
    return found, {name: slope for name, slope in slopes.items() if name != "unsolved"}


PROGRAMS = {
    "slater": (without_integrals, slater(1.0), "test-slater"),
    "network": (without_integrals, network(1), "test-network"),
    "slater-scf": (through_the_scf, slater(1.0), "test-slater"),
}
programs = pytest.mark.parametrize("program", ["slater", "slater-scf", pytest.param("network", marks=pytest.mark.slow)])


def evaluate(program: str, examples, student=None, example=None):
    run, usual, teacher = PROGRAMS[program]
    return run(usual if student is None else student, TEACHERS[teacher], example or examples(teacher))


def check_slopes(values_at, student, slopes):
    """Slopes along a random direction of the parameters, by central differences of fourth order."""
    flat, back = ravel_pytree(student)
    along = np.random.default_rng(0).normal(size=flat.size)
    along /= np.linalg.norm(along)
    one, two = (
        {name: forward[name] - backward[name] for name in slopes}
        for forward, backward in ([values_at(back(flat + sign * k * STEP * along)) for sign in (1, -1)] for k in (1, 2))
    )
    for name, slope in slopes.items():
        expected = (8 * one[name] - two[name]) / (12 * STEP)
        assert abs(expected) > LEAST_SLOPE, name
        assert float(ravel_pytree(slope)[0] @ along) == pytest.approx(float(expected), rel=SLOPE), name


@programs
def test_slopes_by_the_parameters(program, examples):
    values, slopes = evaluate(program, examples)
    assert not values.get("unsolved")
    check_slopes(lambda student: evaluate(program, examples, student)[0], PROGRAMS[program][1], slopes)


@pytest.mark.slow
def test_slopes_against_a_teacher_with_exact_exchange(examples):
    run = lambda student: without_integrals(student, jqc.functional("b3lyp"), examples("b3lyp"))  # noqa: E731
    check_slopes(lambda student: run(student)[0], slater(1.0), run(slater(1.0))[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["e-rho", "e-rho-grad"])
def test_parts_of_the_loss_are_sums_of_its_terms(name, examples):
    student, example = network(1), examples("test-network")
    run = lambda student: LOSSES[name](student, TEACHERS["test-network"], example, KEY)[0]  # noqa: E731
    values, slopes = evaluate("network", examples)
    terms = ("energy", "density", "gradient")[: 2 + (name == "e-rho-grad")]
    value, slope = jax.jit(jax.value_and_grad(run))(student)
    assert float(value) == pytest.approx(float(sum(values[term] for term in terms)), rel=SAME)
    expected = sum(ravel_pytree(slopes[term])[0] for term in terms)
    np.testing.assert_allclose(ravel_pytree(slope)[0], expected, rtol=SAME, atol=SAME * float(abs(expected).max()))


@programs
def test_nothing_is_left_where_student_and_teacher_are_one(program, examples):
    values, slopes = evaluate(program, examples, TEACHERS[PROGRAMS[program][2]])
    for name, value in values.items():
        assert abs(value) < SOLVED, name
    for name, slope in slopes.items():
        assert np.abs(ravel_pytree(slope)[0]).max() < LEFT, name


def rotated(example, molecule, rotation):
    """The example of the molecule after a rotation about the origin; quadrature and orbitals go with it."""
    turned = replace(molecule, coords=np.asarray(molecule.coords) @ rotation.T)
    on_orbitals = ao_rotation_matrix(make_mole(molecule, "def2-svp"), rotation).T
    n = example.points.occupied.shape[-2] - len(on_orbitals)
    on_orbitals = np.pad(on_orbitals, (0, n))
    groups = tuple(replace(group, coords=group.coords @ rotation.T) for group in example.sampled.groups)
    sampled = replace(example.sampled, coords=example.sampled.coords @ rotation.T, groups=groups)
    points = jax.tree.map(lambda frames: on_orbitals @ frames, example.points)
    return with_integrals(replace(example, sampled=sampled, points=points), turned, "def2-svp")


def check_same(found, expected, names=None):
    for name in names or expected:
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=SAME), name


@programs
def test_rotations_change_nothing(program, examples, water):
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    example = rotated(examples(PROGRAMS[program][2]), water, rotation)
    check_same(evaluate(program, examples, example=example)[0], evaluate(program, examples)[0])


@programs
def test_mixing_occupied_orbitals_changes_no_norm_without_orbital_energies(program, examples):
    example = examples(PROGRAMS[program][2])
    mixing = ortho_group(example.tangents.shape[-1], seed=0).rvs()
    points = replace(example.points, occupied=example.points.occupied @ mixing)
    mixed = replace(example, points=points, tangents=example.tangents @ mixing)
    found, expected = (evaluate(program, examples, example=each)[0] for each in (mixed, example))
    check_same(found, expected, None if program == "slater-scf" else ("energy", "commutator"))


def test_commutator_and_perturbation_are_what_their_formulas_say(examples):
    """From the student's Fock matrix in the teacher's canonical orbitals."""
    example, student = examples("test-slater"), slater(1.0)
    system = jax.tree.map(jnp.asarray, example.system)
    occupied, virtual = (jnp.asarray(frames[0, 0]) for frames in (example.points.occupied, example.points.virtual))
    slope = jax.jit(jax.grad(jqc.energy, argnums=2))(student, system, 2 * occupied @ occupied.T)
    mixed = virtual.T @ (0.5 * (slope + slope.T)) @ occupied
    differences = example.curvature[0] / 4
    values = evaluate("slater", examples)[0]
    n = float(example.n_electrons)
    commutator = 8 * jnp.sum(mixed**2) / n
    assert float(values["commutator"] - values["energy"]) == pytest.approx(float(commutator), rel=1e-5)
    change = -2 * jnp.sum(mixed**2 / differences)
    assert float(values["perturbative"] - values["energy"]) == pytest.approx(float(change**2 / 1e-3 / n), rel=1e-5)
    energies = [
        float(jqc.energy(each, system, 2 * occupied @ occupied.T)) for each in (student, TEACHERS["test-slater"])
    ]
    relaxed = energies[0] - energies[1] + float(change)
    assert float(values["relaxed"]) == pytest.approx(2e-3 * (np.hypot(1, relaxed / 1e-3) - 1) / n, rel=1e-5)
    # The first labelled density only: what is displaced adds to DI-Loss's gradient.
    assert float(values["gradient"]) > -2 * float(change) / n


@pytest.mark.parametrize("triplets", [False, True])
def test_the_whole_hessian_of_a_small_system(triplets, hydrogen, hydrogen_labels, teacher):
    """‖D^(−½) ΔH D^(−½)‖² over the number of rotations; a mean over singlets and triplets; nothing is random."""
    example = make_example(hydrogen_labels, hydrogen, "6-31g", grid_level=0)
    loss = DILoss(energy=0, density=0, gradient=0, tangents=3, triplets=triplets)
    run = jax.jit(lambda key: loss(slater(1.0), jqc.functional(teacher), example, key)[1]["hessian"])
    system = build_system(hydrogen, "6-31g", grid_level=0)
    at = grassmann.point(system, jnp.stack([jnp.asarray(hydrogen_labels["mo_coeff"][0])] * 2))
    root = np.sqrt(example.curvature[0, :3, 0])
    units = jnp.zeros((3, *example.tangents.shape[1:])).at[jnp.arange(3), 0, jnp.arange(3), 0].set(1.0)

    def hessian(functional, sign):
        along = (grassmann.spin_tangent(unit, sign) for unit in units)
        return 2 * np.array([grassmann.hvp(functional, system, at, x)[0, :3, 0] for x in along])

    signs = (1, -1)[: 1 + triplets]
    differences = [hessian(slater(1.0), sign) - hessian(jqc.functional(teacher), sign) for sign in signs]
    found = [np.sum((difference / root / root[:, None]) ** 2) for difference in differences]
    assert float(run(KEY)) == pytest.approx(np.mean(found) / 3, rel=1e-6)
    assert float(run(KEY)) == float(run(jax.random.key(4)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["e-rho-grad-hess", "scf"])
def test_company_changes_nothing(name, water, example, labels, settings):
    """Water alone, and beside formamide with room for both."""
    other = example("formamide")
    room = lengths_needed(water, "def2-svp").joined(lengths_needed(other, "def2-svp"))
    others = {key: array for key, (array, _) in label(other, "other", settings).items()}

    def made(arrays, molecule, room=None):
        found = make_example(arrays, molecule, "def2-svp", 0, room)
        return with_integrals(found, molecule, "def2-svp", room=room)

    batch = stack([made(labels, water, room), made(others, other, room)], np.float64)
    beside = jax.tree.map(lambda leaf: leaf[0], batch)
    alone, teacher = made(labels, water), jqc.functional("b3lyp")
    run = jax.jit(lambda student, example: LOSSES[name](student, teacher, example, KEY)[1])
    check_same(run(slater(1.0), beside), run(slater(1.0), alone))


def test_a_student_without_a_solution_counts_with_estimates(examples):
    values, slopes = evaluate("slater-scf", examples, slater(-40.0))
    assert values["unsolved"] == 1
    assert all(np.isfinite(value) and value >= 0 for value in values.values())
    assert all(np.isfinite(slope.scale) and slope.scale != 0 for slope in slopes.values())


@pytest.mark.slow
def test_scf_loss_is_that_of_a_whole_scf(examples, water):
    """Energies and densities of `jqc.scf`; in single precision as well."""
    tight = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-8)
    system = build_system(water, grid_level=0)
    student, teacher = (jqc.scf(system, each, settings=tight).check() for each in (network(1), "b3lyp"))
    pad = lambda result: jnp.pad(result.dm, (0, system.n_padded - len(result.dm)))[None]  # noqa: E731
    from jqc.xc.quadrature import features, quadrature

    rho = features(system, pad(student) - pad(teacher), "rho")[0, 0]
    n = float(examples("b3lyp").n_electrons)
    run = jax.jit(lambda example: SCFLoss()(network(1), jqc.functional("b3lyp"), example, KEY)[1])
    found = run(examples("b3lyp"))
    energy = 2e-3 * (np.hypot(1, (student.energy - teacher.energy) / 1e-3) - 1)
    assert float(found["energy"]) == pytest.approx(energy / n, rel=1e-7)
    assert float(found["density"]) == pytest.approx(float(jnp.sum(rho**2 * quadrature(system).weights)) / n, rel=1e-5)
    rough = run(jax.tree.map(lambda leaf: leaf[0], stack([examples("b3lyp")])))
    for name, value in found.items():
        assert rough[name].dtype == np.float32
        assert float(rough[name]) == pytest.approx(float(value), rel=1e-5)


def test_an_example_without_integrals_is_refused(water_example):
    with pytest.raises(InputError, match="with_integrals"):
        jax.eval_shape(lambda: SCFLoss()(slater(1.0), slater(1.0), water_example, KEY))


@pytest.mark.parametrize("name", LOSSES)
def test_terms_of_weight_zero_are_not_computed(name, water_example, examples):
    """Also whether the rest goes without them: a program's shapes are found, nothing is computed."""
    weights = {"energy", "density", "gradient", "hessian", "commutator", "perturbative"} & {*vars(LOSSES[name])}
    example = examples("b3lyp") if LOSSES[name].needs_integrals else water_example
    for left_out in weights:
        if not any(getattr(LOSSES[name], each) for each in weights - {left_out}):
            continue
        loss = replace(LOSSES[name], **{left_out: 0.0})
        run = lambda student, example, loss=loss: loss(student, jqc.functional("b3lyp"), example, KEY)[1]  # noqa: E731
        terms = jax.eval_shape(run, slater(1.0), example)
        assert {*terms} - {"unsolved"} == {each for each in weights if getattr(loss, each)}
