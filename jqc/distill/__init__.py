"""DI-Loss: distil a functional with exact exchange into a fast learned one (arXiv 2606.04279)."""
