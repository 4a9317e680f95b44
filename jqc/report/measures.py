"""The table of an evaluation: one row for each functional, the same on a terminal and on a page."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jqc.units import MILLIHARTREE

Content = Mapping[str, Any]
"""An evaluation as plain values; see `jqc.distill.evaluate.Evaluation.to_dict`."""


class Column(NamedTuple):
    """A name, a unit, and the text of a cell from a functional's summary."""

    name: str
    unit: str
    cell: Callable[[Mapping[str, Any]], str]


MISSING = "–"


def _mean(key: str, form: str, scale: float = 1.0) -> Callable[[Mapping[str, Any]], str]:
    def cell(summary: Mapping[str, Any]) -> str:
        mean = summary[key]["mean"]
        return MISSING if mean is None else format(scale * mean, form)

    return cell


def _share(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda summary: MISSING if summary[key] is None else format(100 * summary[key], "z.0f")


TABLES: dict[str, tuple[Column, ...]] = {
    "Energies and densities": (
        Column("SCF", "", lambda summary: f"{summary['scf_converged']}/{summary['molecules']}"),
        Column("steps", "", _mean("iterations", ".1f")),
        Column("|ΔE|", "mEh", _mean("energy_error_hartree", ".2f", MILLIHARTREE)),
        Column("isomers", "kcal", _mean("isomerisation_error_kcal_per_mol", ".2f")),
        Column("conf.", "kcal", _mean("conformer_error_kcal_per_mol", ".2f")),
        Column("displ.", "kcal", _mean("displacement_error_kcal_per_mol", ".2f")),
        Column("E_ρ", "mEh", _mean("density_energy_error_hartree", ".3f", MILLIHARTREE)),
        Column("E_h+J", "mEh", _mean("classical_energy_error_hartree", ".2f", MILLIHARTREE)),
        Column("‖Δρ‖", "10⁻³", _mean("density_distance_au", ".2f", 1e3)),
        Column("|Δμ|", "D", _mean("dipole_error_debye", ".3f")),
    ),
    "The teacher's SCF from this density, and excited states": (
        Column("minao", "builds", _mean("fock_builds_minao", ".2f")),
        Column("PBE", "builds", _mean("fock_builds_pbe", ".2f")),
        Column("own", "builds", _mean("fock_builds", ".2f")),
        Column("saving", "%, minao", _share("saving_minao")),
        Column("saving", "%, PBE", _share("saving_pbe")),
        Column("singlets", "eV", _mean("singlet_error_ev", ".3f")),
        Column("triplets", "eV", _mean("triplet_error_ev", ".3f")),
        Column(
            "counted",
            "S, T",
            lambda summary: "{}, {}".format(*(summary[f"{each}_error_ev"]["count"] for each in ("singlet", "triplet"))),
        ),
    ),
}
"""Means of magnitudes; kcal stands for kcal/mol, `counted` tells of how many molecules excitations are compared."""


def cells(content: Content, title: str) -> dict[str, list[str]]:
    """Texts of a table of `TABLES`, by functional."""
    return {
        name: [column.cell(made["summary"]) for column in TABLES[title]]
        for name, made in content["functionals"].items()
    }


def print_evaluation(content: Content) -> None:
    """Print all tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, emoji=False)
    for title, columns in TABLES.items():
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", title=title)
        table.title_justify = "left"
        table.add_column("", overflow="fold")
        for column in columns:
            table.add_column(f"{column.name}\n{column.unit}", justify="right", no_wrap=True)
        for name, row in cells(content, title).items():
            table.add_row(name, *row)
        console.print()
        console.print(table)
