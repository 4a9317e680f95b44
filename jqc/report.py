"""Figures of what was computed, drawn without any global state: spectra as sticks under a broadened curve.

matplotlib is imported when a figure is drawn.
"""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jqc.units import ELECTRONVOLT, NANOMETRE_EV, WAVENUMBER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOLAR_ABSORPTION = 1 / 4.31899e-9
"""∫ε dν̃ of unit oscillator strength, L mol⁻¹ cm⁻²: e² N_A/(4 mₑ c² ε₀ ln 10), Mulliken, doi:10.1063/1.1750317."""

CURVE, STICK, TEXT = "#1f4e79", "#c8553d", "#333333"
POINTS = 2000

Lineshape = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Area-one profile of (x, centre, full width at half maximum)."""


def lorentzian(x: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """(w/2π)/((x − x₀)² + (w/2)²)."""
    return width / (2 * np.pi) / ((x - centre) ** 2 + (0.5 * width) ** 2)


def gaussian(x: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """2√(ln 2/π)/w · exp(−4 ln 2 (x − x₀)²/w²)."""
    return 2 * np.sqrt(np.log(2) / np.pi) / width * np.exp(-4 * np.log(2) * ((x - centre) / width) ** 2)


def broadened(x: np.ndarray, centres: np.ndarray, areas: np.ndarray, width: float, shape: Lineshape) -> np.ndarray:
    """Sum of lines of given areas on a grid x."""
    return shape(x[:, None], np.asarray(centres)[None], width) @ np.asarray(areas)


def rendered(figure: "Figure", kind: str) -> bytes:
    """A figure's file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160)
    return buffer.getvalue()


def vibrational_spectrum(
    frequencies: np.ndarray,
    ir_intensities: np.ndarray,
    raman_activities: np.ndarray | None = None,
    title: str = "",
    width: float = 15.0,
) -> "Figure":
    """Infrared and, where given, Raman spectrum: sticks (right axis) under Lorentzians of `width` cm⁻¹."""
    panels = [("molar absorption / (km mol⁻¹ cm)", "km mol⁻¹", ir_intensities)]
    if raman_activities is not None:
        panels.append(("Raman / (Å⁴ amu⁻¹ cm)", "Å⁴ amu⁻¹", raman_activities))
    figure, axes = _panels(len(panels), title)
    real = np.asarray(frequencies) > 0
    lines = np.asarray(frequencies)[real]
    x = np.linspace(0.0, max(4000.0, 1.05 * lines.max(initial=0.0)), POINTS)
    for axis, (name, unit, areas) in zip(axes, panels, strict=True):
        areas = np.asarray(areas)[real]
        _draw(axis, x, broadened(x, lines, areas, width, lorentzian), lines, areas, (name, unit))
        axis.set_xlim(x[-1], 0.0)
    axes[-1].set_xlabel("wavenumber / cm⁻¹")
    return figure


def absorption_spectrum(
    energies_ev: np.ndarray, oscillator_strengths: np.ndarray, title: str = "", width: float = 0.4
) -> "Figure":
    """Ultraviolet and visible absorption: oscillator strengths as sticks under Gaussians of `width` eV."""
    figure, axes = _panels(1, title)
    (axis,) = axes
    energies, strengths = np.asarray(energies_ev), np.asarray(oscillator_strengths)
    x = np.linspace(max(0.1, energies.min() - 4 * width), energies.max() + 4 * width, POINTS)
    curve = broadened(x, energies, strengths * MOLAR_ABSORPTION * ELECTRONVOLT / WAVENUMBER, width, gaussian)
    _draw(axis, x, curve, energies, strengths, ("ε / (L mol⁻¹ cm⁻¹)", "oscillator strength"))
    axis.set_xlabel("energy / eV")
    axis.set_xlim(x[0], x[-1])
    wavelengths = axis.secondary_xaxis("top", functions=(_reciprocal, _reciprocal))  # pyright: ignore[reportArgumentType]
    wavelengths.set_xlabel("wavelength / nm", color=TEXT)
    ticks = np.array([100, 120, 150, 200, 250, 300, 400, 500, 700, 1000, 2000, 5000])
    inside = ticks[(ticks > NANOMETRE_EV / x[-1]) & (ticks < NANOMETRE_EV / x[0])]
    wavelengths.set_xticks(inside, [str(tick) for tick in inside])
    wavelengths.minorticks_off()
    return figure


def _reciprocal(value: np.ndarray) -> np.ndarray:
    """The wavelength of an energy, and the energy of a wavelength."""
    return NANOMETRE_EV / np.maximum(value, 1e-6)


def _panels(count: int, title: str) -> "tuple[Figure, list[Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 2.6 * count), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.ravel(figure.subplots(count, 1, sharex=True)))
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=TEXT)
    return figure, axes


def _draw(
    axis: "Axes", x: np.ndarray, curve: np.ndarray, centres: np.ndarray, heights: np.ndarray, names: Sequence[str]
) -> None:
    """A curve on the left axis and sticks on the right one, both from zero."""
    axis.plot(x, curve, color=CURVE, linewidth=1.4)
    axis.fill_between(x, curve, color=CURVE, alpha=0.10, linewidth=0)
    sticks = axis.twinx()
    sticks.vlines(centres, 0.0, heights, color=STICK, linewidth=1.6)
    for side, name, values, colour in ((axis, names[0], curve, CURVE), (sticks, names[1], heights, STICK)):
        side.set_ylabel(name, color=colour)
        side.set_ylim(0.0, 1.08 * max(float(np.max(values, initial=0.0)), 1e-12))
        side.tick_params(colors=TEXT)
        side.spines[["top"]].set_visible(False)
