"""`jqc evaluate` end to end, mostly on what is computed already."""

import json
import shutil

import jax
import pytest

from jqc.cli.main import run
from jqc.data import open_store
from jqc.xc.neural.architectures import create
from jqc.xc.neural.files import save

KEPT_AS = "0.2_hf_+_0.8_slater_+_vwn5"
"""Files of the labels' teacher."""


@pytest.fixture
def folder(evaluated, tmp_path, monkeypatch):
    shutil.copytree(evaluated, tmp_path / "copied")
    monkeypatch.chdir(tmp_path / "copied")
    return tmp_path / "copied"


def test_tables_numbers_and_a_page(folder, teacher, capsys):
    assert run(["evaluate", "pbe", "--data", "labels", "--against", teacher]) == 0
    numbers = json.loads((folder / "labels.evaluations" / "pbe.json").read_text())
    assert numbers["functional"] == "pbe"
    assert list(numbers["functionals"]) == ["pbe", teacher]
    assert numbers["data"]["evaluated"] == 4
    summary = numbers["functionals"]["pbe"]["summary"]
    printed = capsys.readouterr().out
    for key, form, scale in (
        ("energy_error_hartree", ".2f", 1e3),
        ("density_energy_error_hartree", ".3f", 1e3),
        ("fock_builds_minao", ".2f", 1),
        ("singlet_error_ev", ".3f", 1),
    ):
        assert format(summary[key]["mean"] * scale, form) in printed
    assert "4/4" in printed
    page = (folder / "labels.evaluations" / "pbe.html").read_text()
    assert page.count('src="data:image/png;base64,') == 4
    assert "http" not in page  # nothing is loaded from elsewhere
    assert numbers["data"]["sha256"] in page
    assert numbers["functionals"]["pbe"]["sha256"] in page


def test_a_part_of_the_molecules(folder):
    assert run(["evaluate", "pbe", "--data", "labels", "--against", "", "--limit", "2"]) == 0
    numbers = json.loads((folder / "labels.evaluations" / "pbe.json").read_text())
    evaluated = [row["record"] for row in numbers["functionals"]["pbe"]["molecules"]]
    assert evaluated == ["h2o2-00000", "h2o2-00003"]  # the two minima
    assert numbers["data"]["labels"] == 4


def test_a_failure_is_told(folder, teacher, capsys):
    results = folder / "labels.evaluations" / "pbe"
    (results / "h2o2-00002.h5").unlink()
    open_store(results).fail("h2o2-00002", "MemoryError: <no> room")
    assert run(["evaluate", teacher, "--data", "labels", "--against", "pbe"]) == 3
    assert "pbe has no converged density of h2o2-00002" in capsys.readouterr().err
    page = (folder / "labels.evaluations" / f"{KEPT_AS}.html").read_text()
    assert "MemoryError: &lt;no&gt; room" in page
    made = json.loads((folder / "labels.evaluations" / f"{KEPT_AS}.json").read_text())["functionals"]
    assert made["pbe"]["summary"]["scf_converged"] == 3
    assert made["pbe"]["failures"] == {"h2o2-00002": "MemoryError: <no> room"}
    assert made[teacher]["summary"]["fock_builds_pbe"]["count"] == 3


def test_a_failure_of_the_teacher_is_told(folder, teacher, capsys):
    results = folder / "labels.evaluations" / KEPT_AS
    (results / "h2o2-00002.h5").unlink()
    open_store(results).fail("h2o2-00002", "no convergence")
    assert run(["evaluate", "pbe", "--data", "labels", "--against", ""]) == 3
    assert f"{teacher} has no converged density of h2o2-00002" in capsys.readouterr().err
    assert "no convergence" in (folder / "labels.evaluations" / "pbe.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pbee", "--data", "labels"], "names no functional"),
        (["./nothing", "--data", "labels"], "cannot be read"),
        (["pbe", "--data", "labels", "--against", "pbee"], "names no functional"),
        (["pbe", "--data", "nowhere"], "no store.json"),
        (["pbe", "--data", "labels", "--limit", "0"], "limit is 0"),
        (["pbe", "--data", "labels", "--states", "3"], "delete"),
    ],
)
def test_bad_input_is_refused_before_any_work(arguments, message, folder, capsys):
    before = sorted(folder.rglob("*"))
    assert run(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_a_run_keeps_its_results(folder):
    (folder / "run").mkdir()
    save(folder / "run" / "functional.npz", create("xcdiff", jax.random.key(0)), {"config": {"model": "xcdiff"}})
    arguments = ["evaluate", "run", "--data", "labels", "--against", "pbe", "--limit", "2", "--workers", "2"]
    assert run(arguments) == 0
    numbers = json.loads((folder / "run" / "evaluation" / "labels.json").read_text())
    assert numbers["functional"] == "run"
    assert numbers["functionals"]["run"]["provenance"] == {"config": {"model": "xcdiff"}}
    assert numbers["functionals"]["run"]["summary"]["scf_converged"] == 2
    assert open_store(folder / "run" / "evaluation" / "labels").names() == ["h2o2-00000", "h2o2-00003"]
    page = (folder / "run" / "evaluation" / "labels.html").read_text()
    assert "config.model xcdiff" in page
