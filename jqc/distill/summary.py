"""Means over molecules: what a table says of a functional."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jqc.distill.relative import Row, relative_energies
from jqc.units import KILOCALORIE

MEASURES = (
    "energy_error_hartree",
    "density_energy_error_hartree",
    "classical_energy_error_hartree",
    "density_distance_au",
    "density_distance_per_electron_au",
    "dipole_error_debye",
    "fock_builds",
    "fock_builds_minao",
    "fock_builds_pbe",
    "singlet_error_ev",
    "triplet_error_ev",
)
"""Numbers of a row of which statistics are made."""


def statistics(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """Mean, median, largest and standard error of the magnitudes, the mean with signs, and how many there are.

    What is None is left out and counted as `missing`.

    >>> statistics([1.0, -3.0, None])["mean"], statistics([1.0, -3.0, None])["missing"]
    (2.0, 1)
    """
    given = list(values)
    signed = np.array([value for value in given if value is not None], float)
    sizes, count = np.abs(signed), len(signed)
    numbers = {"mean": sizes.mean, "median": lambda: np.median(sizes), "max": sizes.max, "signed_mean": signed.mean}
    spread = float(sizes.std(ddof=1) / np.sqrt(count)) if count > 1 else None
    return {
        **{name: float(number()) if count else None for name, number in numbers.items()},
        "standard_error": spread,
        "count": count,
        "missing": len(given) - count,
    }


def summarised(rows: Sequence[Row]) -> dict[str, Any]:
    """Statistics of a functional's rows: `MEASURES`, relative energies, savings, and what became of calculations.

    A saving 1 − Σ n_own/Σ n_start is over molecules that have both counts; iterations are those of converged SCFs.
    """
    converged = [row for row in rows if row["scf"] == "converged"]
    return {
        "molecules": len(rows),
        "scf_converged": len(converged),
        "iterations": statistics(row["iterations"] for row in converged),
        **{name: statistics(row[name] for row in rows) for name in MEASURES},
        **_relative_statistics(rows),
        "saving_minao": _saving(rows, "fock_builds_minao"),
        "saving_pbe": _saving(rows, "fock_builds_pbe"),
        "statuses": {
            name: dict(sorted(Counter(row[name] for row in rows).items()))
            for name in ("scf", "teacher", "singlets", "triplets", "reference_singlets", "reference_triplets")
        },
    }


def _relative_statistics(rows: Sequence[Row]) -> dict[str, Any]:
    """Statistics of relative energies in both units that they are told in."""
    found = {}
    for kind, pairs in relative_energies(rows).items():
        errors = [each["error_hartree"] for each in pairs]
        found[f"{kind}_error_hartree"] = statistics(errors)
        found[f"{kind}_error_kcal_per_mol"] = statistics(
            None if error is None else error * KILOCALORIE for error in errors
        )
    return found


def _saving(rows: Sequence[Row], start: str) -> float | None:
    """Share of Fock matrices that a functional's density saves."""
    pairs = [(row["fock_builds"], row[start]) for row in rows if None not in (row["fock_builds"], row[start])]
    own, other = (sum(counts) for counts in zip(*pairs, strict=True)) if pairs else (0, 0)
    return 1 - own / other if other else None
