"""`jqc vibrations`: normal modes, infrared and Raman spectra and thermochemistry of a molecule in a file."""

import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from jqc.cli.calculation import NOT_CONVERGED, Calculation, inputs, outputs, set_up_jax, solve, timed, used_settings
from jqc.cli.info import versions
from jqc.cli.summary import print_columns, print_table, to_dict
from jqc.errors import InputError
from jqc.files import write_atomically, write_json

if TYPE_CHECKING:
    from jqc.response import Thermochemistry, Vibrations
    from jqc.scf import SCFResult

RESIDUAL = 1e-6
"""Orbital gradient that a density must reach."""

UNKNOWN = ("frequencies_cm1", "ir_intensities_km_per_mol", "raman_activities_a4_per_amu", "polarizability_au")
"""What is null in the JSON file of an SCF that did not converge."""

STABILITY_RESIDUAL = 1e-3
"""Residual of the Hessian's lowest eigenvector; its eigenvalue is right to the square, and never too low."""

STATIONARY = 1e-3
"""Largest force in Eh/bohr at which frequencies are those of a stationary point."""


@dataclass(frozen=True)
class VibrationsCommand(Calculation):
    """Normal modes of a molecule at rest: frequencies, infrared and Raman intensities, thermochemistry.

    Exit code: 0 done, 3 not converged, 2 bad input.
    """

    raman: bool = True
    """Raman activities and the polarizability too."""
    temperature: Annotated[float, arg(metavar="KELVIN")] = 298.15
    """Temperature of the gas."""
    pressure: Annotated[float, arg(metavar="PASCAL")] = 101325.0
    """Pressure of the gas."""
    plot: Annotated[Path | None, arg(metavar="OUT.png")] = None
    """Draw the spectra here: .png, .svg or .pdf."""

    def run(self) -> int:
        """Solve, differentiate twice and thrice, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        for name in ("temperature", "pressure"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"--{name} is {value}; give a positive number.")
        with timed() as seconds:
            json_path, plot_path = outputs(self.file, json=self.json, plot=self.plot)
            kind = _format(self.plot) if self.plot else ""
            set_up_jax()
            molecule, guess = inputs(self)
            if len(molecule.symbols) < 2:
                raise InputError(f"{self.file} holds one atom, which does not vibrate; give a molecule.")
            result = solve(self, molecule, guess, moving=True, residual_tolerance=RESIDUAL)
            answers = _answers(self, result) if result.converged else {}
        numbers: dict[str, Any] = to_dict(result, seconds) | (answers or dict.fromkeys(UNKNOWN))
        numbers |= {"settings": used_settings(self, molecule), "versions": versions()}
        print_table(numbers)
        if answers:
            _print_modes(numbers)
            _warn(numbers)
        if json_path:
            write_json(json_path, numbers)
        if plot_path and answers:
            from jqc.report import rendered, vibrational_spectrum

            columns = ("frequencies_cm1", "ir_intensities_km_per_mol", "raman_activities_a4_per_amu")
            title = f"{self.file.name}, {self.xc}/{self.basis}"
            figure = vibrational_spectrum(*(numbers[name] for name in columns), title=title)
            write_atomically(plot_path, rendered(figure, kind))
        return 0 if result.converged else NOT_CONVERGED


def _format(plot: Path) -> str:
    from jqc.report import figure_format

    return figure_format(plot)


def _answers(options: VibrationsCommand, result: "SCFResult") -> dict[str, Any]:
    """What the modes say, for JSON."""
    from jqc.response import thermochemistry, vibrations
    from jqc.scf.stability import stability

    found = vibrations(result, raman=options.raman)
    gas = thermochemistry(found, options.temperature, options.pressure)
    lowest = stability(result, tolerance=STABILITY_RESIDUAL)
    stable = {"lowest_orbital_hessian_hartree": lowest.eigenvalue, "stable": lowest.stable}
    return _modes(found) | _gas(gas) | stable


def _modes(found: "Vibrations") -> dict[str, Any]:
    as_list = lambda array: None if array is None else array.tolist()  # noqa: E731
    return {
        "frequencies_cm1": as_list(found.frequencies),
        "ir_intensities_km_per_mol": as_list(found.ir_intensities),
        "raman_activities_a4_per_amu": as_list(found.raman_activities),
        "depolarization_ratios": as_list(found.depolarization_ratios),
        "polarizability_au": as_list(found.polarizability),
        "reduced_masses_amu": as_list(found.reduced_masses),
        "normal_modes": as_list(found.modes),
        "hessian_hartree_per_bohr2": as_list(found.hessian),
        "n_imaginary": found.n_imaginary,
        "largest_force_hartree_per_bohr": found.largest_force,
        "stationary": found.largest_force < STATIONARY,
    }


def _gas(gas: "Thermochemistry") -> dict[str, Any]:
    units = {"temperature": "k", "pressure": "pa", "entropy": "hartree_per_k", "symmetry_number": None}
    names = {name: units.get(name, "hartree") for name in asdict(gas)}
    named = {f"{name}_{unit}" if unit else name: float(getattr(gas, name)) for name, unit in names.items()}
    return {"thermochemistry": named}


def _print_modes(numbers: dict[str, Any]) -> None:
    columns = {
        "mode / cm⁻¹": ("frequencies_cm1", ".1f"),
        "IR / (km/mol)": ("ir_intensities_km_per_mol", ".3f"),
        "Raman / (Å⁴/amu)": ("raman_activities_a4_per_amu", ".3f"),
        "depolarization": ("depolarization_ratios", ".3f"),
        "mass / amu": ("reduced_masses_amu", ".3f"),
    }
    given = {title: (numbers[name], form) for title, (name, form) in columns.items() if numbers[name] is not None}
    print_columns({title: [f"{value:z{form}}" for value in values] for title, (values, form) in given.items()})
    gas = numbers["thermochemistry"]
    print(f"\nideal gas at {gas['temperature_k']:g} K and {gas['pressure_pa']:g} Pa")
    for name in ("zero_point_energy", "enthalpy", "free_energy"):
        print(f"{name.replace('_', ' '):>18} {gas[name + '_hartree']:>16.8f} Eh")
    print(f"{'entropy':>18} {gas['entropy_hartree_per_k']:>16.8f} Eh/K, symmetry number {gas['symmetry_number']:.0f}")


def _warn(numbers: dict[str, Any]) -> None:
    """What makes these frequencies doubtful, on stderr."""
    force, lowest = numbers["largest_force_hartree_per_bohr"], numbers["lowest_orbital_hessian_hartree"]
    if not numbers["stationary"]:
        print(
            f"jqc: the geometry is not stationary (largest force {force:.1e} Eh/bohr); run jqc optimize first.",
            file=sys.stderr,
        )
    if numbers["n_imaginary"]:
        print(
            f"jqc: {numbers['n_imaginary']} imaginary mode(s), printed as negative and left out of thermochemistry; "
            "the geometry is no minimum.",
            file=sys.stderr,
        )
    if not numbers["stable"]:
        print(
            f"jqc: the density is unstable (lowest orbital Hessian eigenvalue {lowest:.1e} Eh); lower ones exist.",
            file=sys.stderr,
        )
