"""What a trajectory shows, in the units of files: curves with names on their axes, and numbers with errors."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md import observables as obs
from jqc.md.space import widths
from jqc.md.trajectory import Trajectory
from jqc.typing import Float
from jqc.units import ANGSTROM, ELECTRONVOLT, FEMTOSECOND, GIGAPASCAL, KELVIN

BINS = 200
"""Of distances."""


Number = tuple[float, float | None]
"""A value and its standard error, where there is one."""


@dataclass(frozen=True)
class Curve:
    """A curve, the names of its axes, and numbers by name with their standard errors (None where there is none)."""

    name: str
    x_name: str
    y_name: str
    x: Float[np.ndarray, "point"]
    y: Float[np.ndarray, "point"]
    numbers: dict[str, Number] = field(default_factory=dict)


def energy(trajectory: Trajectory) -> Curve:
    """What is conserved, its drift by a straight line, temperature and pressure."""
    frames, times = trajectory.frames, _femtoseconds(trajectory)
    conserved = np.asarray(frames.conserved)
    slope = np.polyfit(times, conserved, 1)[0] if len(times) > 1 else 0.0
    kelvin = np.asarray(frames.temperature) * KELVIN
    numbers = {
        "temperature K": _mean(kelvin),
        "potential energy eV": _mean(np.asarray(frames.energy) * ELECTRONVOLT),
        "drift of the conserved energy eV/ps": (float(slope) * 1e3 * ELECTRONVOLT, None),
        "drift over kinetic energy 1/ps": (float(slope) * 1e3 / float(np.mean(frames.kinetic)), None),
    }
    if frames.pressure is not None:
        numbers["pressure GPa"] = _mean(np.asarray(frames.pressure) * GIGAPASCAL)
    change = (conserved - conserved[0]) * ELECTRONVOLT
    return Curve("energy", "time / fs", "change of the conserved energy / eV", times, change, numbers)


def rdf(trajectory: Trajectory) -> Curve:
    """g(r) of all atoms."""
    frames = trajectory.frames
    if frames.cell is None:
        raise InputError("a radial distribution function needs a box; ask for h.")
    half = 0.5 * min(float(widths(np.asarray(cell)).min()) for cell in frames.cell)
    edges = np.linspace(0, half, BINS + 1)
    found = np.asarray(obs.rdf(jnp.asarray(frames.positions), frames.cell, jnp.asarray(edges)))
    at = 0.5 * (edges[1:] + edges[:-1]) * ANGSTROM
    top = int(np.argmax(found))
    return Curve(
        "rdf", "distance / Å", "g(r)", at, found, {"first maximum Å": (at[top], None), "its height": (found[top], None)}
    )


def distances(trajectory: Trajectory) -> Curve:
    """h(r), the distribution of all distances."""
    frames = trajectory.frames
    if frames.cell is not None:
        raise InputError("h(r) is of molecules in free space; ask for rdf in a box.")
    positions = jnp.asarray(frames.positions)
    most = float(jnp.max(obs.distances(positions, jnp.asarray(obs.all_pairs(positions.shape[1])))))
    edges = np.linspace(0, 1.05 * most, BINS + 1)
    found = np.asarray(obs.distance_histogram(positions, jnp.asarray(edges)))
    return Curve("h", "distance / Å", "h(r) / Å⁻¹", 0.5 * (edges[1:] + edges[:-1]) * ANGSTROM, found / ANGSTROM)


def msd(trajectory: Trajectory) -> Curve:
    """Mean squared displacement, and the diffusivity of its slope."""
    positions = np.asarray(trajectory.frames.positions)
    masses = np.asarray(trajectory.subject.masses)
    positions = positions - np.einsum("a,fax->fx", masses / masses.sum(), positions)[:, None]
    found = obs.diffusivity(positions, trajectory.interval)
    unit = ANGSTROM**2 / (FEMTOSECOND * 1e-3)
    lags = np.arange(len(positions)) * trajectory.interval * FEMTOSECOND
    half = len(lags) // 2
    numbers: dict[str, Number] = {"diffusivity Å²/ps": (found.value * unit, found.error * unit)}
    return Curve(
        "msd",
        "time / fs",
        "mean squared displacement / Å²",
        lags[:half],
        obs.msd(positions)[:half] * ANGSTROM**2,
        numbers,
    )


def states(trajectory: Trajectory) -> Curve:
    """Density of states from velocities."""
    found = obs.density_of_states(
        np.asarray(trajectory.frames.momenta),
        np.asarray(trajectory.subject.masses),
        trajectory.interval,
        float(np.mean(trajectory.frames.temperature)),
    )
    return _spectrum("vdos", "states / cm", found, {"modes": (found.area(), None)})


def infrared(trajectory: Trajectory) -> Curve:
    """Infrared absorption from dipoles."""
    kT = float(np.mean(trajectory.frames.temperature))
    found = obs.infrared(_property(trajectory, "dipole"), trajectory.interval, kT)
    return _spectrum("ir", "κ / km mol⁻¹ cm", found, {"integrated km/mol": (found.area(), None)})


def raman(trajectory: Trajectory) -> Curve:
    """Raman scattering activity from polarizabilities."""
    kT = float(np.mean(trajectory.frames.temperature))
    found = obs.raman_activity(_property(trajectory, "polarizability"), trajectory.interval, kT)
    return _spectrum("raman", "activity / Å⁴ amu⁻¹ cm", found, {"integrated Å⁴/amu": (found.area(), None)})


def shape(trajectory: Trajectory) -> Curve:
    """Deviation from the first frame after superposition, and the radius of gyration."""
    positions, masses = jnp.asarray(trajectory.frames.positions), jnp.asarray(trajectory.subject.masses)
    off = np.asarray(obs.rmsd(positions, positions[0], masses)) * ANGSTROM
    size = np.asarray(obs.radius_of_gyration(positions, masses)) * ANGSTROM
    numbers = {"RMSD Å": _mean(off), "radius of gyration Å": _mean(size)}
    return Curve("rmsd", "time / fs", "RMSD / Å", _femtoseconds(trajectory), off, numbers)


KINDS: dict[str, Callable[[Trajectory], Curve]] = {
    "energy": energy,
    "rdf": rdf,
    "h": distances,
    "msd": msd,
    "rmsd": shape,
    "vdos": states,
    "ir": infrared,
    "raman": raman,
}
"""Names of what can be looked at."""


def _femtoseconds(trajectory: Trajectory) -> Float[np.ndarray, "frame"]:
    return np.asarray(trajectory.times) * FEMTOSECOND


def _mean(series: Float[np.ndarray, "frame"]) -> Number:
    if len(series) < 4:
        return float(series.mean()), None
    found = obs.mean(series)
    return found.value, found.error


def _spectrum(name: str, y_name: str, found: obs.Spectrum, numbers: dict[str, Number]) -> Curve:
    shown = found.wavenumbers <= 4500
    return Curve(name, "wavenumber / cm⁻¹", y_name, found.wavenumbers[shown], found.density[shown], numbers)


def _property(trajectory: Trajectory, name: str) -> np.ndarray:
    held = trajectory.frames.properties
    if name not in held:
        raise InputError(f"the trajectory holds no {name}; simulate with a potential that has one.")
    return np.asarray(held[name])
