"""Potentials: pairs of atoms, learned ones, jax-md's, ASE's calculators, and the Kohn–Sham energy."""
