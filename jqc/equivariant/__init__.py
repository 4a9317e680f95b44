"""Functions of positions that turn with them. The only importer of e3x, whose global settings are never relied on.

Features have e3x's shape (..., 1, (L+1)², feature): proper tensors only, components in Cartesian order (x, y, z for
degree 1), harmonics in Racah's normalisation.
"""
