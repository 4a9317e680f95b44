"""Conversion factors, the only place where a unit that is not atomic has a number.

CODATA 2022 (https://physics.nist.gov/cuu/Constants); multiply to leave atomic units, divide to enter them.
"""

ANGSTROM = 0.529177210544
"""Ångström per bohr."""

ELECTRONVOLT = 27.211386245981
"""Electronvolt per hartree."""

DEBYE = 2.541746473
"""Debye per e·bohr."""

MICROHARTREE = 1e6
"""Microhartree per hartree."""
