"""Spectra: areas of lines, units of absorption, and figures that are drawn without global state."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jqc.errors import InputError
from jqc.report import (
    absorption_spectrum,
    broadened,
    figure_format,
    gaussian,
    lorentzian,
    molar_absorption,
    rendered,
    vibrational_spectrum,
)

BEGINNINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize(("shape", "tail"), [(gaussian, 1e-9), (lorentzian, 2e-3)])
def test_lines_have_their_area_and_width(shape, tail):
    x = np.linspace(-200.0, 200.0, 400_001)
    curve = broadened(x, [1.0], [3.0], 0.5, shape)
    assert np.trapezoid(curve, x) == pytest.approx(3.0, rel=tail)
    assert shape(np.array(1.25), 1.0, 0.5) / shape(np.array(1.0), 1.0, 0.5) == pytest.approx(0.5)


def test_absorption_of_one_line():
    """ε_max = 1.3063e8 f/σ̃ of a Gaussian exp(−((ν̃ − ν̃₀)/σ̃)²), σ̃ in cm⁻¹; Stephens & Harada, doi:10.1002/chir.20733."""
    sigma = 0.4
    width = 2 * np.sqrt(np.log(2)) * sigma
    (highest,) = molar_absorption(np.array([5.0]), np.array([5.0]), np.array([0.2]), width)
    assert highest == pytest.approx(1.3062974e8 * 0.2 / (sigma * 8065.544), rel=1e-5)


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_figures_in_every_format(kind):
    figure = absorption_spectrum([5.0, 7.3], [0.1, 0.0], title="ethene")
    assert rendered(figure, kind).startswith(BEGINNINGS[kind])


def test_both_axes_tell_the_same():
    figure = absorption_spectrum([5.0, 8.0], [0.1, 0.3])
    energy, strength = figure.axes
    (top,) = energy.child_axes
    figure.draw_without_rendering()
    low, high = energy.get_xlim()
    assert sorted(top.get_xlim()) == pytest.approx([1239.842 / high, 1239.842 / low], rel=1e-5)
    assert strength.get_ylim()[1] > 0.3
    assert 150 in top.get_xticks()


def test_nothing_but_dark_states_and_two_panels_can_be_drawn():
    assert absorption_spectrum([5.0], [0.0]).axes[0].get_ylim() == (0.0, 1.0)
    figure = vibrational_spectrum([-50.0, 1600.0, 3700.0], [1.0, 60.0, 3.0], [1.0, 10.0, 80.0])
    assert len(figure.axes) == 4
    assert figure.axes[0].get_xlim() == (4000.0, 0.0)


def test_unknown_formats_are_refused():
    assert figure_format(Path("a.SVG")) == "svg"
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        figure_format(Path("a.jpg"))


def test_no_global_state():
    script = (
        "import sys, jqc.report as report\n"
        "assert 'matplotlib' not in sys.modules\n"
        "report.rendered(report.absorption_spectrum([5.0], [0.1]), 'png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1], check=True)
