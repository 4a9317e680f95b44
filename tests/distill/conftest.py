"""What tests of distillation share: labels of water and of two molecules of one size class, cheap but real."""

from collections.abc import Callable

import numpy as np
import pytest

from jqc.distill.example import Example, make_example
from jqc.distill.labels import LabelSettings, label
from jqc.system import Molecule


@pytest.fixture(scope="session")
def settings() -> LabelSettings:
    return LabelSettings(grid_level=0, derivatives=2)


@pytest.fixture(scope="session")
def labels(water, settings) -> dict[str, np.ndarray]:
    """Arrays of a record of water, B3LYP."""
    return {name: array for name, (array, _) in label(water, "water", settings).items()}


@pytest.fixture(scope="session")
def example_of() -> Callable[[dict[str, np.ndarray], Molecule], Example]:
    """An example in double precision on the quadrature that the labels were made with."""
    return lambda labels, molecule: make_example(labels, molecule, "def2-svp", grid_level=0)


@pytest.fixture(scope="session")
def water_example(labels, water, example_of) -> Example:
    return example_of(labels, water)


@pytest.fixture(scope="session")
def hydrogen() -> Molecule:
    """One occupied orbital, three virtual ones in 6-31g."""
    return Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]])


@pytest.fixture(scope="session")
def hydrogen_labels(hydrogen, teacher) -> dict[str, np.ndarray]:
    """As many tangents as rotations."""
    settings = LabelSettings(teacher, "6-31g", grid_level=0, derivatives=3)
    return {name: array for name, (array, _) in label(hydrogen, "hydrogen", settings).items()}
