"""The command line: `jqc scf` and `jqc info`."""
