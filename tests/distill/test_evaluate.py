"""Evaluations against PySCF, the teacher against itself, and what is refused or taken up again."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jqc
from jqc.data import open_store
from jqc.distill import job
from jqc.distill.evaluate import evaluate, subset
from jqc.distill.job import label_settings, labelled
from jqc.distill.labelling import shared_rooms
from jqc.distill.measure import measure
from jqc.distill.relative import relative_energies
from jqc.distill.rows import Labelled, row
from jqc.distill.subjects import subject_of
from jqc.distill.summary import statistics, summarised
from jqc.errors import FunctionalError, InputError, StoreError
from jqc.system import build_system
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.units import DEBYE, ELECTRONVOLT
from jqc.xc.neural.architectures import create
from jqc.xc.neural.files import save

SAME = 1e-6
"""Hartree, of second order in what is left of two SCFs; grids and integrals are the same."""

FIRST_ORDER = 2e-5
"""What is of first order in a density that its SCF leaves with a residual of up to 3e-5."""

MINIMUM = "h2o2-00000"


@pytest.fixture(scope="module")
def found(evaluated, teacher):
    return evaluate(teacher, evaluated / "labels", ["pbe"])


@pytest.fixture
def copied(evaluated, tmp_path) -> Path:
    shutil.copytree(evaluated, tmp_path / "copied")
    return tmp_path / "copied" / "labels"


def rows_of(found, name):
    return {row["record"]: row for row in found.functionals[name]["molecules"]}


def test_the_teacher_is_its_own_student(found, teacher):
    rows = rows_of(found, teacher)
    assert len(rows) == 4
    for each in rows.values():
        assert abs(each["energy_error_hartree"]) < SAME
        assert abs(each["density_energy_error_hartree"]) < SAME
        assert each["classical_energy_error_hartree"] < FIRST_ORDER
        assert each["density_distance_au"] < FIRST_ORDER
        assert each["dipole_error_debye"] < 10 * FIRST_ORDER
        assert each["fock_builds"] == 1
        assert each["iterations"] == each["fock_builds_minao"]
        assert each["fock_builds_pbe"] > 1
        assert each["singlet_error_ev"] == 0.0
    summary = found.functionals[teacher]["summary"]
    assert summary["scf_converged"] == 4
    assert summary["saving_minao"] > summary["saving_pbe"] > 0.5
    assert not found.incomplete


def test_a_density_of_another_functional_costs_energy(found):
    for each in rows_of(found, "pbe").values():
        assert 1e-5 < each["density_energy_error_hartree"] < 1e-2
        assert each["fock_builds"] == each["fock_builds_pbe"]
    assert found.functionals["pbe"]["summary"]["saving_pbe"] == 0.0


def test_pbe_by_pyscf(found, evaluated):
    """Every number of one molecule from another program's integrals, grids, SCF and response."""
    labels = open_store(evaluated / "labels")
    label = labels.read(MINIMUM).arrays
    mole = make_mole(labelled(labels, MINIMUM).molecule, "sto-3g")
    pbe, teacher = (solver(mole, name) for name in ("pbe", "0.2*hf + 0.8*slater, vwn5"))
    dm = pbe.run().make_rdm1()
    fine = [solver(mole, each.xc, level=3) for each in (pbe, teacher)]
    energy, reference = (each.energy_tot(d) for each, d in zip(fine, (dm, label["dm"][0]), strict=True))
    here = rows_of(found, "pbe")[MINIMUM]
    assert here["energy_error_hartree"] == pytest.approx(energy - reference, abs=SAME)
    assert here["reference_energy_hartree"] == pytest.approx(reference, abs=SAME)
    assert here["density_energy_error_hartree"] == pytest.approx(teacher.energy_tot(dm) - label["energy"], abs=SAME)
    classical = [
        np.vdot(pbe.get_hcore() + 0.5 * pbe.with_df.get_jk(d, with_k=False)[0], d) for d in (dm, label["dm"][0])
    ]
    assert here["classical_energy_error_hartree"] == pytest.approx(abs(classical[0] - classical[1]), abs=FIRST_ORDER)
    from pyscf.dft.numint import eval_ao, eval_rho

    rho = eval_rho(mole, eval_ao(mole, pbe.grids.coords), dm - label["dm"][0])
    distance = np.sqrt(np.sum(rho**2 * pbe.grids.weights))
    assert here["density_distance_au"] == pytest.approx(distance, abs=FIRST_ORDER)
    assert here["density_distance_per_electron_au"] == pytest.approx(distance / 18, abs=FIRST_ORDER)
    dipole = pbe.dip_moment(unit="AU", verbose=0) - label["dipole"]
    assert here["dipole_error_debye"] == pytest.approx(np.linalg.norm(dipole) * DEBYE, abs=10 * FIRST_ORDER)
    assert teacher.kernel() == pytest.approx(float(label["energy"]), abs=SAME)
    for name, singlet in (("singlet", True), ("triplet", False)):
        ours, theirs = (excited(each, singlet) for each in (pbe, teacher))
        np.testing.assert_allclose(here[f"{name}s_ev"], ours, atol=1e-3)
        assert here[f"{name}_error_ev"] == pytest.approx(np.abs(ours - theirs).mean(), abs=1e-3)


