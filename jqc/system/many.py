"""Systems of many molecules, whose programs they share."""

from collections.abc import Iterable, Iterator

from jqc.errors import InputError
from jqc.numerics import require_double_precision
from jqc.system.build import System, build_system, check_choices
from jqc.system.classes import SizeClasses, size_classes
from jqc.system.lengths import Lengths, lengths_needed, lengths_of, needed_by_name
from jqc.system.molecule import Molecule


def build_systems(
    molecules: Iterable[Molecule],
    basis: str = "def2-svp",
    aux_basis: str | None = None,
    coulomb: str = "df",
    grid_level: int = 3,
    classes: SizeClasses | None = None,
) -> Iterator[System]:
    """Systems of many molecules in the order given, each made when it is asked for, in array lengths that they share.

    Parameters
    ----------
    molecules
        Positions in bohr, charge and spin.
    basis, aux_basis, coulomb, grid_level
        As of `jqc.build_system`.
    classes
        From `size_classes` of these molecules with another bound, or of others whose programs are there already; by
        default those of these molecules. A molecule that fits none has lengths of its own.

    Raises
    ------
    InputError
        No molecule, classes of another basis, fitting set or grid, or what `jqc.build_system` refuses.
    BasisError
        An unknown basis, or one that has no functions for a molecule.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> pairs = [Molecule.from_arrays(["He", "He"], [[0.0, 0.0, 0.0], [0.0, 0.0, 5.0 + k]]) for k in range(3)]
    >>> {system.n_padded for system in build_systems(pairs, "sto-3g", grid_level=0)}
    {2}
    """
    require_double_precision()
    check_choices(coulomb=coulomb)
    asked = list(molecules)
    if classes is None:
        classes = size_classes(asked, basis, aux_basis, grid_level)
    elif (classes.basis, classes.aux_basis, classes.grid_level) != (basis, aux_basis, grid_level):
        raise InputError(
            f"the classes are for {classes.basis}, fitting set {classes.aux_basis} and level {classes.grid_level}, not "
            f"for {basis}, {aux_basis} and {grid_level}; make others with jqc.size_classes."
        )
    needed = needed_by_name(dict(enumerate(asked)), basis, aux_basis)
    for place, molecule in enumerate(asked):
        if place not in needed:
            lengths_needed(molecule, basis, aux_basis)  # says what is missing
    rooms = [classes.room(molecule, needed[place]) for place, molecule in enumerate(asked)]
    return _built(asked, rooms, basis, aux_basis, coulomb, grid_level)


def _built(molecules, rooms: list[Lengths | None], basis, aux_basis, coulomb, grid_level) -> Iterator[System]:
    """One system after another; lengths that a class had to grow by are those of all that follow."""
    grown: dict[Lengths | None, Lengths] = {}
    for molecule, room in zip(molecules, rooms, strict=True):
        system = build_system(molecule, basis, aux_basis, coulomb, grid_level, like=grown.get(room, room))
        if room is not None:
            grown[room] = lengths_of(system)
        yield system
