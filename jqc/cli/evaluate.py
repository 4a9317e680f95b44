"""`jqc evaluate`: a functional against a teacher's labels, in a table, numbers and a page."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jqc.cli.calculation import set_up_jax

INCOMPLETE = 3
"""Exit code where some functional has no density of some molecule."""


@dataclass(frozen=True)
class EvaluateCommand:
    """Measure a functional on labels: energies, densities, the teacher's SCF from its densities, excited states.

    Numbers and page are RUN/evaluation/NAME.json and .html, NAME that of the data's folder, with a record for every
    molecule in the folder beside them; those of a functional that has only a name, of the teacher and of PBE are in
    DIR.evaluations, and are computed once for the data. Killed and started again it goes on where it was. Exit code:
    0 done, 3 some molecules have no converged density, 2 bad input.
    """

    functional: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of a training run, a functional's .npz file, or a name such as pbe."""
    data: Annotated[Path, arg(metavar="DIR")]
    """Labels, made by jqc label."""
    against: Annotated[str, arg(metavar="NAMES")] = "pbe,r2scan"
    """Functionals to compare with, given like RUN and separated by commas, so that sums need a +; "" for none."""
    states: Annotated[int, arg(metavar="INT")] = 5
    """Excited singlets, and triplets, that are compared."""
    limit: Annotated[int | None, arg(metavar="N")] = None
    """Molecules at most, evenly over sum formulas; None is all."""
    workers: Annotated[int, arg(metavar="N")] = 1
    """Processes at work."""

    def run(self) -> int:
        """Evaluate, with a progress bar, print tables and write numbers and a page.

        Raises:
            InputError: something given cannot be used; no work has been done.
        """
        set_up_jax()
        from jqc.data.progress import with_progress
        from jqc.distill.evaluate import evaluate
        from jqc.files import write_atomically, write_json
        from jqc.report import evaluation_page, print_evaluation

        against = [name.strip() for name in self.against.split(",") if name.strip()]
        done = evaluate(
            self.functional,
            self.data,
            against,
            states=self.states,
            limit=self.limit,
            workers=self.workers,
            watch=with_progress,
        )
        content = done.to_dict()
        write_json(done.path(".json"), content)
        write_atomically(done.path(".html"), evaluation_page(content).encode())
        print_evaluation(content)
        print(f"\nnumbers in {done.path('.json')}, page in {done.path('.html')}")
        for name, records in done.incomplete.items():
            print(f"{name} has no converged density of {', '.join(records)}", file=sys.stderr)
        return INCOMPLETE if done.incomplete else 0
