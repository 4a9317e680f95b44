"""Write a benchmark's figures into the documentation: from JSON to the table of a page that is marked with its name.

python benchmarks/tables.py docs/results/bench_scf.json docs/performance.md
"""

import json
import re
import sys
from pathlib import Path

COLUMNS = {
    "bench_scf": {
        "molecule": "{molecule}",
        "functional": "{functional}",
        "PySCF s": "{pyscf_s:.2f}",
        "jqc warm s": "{warm_s:.2f}",
        "ratio": "**{ratio_warm:.1f}**",
        "PySCF process s": "{pyscf_process_s:.2f}",
        "jqc cached process s": "{cached_process_s:.2f}",
        "ratio of processes": "**{ratio_cached_process:.1f}**",
        "jqc cold process s": "{cold_process_s:.1f}",
        "peak GB, cold / cached": "{peak_gb:.2f} / {cached_peak_gb:.2f}",
        "PySCF GB": "{pyscf_peak_gb:.2f}",
        "difference µEh": "{difference_uEh:+.5f}",
        "iterations": "{iterations} / {pyscf_iterations}",
    },
    "bench_batch": {
        "set": "{set}",
        "functional": "{functional}",
        "molecules": "{molecules}",
        "jqc molecules/s": "{jqc_molecules_per_s:.2f}",
        "PySCF molecules/s": "{pyscf_molecules_per_s:.3f}",
        "ratio": "**{ratio_vs_pyscf:.2f}**",
        "of chunks, least to most": "{ratio_of_chunks[least]:.2f} to {ratio_of_chunks[most]:.2f}",
        "classes": "{classes}",
        "waste": "{waste:.0%}",
        "choosing them s": "{choosing_classes_s:.1f}",
        "first of each class s": "{first_of_each_class_s:.0f}",
        "programs then": "{programs_made_then}",
        "largest difference µEh": "{largest_difference_uEh:.5f}",
        "peak GB": "{peak_gb:.2f}",
    },
    "bench_size": {
        "code": "{code}",
        "atoms": "{atoms}",
        "s": "{seconds:.1f}",
        "peak GB": "{peak_gb:.2f}",
        "iterations": "{iterations}",
    },
    "bench_exchange": {
        "molecule": "{molecule}",
        "form": "{form}",
        "SCF s": "{scf_s:.1f}",
        "one K s": "{k_s:.3f}",
        "peak GB": "{peak_gb:.2f}",
        "iterations": "{iterations}",
        "energy's difference µEh": "{difference_uEh:+.4f}",
        "largest difference of forces": "{forces_error:.0e}",
    },
    "bench_md": {
        "system": "{system}",
        "code": "{code}",
        "steps/s": "{steps_per_s:.1f}",
        "jqc is faster by": "{ratio_to_jqc:.2f}",
        "seconds": "{seconds:.3f}",
        "of forward": "{ratio_to_forward:.2f}",
    },
    "bench_drift": {
        "system": "{system}",
        "dt fs": "{dt_fs}",
        "ps": "{ps:g}",
        "drift over kinetic energy, 1/ps": "{drift_per_ps:+.1e} ± {error:.0e}",
        "largest change over kinetic energy": "{largest_change:.0e}",
        "steps/s": "{steps_per_s:.1f}",
    },
}
"""Columns of each table and what they say of a row, empty where that has nothing to say; text is on the left."""

TEXT = ("molecule", "functional", "set", "code", "form", "system")


def table(name: str, results: dict) -> str:
    """A whole table with the environment it was measured in."""
    e, columns = results["environment"], COLUMNS[name]
    versions = ", ".join(f"{name} {version}" for name, version in e["versions"].items())
    caption = (
        f"{e['machine']}, {e['threads']} threads, {e['dtype']}, {versions}, commit {e['commit'][:10]}, {e['date']}."
    )
    rule = "|".join("---" if column in TEXT else "--:" for column in columns)
    rows = (
        " | ".join(columns),
        *(" | ".join(_cell(form, row) for form in columns.values()) for row in results["rows"]),
    )
    head, *lines = (f"| {row} |" for row in rows)
    return "\n".join([caption, "", head, f"|{rule}|", *lines])


def _cell(form: str, row: dict) -> str:
    try:
        return form.format(**row)
    except KeyError:
        return ""


def main() -> None:
    """Replace what stands between the markers."""
    source, page = map(Path, sys.argv[1:3])
    text, opening = page.read_text(), f"<!-- {source.stem} -->"
    body = f"{opening}\n{table(source.stem, json.loads(source.read_text()))}\n<!-- end -->"
    page.write_text(re.sub(f"{opening}.*?<!-- end -->", lambda _: body, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
