"""`jqc excite`: excited states and the UV/Vis spectrum of a molecule in a file."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from jqc.cli.calculation import NOT_CONVERGED, Calculation, inputs, outputs, set_up_jax, solve, timed, used_settings
from jqc.cli.files import figure_format, write_atomically, write_json
from jqc.cli.info import versions
from jqc.cli.summary import print_columns, print_table, to_dict
from jqc.errors import ConvergenceError, InputError
from jqc.units import ELECTRONVOLT, NANOMETRE_EV

if TYPE_CHECKING:
    from jqc.response import Excitations
    from jqc.scf import SCFResult

RESIDUAL = 1e-6
"""Orbital gradient that a density must reach."""

UNKNOWN = ("excitation_energies_ev", "oscillator_strengths", "multiplicity")
"""What is null in the JSON file of an SCF that did not converge."""


@dataclass(frozen=True)
class ExciteCommand(Calculation):
    """Excited states by time-dependent Kohn–Sham theory: energies, oscillator strengths, UV/Vis spectrum.

    Exit code: 0 done, 3 not converged, 2 bad input.
    """

    states: Annotated[int, arg(metavar="INT")] = 10
    """How many states, of each multiplicity."""
    tda: bool = False
    """Tamm–Dancoff approximation."""
    triplets: bool = False
    """Triplets of a closed shell too."""
    width: Annotated[float, arg(metavar="EV")] = 0.4
    """Full width at half maximum of the bands that are drawn."""
    plot: Annotated[Path | None, arg(metavar="OUT.png")] = None
    """Draw the UV/Vis spectrum here: .png, .svg or .pdf."""

    def run(self) -> int:
        """Solve, diagonalise, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        if self.states < 1:
            raise InputError(f"--states is {self.states}; ask for at least one.")
        if not (self.width > 0 and math.isfinite(self.width)):
            raise InputError(f"--width is {self.width}; give a positive number of electronvolts.")
        kind = figure_format(self.plot) if self.plot else ""
        with timed() as seconds:
            json_path, plot_path = outputs(self.file, json=self.json, plot=self.plot)
            set_up_jax()
            molecule, guess = inputs(self)
            if self.triplets and molecule.spin:
                raise InputError(f"--triplets needs a closed shell; this one has {molecule.spin} unpaired electrons.")
            result = solve(self, molecule, guess, residual_tolerance=RESIDUAL)
            try:
                answers = _answers(self, result) if result.converged else {}
            except ConvergenceError as error:
                print(f"jqc: {error}", file=sys.stderr)
                return NOT_CONVERGED
        numbers: dict[str, Any] = to_dict(result, seconds) | (answers or dict.fromkeys(UNKNOWN))
        numbers |= {"settings": used_settings(self, molecule), "versions": versions()}
        numbers["settings"] |= {"states": self.states, "tda": self.tda}
        print_table(numbers)
        if answers:
            _print_states(numbers)
        if json_path:
            write_json(json_path, numbers)
        if plot_path and answers:
            from jqc.report import absorption_spectrum, rendered

            columns = (numbers["excitation_energies_ev"], numbers["oscillator_strengths"])
            title = f"{self.file.name}, {'TDA-' if self.tda else ''}{self.xc}/{self.basis}"
            write_atomically(plot_path, rendered(absorption_spectrum(*columns, title, self.width), kind))
        return 0 if result.converged else NOT_CONVERGED


def _answers(options: ExciteCommand, result: "SCFResult") -> dict[str, Any]:
    """States of every multiplicity in rising order, for JSON."""
    from jqc.response import excitations
    from jqc.scf.stability import UNSTABLE, stability

    lowest = stability(result).eigenvalue
    if lowest < UNSTABLE:
        print(
            f"jqc: the density is unstable (lowest orbital Hessian eigenvalue {lowest:.1e} Eh); lower ones exist.",
            file=sys.stderr,
        )
    rows = []
    for triplet in (False, True) if options.triplets else (False,):
        found = excitations(result, options.states, tda=options.tda, triplet=triplet)
        rows += [_state(found, state) for state in range(options.states)]
    rows.sort(key=lambda row: row["excitation_energies_ev"])
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return columns | {"lowest_orbital_hessian_hartree": lowest}


def _state(found: "Excitations", state: int) -> dict[str, Any]:
    energy = float(found.energies[state]) * ELECTRONVOLT
    return {
        "excitation_energies_ev": energy,
        "wavelengths_nm": NANOMETRE_EV / energy,
        "oscillator_strengths": float(found.oscillator_strengths[state]),
        "multiplicity": found.multiplicity,
        "transition_dipoles_au": found.transition_dipoles[state].tolist(),
        "dominant_transitions": _dominant(found, state),
    }


def _dominant(found: "Excitations", state: int) -> str:
    """The pair of orbitals with the largest amplitude, counted from the frontier, and its weight."""
    import numpy as np

    x = 0.5 * (found.x_plus_y[state] + found.x_minus_y[state])
    spin, virtual, occupied = np.unravel_index(np.argmax(np.abs(x)), x.shape)
    holes = int((np.abs(np.asarray(found.at.occupied[spin])).max(axis=0) > 0).sum())
    below, above = holes - 1 - int(occupied), int(virtual)
    label = "" if len(x) == 1 else " αβ"[1 + int(spin)]
    names = (f"H{-below if below else ''}", f"L{f'+{above}' if above else ''}")
    return f"{names[0]}→{names[1]}{label} {x[spin, virtual, occupied] ** 2 / np.sum(x**2):.0%}"


def _print_states(numbers: dict[str, Any]) -> None:
    print_columns(
        {
            "multiplicity": numbers["multiplicity"],
            "energy / eV": numbers["excitation_energies_ev"],
            "λ / nm": numbers["wavelengths_nm"],
            "strength": numbers["oscillator_strengths"],
            "mostly": numbers["dominant_transitions"],
        }
    )
