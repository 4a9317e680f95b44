"""A result as people and programs read it: a table, and a dictionary for JSON. Units are in the names."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jqc.units import DEBYE, ELECTRONVOLT

if TYPE_CHECKING:
    import numpy as np

    from jqc.scf import SCFResult

PARTS = (
    "kinetic",
    "nuclear_attraction",
    "coulomb",
    "exact_exchange",
    "exchange_correlation",
    "nuclear_repulsion",
)
STAGES = ("integrals", "grid", "compile", "scf", "total")


def to_dict(result: "SCFResult", seconds: dict[str, float]) -> dict[str, Any]:
    """Numbers of a result for JSON."""
    molecule, dipole = result.system.molecule, [float(component) * DEBYE for component in result.dipole]
    return {
        "energy_hartree": result.energy,
        "converged": result.converged,
        "status": result.status,
        "iterations": result.iterations,
        "residual": result.residual,
        "energy_parts_hartree": {
            **{name: getattr(result.parts, name) for name in PARTS},
            "smearing": result.smearing,
        },
        "dipole_debye": dipole,
        "dipole_debye_norm": math.hypot(*dipole),
        "homo_lumo_gap_ev": result.gap * ELECTRONVOLT,
        "s2": result.spin_square,
        "mulliken_charges": [float(charge) for charge in result.charges],
        "symbols": list(molecule.symbols),
        "charge": molecule.charge,
        "spin": molecule.spin,
        "n_electrons": molecule.n_electrons,
        "n_electrons_quadrature": result.n_electrons_quadrature,
        "n_ao": int(result.system.n_ao),
        "removed_orbitals": result.removed_orbitals,
        "aux_basis": result.aux_basis,
        "seconds": {stage: seconds.get(stage, 0.0) for stage in STAGES},
    }


def print_table(numbers: dict[str, Any]) -> None:
    """Print what `to_dict` made."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in _rows(numbers):
        table.add_row(name, value)
    console = Console(highlight=False, emoji=False)
    console.print()
    console.print(table)


def _rows(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values as printed."""
    parts, seconds = numbers["energy_parts_hartree"], numbers["seconds"]
    stages = "  ".join(f"{stage} {value:.2f}" for stage, value in seconds.items() if stage != "total")
    labels = (f"{symbol}{at}" for at, symbol in enumerate(numbers["symbols"], start=1))
    charges = zip(labels, numbers["mulliken_charges"], strict=True)
    dipole = " ".join(_number(component, "z.4f") for component in numbers["dipole_debye"])
    basis_note = f", {numbers['removed_orbitals']} linear dependencies removed" if numbers["removed_orbitals"] else ""
    return [
        ("status", numbers["status"]),
        ("energy", f"{_number(numbers['energy_hartree'], '.10f')} Eh"),
        *((f"  {name.replace('_', ' ')}", f"{_number(value, '.10f')} Eh") for name, value in parts.items() if value),
        ("HOMO–LUMO gap", f"{_number(numbers['homo_lumo_gap_ev'], '.4f')} eV"),
        ("dipole", f"{_number(numbers['dipole_debye_norm'], '.4f')} D  ({dipole})"),
        ("⟨S²⟩", _number(numbers["s2"], ".6f")),
        ("Mulliken charges", "  ".join(f"{label} {_number(charge, '+.3f')}" for label, charge in charges)),
        (
            "electrons",
            f"{numbers['n_electrons']}, quadrature {_number(numbers['n_electrons_quadrature'], '.6f')}",
        ),
        ("orbitals", f"{numbers['n_ao']}{basis_note}, fitting set {numbers['aux_basis']}"),
        ("seconds", f"{seconds['total']:.2f}  ({stages})"),
    ]


def _number(value: float | None, form: str) -> str:
    return format(value, form) if value is not None and math.isfinite(value) else "undefined"


def print_atoms(title: str, symbols: Sequence[str], rows: "np.ndarray") -> None:
    """Print three components per atom."""
    print(f"\n{title}")
    for at, (symbol, row) in enumerate(zip(symbols, rows, strict=True), start=1):
        print(f"{symbol + str(at):>5} " + " ".join(f"{component:>z14.8f}" for component in row))


def print_columns(columns: Mapping[str, Sequence[str]], left: Sequence[str] = ()) -> None:
    """Print a numbered table from its columns; those in `left` are aligned there."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right")
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=name not in left)
    for at, row in enumerate(zip(*columns.values(), strict=True), start=1):
        table.add_row(str(at), *row)
    console = Console(highlight=False, emoji=False)
    console.print()
    console.print(table)