def solver(mole, name, level=0):
    from pyscf import dft

    found = dft.RKS(mole, xc=name).density_fit(auxbasis=auxiliary_basis(mole, None)[0])
    found.grids.level, found.conv_tol = level, 1e-11
    return found


def excited(mean_field, singlet: bool) -> np.ndarray:
    method = mean_field.TDDFT()
    method.singlet, method.nstates = singlet, 5
    return np.sort(method.kernel()[0]) * ELECTRONVOLT


def test_starts_of_the_teacher_by_hand(found, evaluated, teacher):
    labels = open_store(evaluated / "labels")
    how = label_settings(labels)
    molecules = {name: labelled(labels, name).molecule for name in labels.names()}
    room = shared_rooms(molecules, how)[MINIMUM]
    system = build_system(molecules[MINIMUM], "sto-3g", grid_level=0, like=room)
    pbe = jqc.scf(system, "pbe")
    here = rows_of(found, "pbe")[MINIMUM]
    assert here["iterations"] == pbe.iterations
    assert here["fock_builds"] == jqc.scf(system, teacher, np.asarray(pbe.dm)).iterations
    assert here["fock_builds_minao"] == jqc.scf(system, teacher).iterations


def test_relative_energies(found):
    rows = rows_of(found, "pbe")
    relative = relative_energies(list(rows.values()))
    pairs = {kind: [(each["of"], each["against"]) for each in found] for kind, found in relative.items()}
    assert pairs["displacement"] == [("h2o2-00001", MINIMUM)]
    assert pairs["conformer"] == [("h2o2-00002", MINIMUM)]
    assert pairs["isomerisation"] == [("h2o2-00003", MINIMUM)]
    errors = {name: row["energy_hartree"] - row["reference_energy_hartree"] for name, row in rows.items()}
    by_hand = errors["h2o2-00003"] - errors[MINIMUM]
    assert relative["isomerisation"][0]["error_hartree"] == pytest.approx(by_hand, abs=1e-10)
    summary = found.functionals["pbe"]["summary"]
    assert summary["isomerisation_error_hartree"]["signed_mean"] == pytest.approx(by_hand, abs=1e-10)
    assert summary["isomerisation_error_kcal_per_mol"]["mean"] == pytest.approx(abs(by_hand) * 627.5095, rel=1e-6)


def test_an_evaluation_that_was_killed_goes_on(found, copied, teacher):
    folder = copied.with_name("labels.evaluations") / "pbe"
    whole = {name: (folder / f"{name}.h5").read_bytes() for name in ("h2o2-00001", "h2o2-00003")}
    for name in whole:
        (folder / f"{name}.h5").unlink()
    again = evaluate("pbe", copied, [teacher])
    assert again.functionals["pbe"]["molecules"] == found.functionals["pbe"]["molecules"]
    assert {name: (folder / f"{name}.h5").read_bytes() for name in whole} == whole


def test_what_an_evaluation_beside_this_one_has_measured_is_left_alone(copied, teacher, monkeypatch):
    def beside(outcomes, total, title):
        (records / f"{MINIMUM}.h5").write_bytes(whole)
        return list(outcomes)

    records = copied.parent / "labels.evaluations" / "pbe"
    whole = (records / f"{MINIMUM}.h5").read_bytes()
    (records / f"{MINIMUM}.h5").unlink()
    monkeypatch.setattr(job, "measure", lambda *_: pytest.fail("measured twice"))
    assert evaluate(teacher, copied, ["pbe"], watch=beside).functionals["pbe"]["summary"]["scf_converged"] == 4


def test_results_of_something_else_are_refused(copied, tmp_path):
    with pytest.raises(StoreError, match=r"pbe/store\.json was made with other settings \(states 5 there, 3 here\)"):
        evaluate("pbe", copied, [], states=3)
    save_run(tmp_path / "run", seed=0)
    results = tmp_path / "run" / "evaluation" / "labels"
    results.mkdir(parents=True)
    shutil.copy(copied.with_name("labels.evaluations") / "pbe" / "store.json", results)
    with pytest.raises(StoreError, match=r"functional_sha256 .* delete .*run/evaluation/labels to evaluate anew"):
        evaluate(str(tmp_path / "run"), copied, [])
    record = open_store(copied).read(MINIMUM)
    arrays = {name: (array, record.units[name]) for name, array in record.arrays.items()}
    open_store(copied).write(MINIMUM, arrays | {"energy": (np.asarray(-1.0), "hartree")}, record.attributes)
    with pytest.raises(StoreError, match=rf"{MINIMUM}.h5 is of another label .* delete"):
        evaluate("pbe", copied, [])


