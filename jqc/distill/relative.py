"""Energies of one molecule relative to another: what chemistry asks of a functional, for constant errors cancel."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
"""What is known of one molecule; see `jqc.distill.rows`."""

Difference = dict[str, Any]
"""Records of a pair, the teacher's energy difference and a functional's error of it, hartree or None."""

KINDS = ("isomerisation", "conformer", "displacement")


def relative_energies(rows: Sequence[Row]) -> dict[str, list[Difference]]:
    """Differences by `KINDS`: isomers, other conformers, and displaced geometries.

    Isomerisation energies lead from the most stable minimum of a sum formula, by the teacher, to every other one;
    conformers and displaced geometries are compared with the minimum of the same name.

    >>> row = {"formula": "X", "kind": "minimum", "reference_energy_hartree": -1.0, "energy_hartree": -1.1}
    >>> other = row | {"reference_energy_hartree": -0.9, "energy_hartree": -0.9}
    >>> found = relative_energies([row | {"record": "a", "name": "A"}, other | {"record": "b", "name": "B"}])
    >>> [(each["of"], each["against"], round(each["error_hartree"], 6)) for each in found["isomerisation"]]
    [('b', 'a', 0.1)]
    """
    minima = [row for row in rows if row["kind"] == "minimum"]
    by_formula = defaultdict(list)
    for row in minima:
        by_formula[row["formula"]].append(row)
    lowest = {key: min(each, key=lambda row: row["reference_energy_hartree"]) for key, each in by_formula.items()}
    of_name = {row["name"]: row for row in minima}
    isomers = ((row, lowest[row["formula"]]) for row in minima if row is not lowest[row["formula"]])
    return {
        "isomerisation": _differences(isomers),
        "conformer": _differences(_with_minimum(rows, "conformer", of_name)),
        "displacement": _differences(_with_minimum(rows, "displaced", of_name)),
    }


def _with_minimum(rows: Sequence[Row], kind: str, minima: Mapping[str, Row]) -> Iterable[tuple[Row, Row]]:
    return ((row, minima[row["name"]]) for row in rows if row["kind"] == kind and row["name"] in minima)


def _differences(pairs: Iterable[tuple[Row, Row]]) -> list[Difference]:
    found = []
    for row, other in pairs:
        reference = row["reference_energy_hartree"] - other["reference_energy_hartree"]
        ends = row["energy_hartree"], other["energy_hartree"]
        error = None if None in ends else ends[0] - ends[1] - reference
        pair = {"of": row["record"], "against": other["record"]}
        found.append(pair | {"reference_hartree": reference, "error_hartree": error})
    return found
