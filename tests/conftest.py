"""What all tests share: double precision, and the molecules of examples/molecules."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import pytest

from jqc.system import Molecule

jax.config.update("jax_enable_x64", True)

MOLECULES = Path(__file__).parents[1] / "examples" / "molecules"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file run on one worker, where they share fixtures, unless they name a group of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Compiled programs are dropped after every file: each holds memory maps, of which a process has 65,530."""
    yield
    jax.clear_caches()


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
