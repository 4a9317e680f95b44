"""An evaluation as one HTML page that needs nothing else: tables, what was evaluated, figures."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jqc.report.evaluation import evaluation_figures
from jqc.report.figure import rendered
from jqc.report.measures import TABLES, Content, cells
from jqc.units import MILLIHARTREE

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #333; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; color: #1f4e79; margin-bottom: 0.2rem; }
h2 { font-size: 1.1rem; color: #1f4e79; margin: 1.6rem 0 0.4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th small { font-weight: normal; color: #777; }
tbody tr:first-child { font-weight: 600; }
.facts td { font-weight: normal; text-align: left; white-space: normal; overflow-wrap: anywhere; }
.facts td:first-child { color: #777; white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(30rem, 1fr)); gap: 0 2rem; }
figure { margin: 0; } img { width: 100%; } .wide { overflow-x: auto; }
"""

DETAILS: dict[str, tuple[str, float, str]] = {
    "energy_error_hartree": ("|E − E*| / mEh", MILLIHARTREE, ".3f"),
    "isomerisation_error_hartree": ("isomerisation / mEh", MILLIHARTREE, ".3f"),
    "isomerisation_error_kcal_per_mol": ("isomerisation / (kcal/mol)", 1.0, ".3f"),
    "conformer_error_hartree": ("conformers / mEh", MILLIHARTREE, ".3f"),
    "conformer_error_kcal_per_mol": ("conformers / (kcal/mol)", 1.0, ".3f"),
    "displacement_error_hartree": ("displacements / mEh", MILLIHARTREE, ".3f"),
    "displacement_error_kcal_per_mol": ("displacements / (kcal/mol)", 1.0, ".3f"),
    "density_energy_error_hartree": ("E_ρ / mEh", MILLIHARTREE, ".4f"),
    "classical_energy_error_hartree": ("|ΔE_h+J| / mEh", MILLIHARTREE, ".3f"),
    "density_distance_au": ("‖Δρ‖ / 10⁻³ au", 1e3, ".3f"),
    "density_distance_per_electron_au": ("‖Δρ‖/N / 10⁻³ au", 1e3, ".4f"),
    "dipole_error_debye": ("|Δμ| / D", 1.0, ".4f"),
    "fock_builds": ("Fock matrices, own density", 1.0, ".2f"),
    "singlet_error_ev": ("singlets / eV", 1.0, ".4f"),
    "triplet_error_ev": ("triplets / eV", 1.0, ".4f"),
}
"""Statistics in full: their names, factors and formats."""

READING = """Means of magnitudes over molecules. E_ρ = E_ref[P] − E_ref[P*]; E_h+J = |E_h+J[P] − E_h+J[P*]|;
‖Δρ‖ = √∫(Δρ)². Builds are iterations of the teacher's SCF, the Fock matrix of the start not counted. SCF counts
converged molecules, steps their mean iterations from superposed atoms."""


def evaluation_page(content: Content) -> str:
    """The page of an evaluation."""
    name, data = content["functional"], content["data"]
    figures = evaluation_figures(content)
    parts = [
        f"<h1>{escape(name)}</h1>",
        f"<p>against {escape(data['settings']['functional'])} on {data['evaluated']} of {data['labels']} molecules of "
        f"{escape(data['folder'])}. {escape(READING)}</p>",
        *(_headed(title, _table(_heads(title), cells(content, title).items())) for title in TABLES),
        '<div class="figures">',
        *(
            f"<figure><h2>{escape(title)}</h2>{_image(rendered(each, 'png'))}</figure>"
            for title, each in figures.items()
        ),
        "</div>",
        _headed(f"Statistics of {name}", _details(content["functionals"][name]["summary"])),
        _headed("What was evaluated", _facts(content)),
        _left_out(content),
    ]
    head = f'<meta charset="utf-8"><title>{escape(name)}, evaluated</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{chr(10).join(parts)}\n</body></html>\n'


def _headed(title: str, content: str) -> str:
    return f'<h2>{escape(title)}</h2><div class="wide">{content}</div>'


def _heads(title: str) -> list[str]:
    return [f"{escape(column.name)}<br><small>{escape(column.unit)}</small>" for column in TABLES[title]]


def _table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], kind: str = "") -> str:
    """A table; heads are HTML, cells are text."""
    top = "".join(f"<th>{each}</th>" for each in ("", *heads)) if heads else ""
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in (name, *row)) for name, row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _image(png: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{b64encode(png).decode()}">'


def _details(summary: Mapping[str, Any]) -> str:
    columns = ("mean", "standard_error", "median", "max", "signed_mean")
    rows = []
    for key, (name, scale, form) in DETAILS.items():
        found = summary[key]
        numbers = ["–" if found[each] is None else format(scale * found[each], form) for each in columns]
        rows.append((name, [*numbers, str(found["count"]), str(found["missing"])]))
    return _table([each.replace("_", " ") for each in (*columns, "count", "missing")], rows)


def _facts(content: Content) -> str:
    """Data, settings, versions, and where each functional comes from."""
    settings = {key: str(each) for key, each in content["data"]["settings"].items()}
    versions = {key: " and ".join(each) for key, each in content["versions"].items()}
    facts = {
        "labels": _listed(settings),
        "labels, sha256": content["data"]["sha256"],
        "states": str(content["states"]),
        "versions": _listed(versions),
    }
    for name, made in content["functionals"].items():
        facts[name] = f"sha256 {made['sha256']}"
        if made["provenance"]:
            facts[f"{name}, provenance"] = _listed(_flat(made["provenance"]))
    return _table((), ((name, [fact]) for name, fact in facts.items()), "facts")


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested values under names with dots."""
    found = {}
    for key, value in values.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {before + key: str(value)}
    return found


def _left_out(content: Content) -> str:
    """What did not converge, or could not be computed, is told by name."""
    rows = []
    for name, made in (content["functionals"] | content["references"]).items():
        for row in made["molecules"]:
            words = {key: row[key] for key in ("scf", "teacher", "singlets", "triplets")}
            bad = [f"{key} {status}" for key, status in words.items() if status not in ("converged", "skipped")]
            reason = made["failures"].get(row["record"])
            if bad:
                rows.append((name, [row["record"], row["formula"], ", ".join(bad) + (f": {reason}" if reason else "")]))
    return _headed("Left out", _table(["record", "formula", "what happened"], rows, "facts")) if rows else ""
