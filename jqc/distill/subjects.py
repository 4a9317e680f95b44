"""What can be evaluated: a functional by name, file or training run, and where its results are kept."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.xc import functional as named_functional
from jqc.xc.base import Functional
from jqc.xc.neural.files import read_provenance
from jqc.xc.neural.stored import RUN_FILE, WEIGHTS, file_of


@dataclass(frozen=True)
class Subject:
    """A functional with the name that tables use, the folder of its results, and where its parameters come from."""

    name: str
    functional: Functional
    folder: Path
    provenance: dict[str, Any] | None

    @property
    def sha256(self) -> str:
        """Of all that the functional is: names, coefficients, architecture and parameters."""
        hashed = jax.tree.map(lambda leaf: hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest(), self.functional)
        return hashlib.sha256(repr(hashed).encode()).hexdigest()


def subject_of(text: str, data: Path) -> Subject:
    """The functional that a text names; a run keeps its results itself, what has only a name beside the data.

    Raises:
        FunctionalError: the text names no functional.
    """
    functional, data, file = named_functional(text), data.resolve(), file_of(text)
    provenance = None if file is None else read_provenance(file)
    if file is not None and file.parent != WEIGHTS:
        file = file.resolve()
        home = file.parent if file.name == RUN_FILE else file.with_suffix("")
        return Subject(home.name, functional, home / "evaluation" / data.name, provenance)
    name = " ".join(text.lower().split())
    folder = re.sub(r"[^\w.+-]+", "_", name)
    return Subject(name, functional, data.with_name(f"{data.name}.evaluations") / folder, provenance)
