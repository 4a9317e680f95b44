"""A learned functional of one's own: defined, registered, solved with, and improved by one gradient step.

It multiplies exchange of the uniform gas by a function of the density's slope that a small network learns.
"""

# %% Set-up: double precision for the SCF
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the compiler's false alarms about kept programs

import flax.linen as nn
import jax
import jax.numpy as jnp

import jqc
from jqc.xc.base import integrate
from jqc.xc.features import spins
from jqc.xc.lda import pw92, slater
from jqc.xc.neural.features import log_one_plus, slope_squared
from jqc.xc.neural.learned import initialised
from jqc.xc.neural.mlp import Mlp
from jqc.xc.registry import register

jax.config.update("jax_enable_x64", True)


# %% The functional: an energy, and what it reads; there is no potential to write
class Enhanced(nn.Module):
    """E_xc = ∫ [e_x F(s) + e_c] dr with F = 1 + net(ln(1 + s²)) tanh(s²), which is 1 for the uniform gas."""

    ingredients, exchange, local = "sigma", (), True

    @nn.compact
    def __call__(self, density, quadrature):
        """Exchange-correlation energy in hartree."""
        spin = spins(density)
        s2 = slope_squared(spin.rho, spin.sigma)
        enhancement = 1 + Mlp(width=16, depth=2)(log_one_plus(s2)[..., None]) * jnp.tanh(s2)
        return integrate(slater(density) * enhancement + pw92(density), quadrature)


# %% Parameters, and a name for this process
functional = initialised(Enhanced(), jax.random.key(0))
register("enhanced", functional)

# %% An SCF, by that name
molecule = jqc.Molecule.from_xyz(Path(__file__).parent / "molecules" / "water.xyz")
system = jqc.build_system(molecule, "def2-svp", grid_level=1)
before = jqc.scf(system, "enhanced").check()
target = jqc.scf(system, "pbe").check()

# %% One step that halves the error. At the solution the energy is stationary in the density matrix, so its derivative
# by parameters at that matrix is the whole derivative.
error = before.energy - target.energy
slope = jax.grad(jqc.energy)(functional, system, before.dm)
norm2 = sum(float(jnp.vdot(leaf, leaf)) for leaf in jax.tree.leaves(slope))
improved = jax.tree.map(lambda leaf, by: leaf - 0.5 * error / norm2 * by, functional, slope)
after = jqc.scf(system, improved).check()

print(f"energy off PBE's by {error:.4f} Eh, after one step by {after.energy - target.energy:.4f} Eh")
