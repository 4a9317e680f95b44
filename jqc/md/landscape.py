"""Free energies along a variable of a run: from the hills of its metadynamics, or counted in its frames."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jqc.archive import read_arrays
from jqc.errors import InputError
from jqc.md import observables as obs
from jqc.md.config import from_dict, variables_of
from jqc.md.ensembles.metadynamics import Hills, Metadynamics
from jqc.md.job import CONFIG, RESTART
from jqc.md.observed import BINS, Curve, Number
from jqc.md.trajectory import Trajectory
from jqc.md.variables import Distance, Variable
from jqc.typing import Float
from jqc.units import ANGSTROM, ELECTRONVOLT

COUNTED = 50
"""Bins of a variable's values in frames."""


def free_energy(run_folder: Path, along: str, trajectory: Trajectory) -> Curve:
    """F along a variable such as "dihedral 0 1 2 3"; without one, along the first of the run's metadynamics.

    Raises:
        InputError: no variable, one that is none, or one along which frames were pushed by a bias.
    """
    ensemble = _ensemble(run_folder)
    biased = isinstance(ensemble, Metadynamics)
    if not along and isinstance(ensemble, Metadynamics):
        return _of_hills(ensemble, run_folder)
    if not along or biased:
        held = "is biased, so that its frames cannot be counted" if biased else "has no bias along variables"
        raise InputError(f"{run_folder} {held}; {'leave out' if biased else 'give'} the variable.")
    (variable,) = variables_of({"variables": [along], "widths": [1.0]})
    return _counted(variable, trajectory)


def _ensemble(run_folder: Path):
    try:
        return from_dict(json.loads((run_folder / CONFIG).read_text())).make_ensemble()
    except (OSError, ValueError):
        raise InputError(f"{run_folder / CONFIG} cannot be read; give the folder of a run.") from None


def _of_hills(ensemble: Metadynamics, run_folder: Path) -> Curve:
    """What the hills have filled; other variables are summed over, e^{−F(s)/kT} = Σ e^{−F(s, s')/kT}."""
    held = read_arrays(run_folder / RESTART)
    try:
        centres, heights, count = (jnp.asarray(held[f".extra.{name}"]) for name in ("centres", "heights", "count"))
    except KeyError:
        raise InputError(
            f"{run_folder / RESTART} holds no hills; give the folder of a run with metadynamics."
        ) from None
    if not (number := int(count)):
        raise InputError(f"{run_folder} has no hills yet; simulate for longer.")
    ranges = [
        _range(variable, np.asarray(centres[:number, at]), float(width))
        for at, (variable, width) in enumerate(zip(ensemble.variables, ensemble.widths, strict=True))
    ]
    points = jnp.stack(jnp.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(ranges))
    found = ensemble.free_energy(points, Hills(centres, heights, count, None)).reshape(len(ranges[0]), -1)
    kT = ensemble.temperature
    summed = -kT * jax.scipy.special.logsumexp(-found / kT, axis=1)
    return _curve(ensemble.variables[0], ranges[0], np.asarray(summed), f"{number} hills")


def _range(variable: Variable, seen: Float[np.ndarray, "hill"], width: float) -> Float[np.ndarray, "point"]:
    """Values at which the free energy is told: a whole period, or where hills are."""
    if variable.period is not None:
        return np.linspace(-0.5 * variable.period, 0.5 * variable.period, BINS + 1)
    return np.linspace(seen.min() - width, seen.max() + width, BINS + 1)


def _counted(variable: Variable, trajectory: Trajectory) -> Curve:
    """−kT ln p(s) of frames that no bias has pushed."""
    frames = trajectory.frames
    cells = None if frames.cell is None else jnp.asarray(frames.cell)
    values = np.asarray(jax.vmap(variable, (0, None if cells is None else 0))(jnp.asarray(frames.positions), cells))
    edges = np.linspace(values.min(), values.max(), COUNTED + 1)
    found = obs.free_energy(values, float(np.mean(frames.temperature)), edges)
    met = np.isfinite(found.energies)
    error = float(np.mean(found.errors[met])) * ELECTRONVOLT
    return _curve(variable, found.centres[met], found.energies[met], f"{len(values)} frames", error)


def _curve(
    variable: Variable,
    values: Float[np.ndarray, "point"],
    energies: Float[np.ndarray, "point"],
    source: str,
    error: float | None = None,
) -> Curve:
    unit, name = (ANGSTROM, "Å") if isinstance(variable, Distance) else (180 / np.pi, "°")
    kind, energies = type(variable).__name__.lower(), (energies - energies.min()) * ELECTRONVOLT
    numbers: dict[str, Number] = {
        f"minimum {name}, of {source}": (float(values[energies.argmin()] * unit), None),
        "highest eV": (float(energies.max()), None),
    }
    if error is not None:
        numbers["mean standard error eV"] = (error, None)
    return Curve("free-energy", f"{kind} / {name}", "free energy / eV", values * unit, energies, numbers)
