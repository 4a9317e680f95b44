"""Tables, figures and the page of an evaluation, from plain numbers."""

import numpy as np
import pytest

from jqc.distill.rows import Labelled, row
from jqc.distill.summary import summarised
from jqc.report import evaluation_figures, evaluation_page, print_evaluation
from jqc.system import Molecule

SOLVED = {
    "energy_hartree": -1.49,
    "energy_error_hartree": 0.012345,
    "density_energy_error_hartree": 0.0005,
    "classical_energy_error_hartree": 0.002,
    "density_distance_au": 0.003,
    "density_distance_per_electron_au": 0.0015,
    "dipole_error_debye": 0.25,
    "iterations": 7,
    "fock_builds": 6,
    "fock_builds_minao": 8,
    "fock_builds_pbe": 7,
    "singlets_ev": [10.0, 12.0],
    "reference_singlets_ev": [11.0, 12.5],
    "singlet_error_ev": 0.75,
    **dict.fromkeys(("scf", "teacher", "singlets"), "converged"),
    "triplets": "unstable",
}


def content(*rows) -> dict:
    made = {"summary": summarised(rows), "molecules": rows, "failures": {}, "sha256": "00ff", "provenance": None}
    return {
        "functional": "a<b",
        "data": {"folder": "labels", "settings": {"functional": "b3lyp"}, "labels": 3, "evaluated": 2, "sha256": "77"},
        "states": 2,
        "functionals": {"a<b": made, "pbe": made},
        "references": {},
        "versions": {"jax": ["1"]},
    }


@pytest.fixture
def failed() -> dict:
    molecule = Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]])
    return row("h2", Labelled(molecule, {"kind": "minimum", "name": "<h2>"}, -1.5, ""), None, None, None)


def test_tables_say_what_the_numbers_are(failed, capsys):
    print_evaluation(content(failed, failed | SOLVED))
    printed = capsys.readouterr().out
    for cell in ("1/2", "7.0", "12.35", "0.500", "2.00", "3.00", "0.250", "8.00", "6.00", "25", "14", "0.750", "1, 0"):
        assert f" {cell} " in printed.replace("\n", " \n")
    assert "isomers" in printed


def test_the_page_names_what_is_left_out_and_escapes_names(failed):
    page = evaluation_page(content(failed, failed | SOLVED))
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert "triplets unstable" in page
    assert "scf failed" in page
    assert page.count("<figure>") == 4


def test_the_page_names_what_references_leave_out(failed):
    whole = content(failed | SOLVED | {"triplets": "converged"})
    assert "Left out" not in evaluation_page(whole)
    teacher = whole["functionals"]["pbe"] | {"molecules": [failed | SOLVED | {"singlets": "unconverged"}]}
    page = evaluation_page(whole | {"references": {"b3lyp": teacher}})
    assert "b3lyp" in page
    assert "singlets unconverged" in page


def test_figures_show_every_molecule_that_has_the_number(failed):
    figures = evaluation_figures(content(failed | SOLVED, failed | SOLVED, failed))
    by_size, strips, _, (singlets, triplets) = (figure.axes for figure in figures.values())
    assert np.asarray(by_size[0].lines[0].get_ydata()) == pytest.approx([12.345, 12.345])
    assert np.asarray(strips[0].lines[0].get_xdata()) == pytest.approx([0.5, 0.5])
    np.testing.assert_allclose(singlets.lines[0].get_xydata()[:2], [[11.0, 10.0], [12.5, 12.0]])
    assert not len(triplets.lines[0].get_xydata())


@pytest.mark.filterwarnings("error")
def test_nothing_converged_is_a_page_too(failed, capsys):
    page = evaluation_page(content(failed))
    assert page.count("data:image/png") == 4
    print_evaluation(content(failed))
    assert "0/1" in capsys.readouterr().out
