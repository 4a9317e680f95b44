"""Learned functionals: one file per published architecture, all of them as jqc's closed forms to whatever uses them."""
