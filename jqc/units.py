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

MILLIHARTREE = 1e3
"""Millihartree per hartree."""

KILOCALORIE = 627.509474063
"""kcal/mol per hartree, the thermochemical calorie of 4.184 J."""

AMU = 1 / 1822.888486283
"""Unified atomic mass units per electron mass."""

FEMTOSECOND = 0.0241888432658
"""Femtoseconds per atomic unit of time."""

KELVIN = 315775.024804
"""Kelvin per hartree."""

GIGAPASCAL = 29421.0157
"""Gigapascal per hartree/bohr³."""

WAVENUMBER = 219474.63136314
"""cm⁻¹ per hartree."""

NANOMETRE = 45.563352529
"""Wavelength in nm times energy in hartree, hc."""

MOLAR_ABSORPTION = 1 / 4.31899e-9
"""∫ε dν̃ in L mol⁻¹ cm⁻² of oscillator strength one, e² N_A/(4 mₑ c² ε₀ ln 10); Mulliken, doi:10.1063/1.1750317."""

IR_INTENSITY = 1.77709773e6
"""km/mol per e²/mₑ of a normal mode's |∂μ/∂Q|²: N_A/(12 ε₀ c²), molar napierian."""
