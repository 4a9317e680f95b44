"""What a calculation will take of the memory, estimated before any work, and where its integrals are kept therefore."""

import os
from dataclasses import dataclass

import jax
import numpy as np

from jqc.errors import InputError, MemoryLimitError

ORBITAL_BUDGET = 3 << 30
"""Bytes of orbital values on the grid that are kept at most; beyond it they are evaluated again in every pass."""

ORBITAL_STEP = 256 << 20
"""What is left for orbitals is used in steps of this, in bytes."""

WHOLE_LIMIT = 1 << 30
"""Bytes up to which all pairs are kept; beyond it only those that count, whose matrices take longer to unpack."""

PROGRAMS = 900 << 20
"""Bytes of the interpreter, its libraries, the compiler and what it makes."""

MATRICES = 100
"""Matrices (ao, ao) of one spin that are held at a time: DIIS history, density, Fock matrix, orbitals, their successors
and workspaces of the eigenvectors."""

POINT_NUMBERS = 60
"""Numbers held for each point and spin: features, potential, and what the functional's derivative keeps of both."""

WORKSPACE = 300 << 20
"""Bytes of blocks of integrals and orbitals at work."""


@dataclass(frozen=True)
class Size:
    """What decides how much memory a molecule takes: padded orbitals, fitting functions, pairs, points, spins."""

    orbitals: int
    fitting: int
    pairs: int
    points: int
    spins: int

    @property
    def base(self) -> int:
        """Bytes besides two-electron integrals and orbitals on the grid."""
        matrices = 8 * MATRICES * self.spins * self.orbitals**2
        points = 8 * POINT_NUMBERS * self.spins * self.points
        return PROGRAMS + matrices + points + 8 * self.fitting**2 + WORKSPACE

    @property
    def whole(self) -> int:
        """Bytes of the factor with all pairs."""
        return whole_bytes(self.orbitals, self.fitting)

    @property
    def screened(self) -> int:
        """Bytes of the factor with the pairs that count."""
        return 8 * self.fitting * self.pairs


@dataclass(frozen=True)
class Plan:
    """Where the factor is kept, "whole", "screened" or "streamed", and bytes for orbitals on the grid."""

    storage: str
    orbital_bytes: int


def atomic_points(mole, grid_level: int) -> int:
    """Quadrature points of all atoms, of which Becke's partition drops some."""
    from pyscf.dft.gen_grid import Grids

    tables = Grids(mole).gen_atomic_grids(mole, level=grid_level)
    of_element = {symbol: len(weights) for symbol, (_, weights) in tables.items()}
    return sum(of_element[mole.atom_symbol(atom)] for atom in range(mole.natm))


def plan(size: Size, memory: int | None) -> Plan:
    """Where everything goes in `memory` bytes, by default half of the machine's for integrals.

    Raises:
        MemoryLimitError: the calculation does not fit, whatever is streamed or evaluated again.
    """
    if memory is None:
        room = machine_memory() // 2
        return Plan(_storage(size, room), orbital_budget())
    room = memory - size.base
    if room < 0:
        raise MemoryLimitError(
            f"this molecule ({size.orbitals} orbitals, {size.points} points) takes {size.base / 2**30:.2f} GiB at "
            f"least, more than the {memory / 2**30:.2f} GiB granted; grant more, or choose a smaller basis or grid."
        )
    storage = _storage(size, room)
    held = {"whole": size.whole, "screened": size.screened, "streamed": 0}[storage]
    # A multiple of few values: programs differ in what they keep.
    return Plan(storage, min(ORBITAL_BUDGET, room - held) // ORBITAL_STEP * ORBITAL_STEP)


def orbital_budget(systems: int = 1) -> int:
    """Bytes that the kept orbitals of each of some systems may take at the same time, where nothing else is said.

    A sixth of the machine's or, where there is one, the accelerator's memory in all, `ORBITAL_BUDGET` each at most.
    """
    device = jax.local_devices()[0].memory_stats() or {}
    return min(ORBITAL_BUDGET, device.get("bytes_limit", machine_memory()) // 6 // systems)


def whole_bytes(orbitals: int, fitting: int) -> int:
    """Bytes of a factor with all pairs."""
    return 8 * fitting * (orbitals * (orbitals + 1) // 2)


def whole_limit(room: int) -> int:
    """Bytes up to which all pairs are kept in some room; whitening them at once takes the tensor three times over."""
    return min(WHOLE_LIMIT, room // 3)


def _storage(size: Size, room: int) -> str:
    if size.whole <= whole_limit(room):
        return "whole"
    return "screened" if size.screened <= room else "streamed"


def machine_memory() -> int:
    """Bytes of the machine's memory, or what suffices for every budget where the system does not say."""
    if not hasattr(os, "sysconf"):
        return 6 * ORBITAL_BUDGET
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def memory_bytes(text: str) -> int:
    """Bytes of a text such as "8GB" or "512 MiB".

    Raises:
        InputError: it is no amount of memory.

    >>> memory_bytes("1.5GiB")
    1610612736
    """
    number = text.strip().rstrip("BKMGibkmg").strip()
    unit = text.strip()[len(number) :].strip().upper()
    try:
        amount = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        amount = np.nan
    if not 0 < amount < np.inf:
        raise InputError(f"{text!r} is no amount of memory; write it as 8GB or 512MiB.")
    return int(amount)
