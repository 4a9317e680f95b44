"""Spectra: sticks under a broadened curve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jqc.report.figure import CURVE, FRAME, STICK, TEXT, blank
from jqc.units import ELECTRONVOLT, MOLAR_ABSORPTION, NANOMETRE, WAVENUMBER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 2000
NANOMETRES = (*range(20, 200, 10), *range(200, 500, 50), *range(500, 1000, 100), *range(1000, 6000, 1000))
"""Wavelengths that may get a tick."""

CROWDED = 0.06
"""Ticks closer than this fraction of the axis are left out."""

Lineshape = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Profile of area one, of (x, centre, full width at half maximum)."""


def lorentzian(x: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """(w/2π)/((x − x₀)² + (w/2)²).

    >>> half, top = lorentzian(np.array([0.5, 0.0]), np.zeros(2), 1.0)
    >>> bool(np.isclose(half / top, 0.5))
    True
    """
    return width / (2 * np.pi) / ((x - centre) ** 2 + (0.5 * width) ** 2)


def gaussian(x: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """2√(ln 2/π)/w · exp(−4 ln 2 (x − x₀)²/w²)."""
    return 2 * np.sqrt(np.log(2) / np.pi) / width * np.exp(-4 * np.log(2) * ((x - centre) / width) ** 2)


def broadened(x: np.ndarray, centres: np.ndarray, areas: np.ndarray, width: float, shape: Lineshape) -> np.ndarray:
    """Sum of lines of given areas on a grid x."""
    return shape(x[:, None], np.asarray(centres)[None], width) @ np.asarray(areas)


def molar_absorption(x_ev: np.ndarray, energies_ev: np.ndarray, strengths: np.ndarray, width: float) -> np.ndarray:
    """Molar extinction coefficient ε(E) in L mol⁻¹ cm⁻¹, Gaussians of `width` eV.

        ε(E) = [e² N_A/(4 mₑ c² ε₀ ln 10)] Σ_n f_n g(E − E_n) dE/dν̃,     f = 4.319e-9 ∫ε dν̃

    with ν̃ in cm⁻¹ (Mulliken, J. Chem. Phys. 7, 14 (1939), doi:10.1063/1.1750317).
    """
    areas = np.asarray(strengths) * MOLAR_ABSORPTION * ELECTRONVOLT / WAVENUMBER
    return broadened(x_ev, energies_ev, areas, width, gaussian)


@dataclass(frozen=True)
class Panel:
    """One spectrum: a curve on the x of all panels, sticks, and the names of both with their units."""

    curve: np.ndarray
    centres: np.ndarray
    heights: np.ndarray
    curve_name: str
    stick_name: str


def stick_spectrum(x: np.ndarray, panels: Sequence[Panel], x_name: str, title: str = "") -> "Figure":
    """Spectra one above the other: curves on the left axes, sticks on the right ones, all from zero."""
    figure, axes = blank(len(panels), title)
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, x, panel)
    axes[-1].set_xlabel(x_name, color=TEXT)
    axes[-1].set_xlim(x[0], x[-1])
    return figure


def vibrational_spectrum(
    frequencies: np.ndarray,
    ir_intensities: np.ndarray,
    raman_activities: np.ndarray | None = None,
    title: str = "",
    width: float = 15.0,
) -> "Figure":
    """Infrared and, where given, Raman spectrum: sticks (right axis) under Lorentzians of `width` cm⁻¹."""
    real = np.asarray(frequencies) > 0
    lines = np.asarray(frequencies)[real]
    x = np.linspace(max(4000.0, 1.05 * lines.max(initial=0.0)), 0.0, POINTS)

    def panel(intensities: np.ndarray, curve_name: str, stick_name: str) -> Panel:
        areas = np.asarray(intensities)[real]
        return Panel(broadened(x, lines, areas, width, lorentzian), lines, areas, curve_name, stick_name)

    panels = [panel(ir_intensities, "molar absorption / (km mol⁻¹ cm)", "km mol⁻¹")]
    if raman_activities is not None:
        panels.append(panel(raman_activities, "Raman / (Å⁴ amu⁻¹ cm)", "Å⁴ amu⁻¹"))
    return stick_spectrum(x, panels, "wavenumber / cm⁻¹", title)


def absorption_spectrum(
    energies_ev: np.ndarray, oscillator_strengths: np.ndarray, title: str = "", width: float = 0.4
) -> "Figure":
    """Ultraviolet and visible absorption: oscillator strengths as sticks under Gaussians of `width` eV."""
    energies, strengths = np.asarray(energies_ev), np.asarray(oscillator_strengths)
    margin = max(4 * width, 0.1)
    x = np.linspace(max(0.1, energies.min() - margin), energies.max() + margin, POINTS)
    curve = molar_absorption(x, energies, strengths, width)
    panel = Panel(curve, energies, strengths, "ε / (L mol⁻¹ cm⁻¹)", "oscillator strength")
    figure = stick_spectrum(x, [panel], "energy / eV", title)
    _add_wavelengths(figure.axes[0], x)
    return figure


def _add_wavelengths(axis: "Axes", x_ev: np.ndarray) -> None:
    """A second axis on top, in nanometres."""
    top = axis.secondary_xaxis("top", functions=(_reciprocal, _reciprocal))
    kept, last = [], np.inf
    for tick in NANOMETRES:
        energy = _reciprocal(tick)
        if x_ev[0] < energy < x_ev[-1] and last - energy > CROWDED * (x_ev[-1] - x_ev[0]):
            kept.append(tick)
            last = energy
    top.set_xticks(kept, [str(tick) for tick in kept])
    top.minorticks_off()
    top.set_xlabel("wavelength / nm", color=TEXT)
    top.tick_params(colors=FRAME, labelcolor=TEXT)
    top.spines["top"].set_color(FRAME)


def _reciprocal(value: ArrayLike) -> Any:
    """The wavelength in nm of an energy in eV, and the energy of a wavelength."""
    return NANOMETRE * ELECTRONVOLT / np.maximum(value, 1e-6)


def _draw(axis: "Axes", x: np.ndarray, panel: Panel) -> None:
    axis.plot(x, panel.curve, color=CURVE, linewidth=1.4)
    axis.fill_between(x, panel.curve, color=CURVE, alpha=0.10, linewidth=0)
    sticks = axis.twinx()
    sticks.vlines(panel.centres, 0.0, panel.heights, color=STICK, linewidth=1.4)
    named = ((axis, panel.curve_name, panel.curve, CURVE), (sticks, panel.stick_name, panel.heights, STICK))
    for side, name, values, colour in named:
        side.set_ylabel(name, color=colour)
        side.set_ylim(0.0, 1.08 * float(np.max(values, initial=0.0)) or 1.0)
        side.tick_params(colors=FRAME, labelcolor=TEXT)
        side.spines["top"].set_visible(False)
        side.spines[["left", "right", "bottom"]].set_color(FRAME)
