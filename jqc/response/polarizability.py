"""Polarizability: how the dipole answers a field, static or oscillating.

α_ij(ω) = −∂²E/∂F_i∂F_j = −2n Σ ⟨C_vᵀ r_i C_o, p_j⟩,     (A + B) p − ω m = −C_vᵀ r_j C_o,  (A − B) m = ω p
"""

import numpy as np

from jqc.errors import InputError
from jqc.response.operators import OrbitalResponse
from jqc.scf.result import SCFResult


def polarizability(result: SCFResult, frequency: float = 0.0) -> np.ndarray:
    """Polarizability in a.u. (bohr³), (3, 3), at a frequency in hartree below the first excitation.

    Raises
    ------
    ConvergenceError
        The SCF is not converged, or the frequency is close to an excitation energy.
    InputError
        A negative frequency, or fractional occupations.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> alpha = polarizability(jqc.scf(helium, "pbe"))
    >>> bool(np.allclose(alpha, alpha[0, 0] * np.eye(3), atol=1e-5))
    True
    """
    if not frequency >= 0:
        raise InputError(f"the frequency is {frequency}; give it in hartree, zero or positive.")
    response = OrbitalResponse.around(result)
    moments = response.mixed(response.system.dipole)
    answers = response.answer(moments, frequency)
    return -2 * response.at.electrons_per_orbital * np.einsum("isao,jsao->ij", moments, answers)