def save_run(folder: Path, seed: int) -> None:
    folder.mkdir()
    save(folder / "functional.npz", create("xcdiff", jax.random.key(seed)), {"seed": seed})


def test_bad_input_is_refused(evaluated, tmp_path):
    labels = evaluated / "labels"
    with pytest.raises(FunctionalError, match="names no functional"):
        evaluate("pbee", labels)
    (tmp_path / "run").mkdir()
    with pytest.raises(FunctionalError, match=r"no functional\.npz"):
        evaluate(f"{tmp_path}/run", labels)
    with pytest.raises(StoreError, match=r"no store\.json"):
        evaluate("pbe", tmp_path / "nothing")
    open_store(tmp_path / "other", {"states": 5})
    with pytest.raises(StoreError, match="no store of labels"):
        evaluate("pbe", tmp_path / "other")
    open_store(tmp_path / "empty", open_store(labels).settings)
    with pytest.raises(StoreError, match="holds no labels"):
        evaluate("pbe", tmp_path / "empty")
    for wrong in ("states", "limit", "workers"):
        with pytest.raises(InputError, match=f"{wrong} is 0; give 1 or more"):
            evaluate("pbe", labels, **{wrong: 0})
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_run(tmp_path / folder / "twin", seed=0)
    with pytest.raises(InputError, match="two functionals are called twin"):
        evaluate(str(tmp_path / "a" / "twin"), labels, [str(tmp_path / "b" / "twin")])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Broken:
    """A functional without a value."""

    ingredients, exchange, local = "rho", (), True

    def energy(self, density, quadrature):
        return jax.numpy.nan * jax.numpy.sum(density.rho)


def test_what_does_not_converge_is_counted(found, evaluated, teacher):
    labels = open_store(evaluated / "labels")
    known = labelled(labels, MINIMUM)
    arrays, statuses = measure(
        Broken(), jqc.functional(teacher), labels.read(MINIMUM).arrays, known.molecule, label_settings(labels)
    )
    assert arrays.keys() == {"iterations"}
    assert statuses == {"scf": "unconverged"}
    rows = [dict(each) for each in found.functionals["pbe"]["molecules"]]
    rows[0] = row(MINIMUM, known, None, None, None)
    summary = summarised(rows)
    assert summary["scf_converged"] == 3
    assert summary["statuses"]["scf"] == {"converged": 3, "failed": 1}
    assert summary["energy_error_hartree"]["missing"] == 1
    assert (
        summary["isomerisation_error_hartree"] | {"missing": 1, "count": 0, "mean": None}
        == summary["isomerisation_error_hartree"]
    )


def test_statistics():
    found = statistics([1.0, -3.0, 2.0, None])
    assert found["mean"] == pytest.approx(2.0)
    assert (found["median"], found["max"], found["signed_mean"]) == (2.0, 3.0, 0.0)
    assert found["standard_error"] == pytest.approx(1.0 / np.sqrt(3))
    assert (found["count"], found["missing"]) == (3, 1)
    assert statistics([None])["mean"] is None
    assert statistics([1.0])["standard_error"] is None


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(1, 40))
def test_a_subset_is_even_over_formulas_and_grows(counts, limit):
    known = {}
    for carbons, count in enumerate(counts, start=1):
        molecule = jqc.Molecule.from_arrays(["C"] * carbons, np.arange(3.0 * carbons).reshape(-1, 3))
        kinds = ["displaced" if k % 3 else "minimum" for k in range(count)]
        known |= {f"{carbons}-{k}": Labelled(molecule, {"kind": kind}, 0.0, "") for k, kind in enumerate(kinds)}
    chosen = subset(known, limit)
    assert len(chosen) == min(limit, len(known))
    assert subset(known, limit + 1) >= chosen
    taken = [sum(name.startswith(f"{carbons}-") for name in chosen) for carbons in range(1, len(counts) + 1)]
    for took, count in zip(taken, counts, strict=True):
        assert took >= min(count, max(taken) - 2)
    for name, each in known.items():
        if each.info["kind"] == "displaced" and name in chosen:
            minima = {other for other in known if other[0] == name[0] and known[other].info["kind"] == "minimum"}
            assert minima <= chosen


def test_all_of_it_is_plain(found):
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


def test_subjects_know_where_they_come_from(tmp_path):
    shipped = subject_of("JQC-XCDiff", tmp_path / "labels")
    assert shipped.folder == tmp_path / "labels.evaluations" / "jqc-xcdiff"
    assert shipped.provenance is not None
    assert shipped.provenance["config"]["model"] == "xcdiff"
    save(tmp_path / "mine.npz", create("xcdiff", jax.random.key(0)), {"seed": 0})
    mine = subject_of(str(tmp_path / "mine.npz"), tmp_path / "labels")
    assert (mine.name, mine.folder) == ("mine", tmp_path / "mine" / "evaluation" / "labels")
    assert mine.provenance == {"seed": 0}
    assert subject_of("pbe", tmp_path / "labels").provenance is None
