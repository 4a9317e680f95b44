"""`jqc excite`: excited states and the ultraviolet and visible spectrum of a molecule in a file."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from jqc.cli.calculation import NOT_CONVERGED, Calculation, inputs, outputs, set_up_jax, solve, timed, used_settings
from jqc.cli.info import versions
from jqc.cli.summary import print_columns, print_table, to_dict
from jqc.errors import ConvergenceError, InputError, InstabilityError
from jqc.files import write_atomically, write_json
from jqc.units import ELECTRONVOLT, NANOMETRE

if TYPE_CHECKING:
    from jqc.response import Excitations
    from jqc.response.tddft import OrbitalPair
    from jqc.scf import SCFResult
    from jqc.system import Molecule

RESIDUAL = 1e-6
"""Orbital gradient that a density must reach."""

STABILITY_RESIDUAL = 1e-3
"""Residual of the Hessian's lowest eigenvector; its eigenvalue is right to the square, and never too low."""

COLUMNS = (
    "excitation_energies_ev",
    "wavelengths_nm",
    "oscillator_strengths",
    "multiplicity",
    "transition_dipoles_au",
    "orbital_pairs",
)


@dataclass(frozen=True)
class ExciteCommand(Calculation):
    """Excited states of a molecule by time-dependent density functional theory.

    Exit code: 0 done, 3 not converged, 2 bad input.
    """

    states: Annotated[int, arg(metavar="INT")] = 10
    """How many; of singlets and of triplets each."""
    tda: bool = False
    """Tamm–Dancoff approximation instead of Casida's equations."""
    triplets: bool = False
    """Triplets of a closed shell too."""
    width: Annotated[float, arg(metavar="EV")] = 0.4
    """Full width at half maximum of the plot's lines."""
    plot: Annotated[Path | None, arg(metavar="OUT.png")] = None
    """Draw the spectrum here: .png, .svg or .pdf."""

    def run(self) -> int:
        """Solve, excite, print, write.

        Raises:
            InputError: something given cannot be used, or the density is unstable; no file has been touched.
        """
        with timed() as seconds:
            json_path, plot_path = outputs(self.file, json=self.json, plot=self.plot)
            kind = self._checked_format()
            set_up_jax()
            molecule, guess = inputs(self)
            self._check(molecule)
            result = solve(self, molecule, guess, residual_tolerance=RESIDUAL)
            states = dict.fromkeys(COLUMNS)
            try:
                states = self._states(result.check())
            except ConvergenceError as error:
                print(f"jqc: no excited states: {error}", file=sys.stderr)
        used = {name: getattr(self, name) for name in ("states", "tda", "triplets", "width")}
        numbers = to_dict(result, seconds) | states
        numbers |= {"settings": used_settings(self, molecule) | used, "versions": versions()}
        print_table(numbers)
        if states["orbital_pairs"] is not None:
            _print_states(numbers)
        if json_path:
            write_json(json_path, numbers)
        if plot_path and states["orbital_pairs"] is not None:
            write_atomically(plot_path, self._drawn(numbers, kind))
        return 0 if states["orbital_pairs"] is not None else NOT_CONVERGED

    def _checked_format(self) -> str:
        """The plot's format."""
        from jqc.report import figure_format

        if not (self.width > 0 and math.isfinite(self.width)):
            raise InputError(f"--width is {self.width}; give a positive width in eV.")
        return figure_format(self.plot) if self.plot else ""

    def _check(self, molecule: "Molecule") -> None:
        """Refuse what no SCF could help."""
        from jqc.system.basis import make_mole

        if self.triplets and molecule.spin:
            raise InputError(f"--triplets needs a closed shell, and spin is {molecule.spin}; leave it out.")
        mole = make_mole(molecule, self.basis)
        spins = mole.nelec if molecule.spin else mole.nelec[:1]
        available = sum(n * (mole.nao - n) for n in spins)
        if not 1 <= self.states <= available:
            raise InputError(f"--states is {self.states}; this molecule and basis have 1 to {available}.")

    def _states(self, result: "SCFResult") -> dict[str, Any]:
        """What is written about the states, in order of energy."""
        from jqc.response import excitations
        from jqc.scf.stability import stability

        found = stability(result, spin_resolved=True, tolerance=STABILITY_RESIDUAL)
        rows = []
        for triplet in (False, True)[: 1 + self.triplets]:
            try:
                rows += _rows(excitations(result, self.states, tda=self.tda, triplet=triplet))
            except InstabilityError:
                raise InputError(
                    f"the density is no minimum (lowest orbital Hessian eigenvalue {found.eigenvalue:.1e} Eh), so that "
                    f"Casida's equations have no real {'triplet ' * triplet}solutions; add --tda, or another --guess."
                ) from None
        columns = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
        lowest = {"lowest_orbital_hessian_hartree": found.eigenvalue, "stable": found.stable}
        return dict(zip(COLUMNS, map(list, columns), strict=True)) | lowest

    def _drawn(self, numbers: dict[str, Any], kind: str) -> bytes:
        """The spectrum's file."""
        from jqc.report import absorption_spectrum, rendered

        title = f"{self.file.stem} · {self.xc}/{self.basis} · {'TDA' if self.tda else 'TDDFT'}"
        columns = (numbers[name] for name in ("excitation_energies_ev", "oscillator_strengths"))
        return rendered(absorption_spectrum(*columns, title=title, width=self.width), kind)


def _rows(found: "Excitations") -> list[tuple]:
    """A row of `COLUMNS` for each state."""
    spins = ("",) if len(found.x_plus_y[0]) == 1 else ("α ", "β ")
    return [
        (
            float(energy * ELECTRONVOLT),
            float(NANOMETRE / energy),
            float(found.oscillator_strengths[state]),
            found.multiplicity,
            found.transition_dipoles[state].tolist(),
            [_named(pair, spins[pair.spin]) for pair in found.leading_pairs(state)],
        )
        for state, energy in enumerate(found.energies)
    ]


def _named(pair: "OrbitalPair", spin: str) -> dict[str, Any]:
    """A pair by the names of its orbitals."""
    hole = f"{spin}HOMO" + (f"−{pair.below}" if pair.below else "")
    return {"from": hole, "to": f"{spin}LUMO" + (f"+{pair.above}" if pair.above else ""), "weight": pair.weight}


def _print_states(numbers: dict[str, Any]) -> None:
    """Print a line for each state, and on stderr whether the density below them is unstable."""
    formats = {"excitation_energies_ev": ".4f", "wavelengths_nm": ".1f", "oscillator_strengths": ".4f"}
    energies, wavelengths, strengths = ([f"{x:{form}}" for x in numbers[name]] for name, form in formats.items())
    ways = [
        ", ".join(f"{p['from']} → {p['to']} {p['weight']:.2f}" for p in pairs) for pairs in numbers["orbital_pairs"]
    ]
    columns = {"multiplicity": numbers["multiplicity"], "E / eV": energies, "λ / nm": wavelengths, "f": strengths}
    print_columns(columns | {"orbitals": ways}, left=("multiplicity", "orbitals"))
    if not numbers["stable"]:
        print(
            f"jqc: the density is unstable (lowest orbital Hessian eigenvalue "
            f"{numbers['lowest_orbital_hessian_hartree']:.1e} Eh); lower ones exist, and excited states of this one "
            "are doubtful.",
            file=sys.stderr,
        )
