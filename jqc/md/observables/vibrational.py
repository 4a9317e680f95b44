"""Vibrational spectra of trajectories: densities of states, infrared and Raman, in absolute units.

    κ(ν̃) = (N_A β/6ε₀c) ∫ dt e^{−iωt} ⟨μ̇(0)·μ̇(t)⟩,     ∫κ dν̃ = N_A β ⟨|μ̇|²⟩/12ε₀c²

molar napierian, with the harmonic quantum correction in it, the one that keeps fluctuation and dissipation in balance
(Ramírez, López-Ciudad, Kumar & Marx, J. Chem. Phys. 121, 3973 (2004), doi:10.1063/1.1774986). The second equation is
the sum rule. Central differences μ̇ ≈ (μ(t+Δt) − μ(t−Δt))/2Δt are low by sin(ωΔt)/ωΔt, for which spectra are corrected.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.observables.correlation import autocorrelation, power_spectrum
from jqc.typing import Float
from jqc.units import AMU, ANGSTROM, IR_INTENSITY, WAVENUMBER


@dataclass(frozen=True)
class Spectrum:
    """Wavenumbers in cm⁻¹, and a density over them."""

    wavenumbers: Float[np.ndarray, "frequency"]
    density: Float[np.ndarray, "frequency"]

    def area(self, low: float = 0.0, high: float = np.inf) -> float:
        """Integral of the density between two wavenumbers."""
        inside = (self.wavenumbers >= low) & (self.wavenumbers <= high)
        return float(np.trapezoid(self.density[inside], self.wavenumbers[inside]))


def density_of_states(
    momenta: Float[np.ndarray, "frame atom 3"],
    masses: Float[np.ndarray, "atom"],
    interval: float,
    temperature: float,
    length: int | None = None,
) -> Spectrum:
    """Power spectrum Σ m ⟨v·v⟩/kT of velocities, whose area counts the modes.

    `interval` is the time between frames, `temperature` kT, `length` the lags of the correlation.
    """
    scaled = np.asarray(momenta) / np.sqrt(np.asarray(masses))[:, None] / np.sqrt(temperature)
    return _spectrum(scaled, interval, length)


def infrared(
    dipoles: Float[np.ndarray, "frame 3"], interval: float, temperature: float, length: int | None = None
) -> Spectrum:
    """Molar napierian absorption κ; its area is in km/mol.

    Dipoles in e·bohr, `interval` the time between frames and `temperature` kT in atomic units.
    """
    slopes = _slopes(np.asarray(dipoles), interval)
    found = _spectrum(slopes, interval, length)
    return Spectrum(found.wavenumbers, IR_INTENSITY / temperature * found.density / lowered(found, interval))


def infrared_sum(dipoles: Float[np.ndarray, "frame 3"], interval: float, temperature: float) -> float:
    """∫κ dν̃ in km/mol by the sum rule, from the same differences without their correction."""
    slopes = _slopes(np.asarray(dipoles), interval)
    return float(IR_INTENSITY / temperature * np.mean(np.sum(slopes**2, axis=-1)))


def raman_activity(
    polarizabilities: Float[np.ndarray, "frame 3 3"], interval: float, temperature: float, length: int | None = None
) -> Spectrum:
    """Scattering activity 45a′² + 7γ′²; its area over a band is the band's activity in Å⁴/amu."""
    mean, rest = _parts_of_raman(polarizabilities, interval, length)
    density = (45 * mean.density + 7 * rest.density) / temperature * ANGSTROM**4 / AMU
    return Spectrum(mean.wavenumbers, density / lowered(mean, interval))


def raman(
    polarizabilities: Float[np.ndarray, "frame 3 3"],
    interval: float,
    temperature: float,
    laser: float = 18797.0,
    length: int | None = None,
) -> tuple[Spectrum, Spectrum]:
    """Intensities parallel and perpendicular to the polarization of a laser of this wavenumber.

    (ν̃₀ − ν̃)⁴/(ν̃₀⁴ ν̃ (1 − e^{−hcν̃/kT})) {a′² + 4γ′²/45, γ′²/15} in a.u. (Thomas, Brehm, Fligg, Vöhringer & Kirchner,
    Phys. Chem. Chem. Phys. 15, 6608 (2013), doi:10.1039/c3cp44302g).
    """
    mean, rest = _parts_of_raman(polarizabilities, interval, length)
    nu = np.maximum(mean.wavenumbers, 1e-9)
    quanta = 1 / (1 - np.exp(-nu / WAVENUMBER / temperature))
    factor = (1 - nu / laser) ** 4 * quanta / nu / temperature / lowered(mean, interval)
    parallel = factor * (mean.density + 4 / 45 * rest.density)
    return Spectrum(mean.wavenumbers, parallel), Spectrum(mean.wavenumbers, factor * rest.density / 15)


def _parts_of_raman(polarizabilities, interval: float, length: int | None) -> tuple[Spectrum, Spectrum]:
    """Spectra of ȧ² and γ̇², of the polarizability's mean and its anisotropy."""
    slopes = _slopes(np.asarray(polarizabilities), interval)
    mean = np.trace(slopes, axis1=-2, axis2=-1) / 3
    rest = slopes - mean[:, None, None] * np.eye(3)
    found = _spectrum(rest, interval, length)
    # γ² = ½Σ(α_ii − α_jj)² + 3Σα_ij² over i < j is 3/2 of the traceless part's square.
    return _spectrum(mean, interval, length), Spectrum(found.wavenumbers, 1.5 * found.density)


def _slopes(series: np.ndarray, interval: float) -> np.ndarray:
    if len(series) < 8:
        raise InputError(f"{len(series)} frames make no spectrum; give at least 8.")
    return (series[2:] - series[:-2]) / (2 * interval)


def _spectrum(series: np.ndarray, interval: float, length: int | None) -> Spectrum:
    omega, density = power_spectrum(autocorrelation(jnp.asarray(series), length), interval)
    return Spectrum(np.asarray(omega) * WAVENUMBER, np.asarray(density) / WAVENUMBER)


def lowered(spectrum: Spectrum, interval: float) -> np.ndarray:
    """What central differences do to a spectrum, at least a tenth: what they hardly see is not made up for."""
    phase = spectrum.wavenumbers / WAVENUMBER * interval
    return np.maximum(np.sinc(phase / np.pi) ** 2, 0.1)
