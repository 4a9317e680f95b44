"""What all tests share: double precision, and the molecules of examples/molecules."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import pytest

from jqc.system import Molecule

jax.config.update("jax_enable_x64", True)

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"


@cache
def _read(name: str) -> Molecule:
    return Molecule.from_xyz(MOLECULES / f"{name}.xyz")


@pytest.fixture(scope="session")
def example() -> Callable[[str], Molecule]:
    """A molecule of examples/molecules by its file's name: `example("benzene")`."""
    return _read


@pytest.fixture(scope="session")
def water() -> Molecule:
    """Closed shell, 24 orbitals in def2-SVP."""
    return _read("water")


@pytest.fixture(scope="session")
def hydroxyl() -> Molecule:
    """One unpaired electron, 19 orbitals in def2-SVP."""
    return _read("oh")
