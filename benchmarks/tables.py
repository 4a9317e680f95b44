"""Write the benchmark's figures into the documentation: from JSON to the marked table of docs/performance.md.

python benchmarks/tables.py docs/results/bench_scf.json docs/performance.md
"""

import json
import re
import sys
from pathlib import Path

HEADER = (
    "| molecule | functional | PySCF s | jqc warm s | ratio | PySCF process s | jqc cached process s | ratio "
    "| jqc cold process s | peak GB, cold / cached | PySCF GB | difference µEh | iterations |\n"
    + "|---|---|"
    + "--:|" * 11
)


def row(record: dict) -> str:
    """One line of the table."""
    r = record
    return (
        f"| {r['molecule']} | {r['functional']} | {r['pyscf_s']:.2f} | {r['warm_s']:.2f} | **{r['ratio_warm']:.1f}** "
        f"| {r['pyscf_process_s']:.2f} | {r['cached_process_s']:.2f} | **{r['ratio_cached_process']:.1f}** "
        f"| {r['cold_process_s']:.1f} | {r['peak_gb']:.2f} / {r['cached_peak_gb']:.2f} | {r['pyscf_peak_gb']:.2f} "
        f"| {r['difference_uEh']:+.5f} | {r['iterations']} / {r['pyscf_iterations']} |"
    )


def table(results: dict) -> str:
    """The whole table with the environment it was measured in."""
    e = results["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in e["versions"].items())
    caption = (
        f"{e['machine']}, {e['threads']} threads, {e['dtype']}, {versions}, commit {e['commit'][:10]}, {e['date']}."
    )
    return "\n".join([caption, "", HEADER, *(row(record) for record in results["rows"])])


def main() -> None:
    """Replace what stands between the markers."""
    source, page = map(Path, sys.argv[1:3])
    text = page.read_text()
    body = f"<!-- bench_scf -->\n{table(json.loads(source.read_text()))}\n<!-- end -->"
    page.write_text(re.sub(r"<!-- bench_scf -->.*?<!-- end -->", lambda _: body, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
