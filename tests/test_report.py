"""Spectra keep the areas of their lines, and figures come out in every format that is offered."""

import numpy as np
import pytest

from jqc.report import (
    absorption_spectrum,
    broadened,
    gaussian,
    lorentzian,
    rendered,
    vibrational_spectrum,
)

STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize(("shape", "error"), [(gaussian, 1e-9), (lorentzian, 2e-2)])
def test_lines_keep_their_area_and_width(shape, error):
    x = np.linspace(-1000.0, 1000.0, 400001)
    curve = broadened(x, np.array([-20.0, 30.0]), np.array([2.0, 3.0]), 10.0, shape)
    assert np.trapezoid(curve, x) == pytest.approx(5.0, rel=error)
    one = shape(x, 0.0, 10.0)
    assert np.interp(5.0, x, one) == pytest.approx(0.5 * one.max(), rel=1e-6)


@pytest.mark.parametrize("kind", STARTS)
def test_figures_are_written(kind):
    lines = np.array([-100.0, 1600.0, 3700.0])
    for figure in (
        vibrational_spectrum(lines, np.ones(3), np.ones(3), "water"),
        vibrational_spectrum(lines, np.ones(3)),
        absorption_spectrum(np.array([5.0, 7.0]), np.array([0.0, 0.3]), "water"),
    ):
        assert rendered(figure, kind).startswith(STARTS[kind])
