# make demo   five molecules by jqc and by PySCF, in one table
# make test   ruff, pyright, then the tests
# make lint   ruff and pyright alone
# make clean  remove the environment and every cache

PYTHON ?= python3
WORKERS ?= 2
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean
.NOTPARALLEL:

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

# One thread per worker for PySCF; compiled programs are kept, and the compiler's false alarms about them are not. Programs
# of SCFs are compiled in two thirds of the time, and run as fast, without the compiler's newer fusions (docs/performance.md).
test: export JAX_COMPILATION_CACHE_DIR := $(or $(JAX_COMPILATION_CACHE_DIR),$(CURDIR)/.jax_cache)
test: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = 0
test: export TF_CPP_MIN_LOG_LEVEL = 3
test: export XLA_FLAGS = --xla_cpu_use_fusion_emitters=false
test: export OMP_NUM_THREADS = 1
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -m "not slow" $(PYTEST_ARGS)

lint: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
lint: $(VENV)/.installed-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) .jax_cache .pytest_cache .ruff_cache .hypothesis build dist
	find jqc tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

# A stamp marks a finished installation. Without any, the environment was never finished and is made anew.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo 'error: $(PYTHON) is not Python 3.11 or newer; run make PYTHON=PATH_TO_PYTHON' >&2; exit 1; }
	@ls $(VENV)/.installed* >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $(VENV)/.installed*
	@echo 'installing jqc and its dependencies into $(VENV)'
	@$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt -e '.$(1)'
	@touch $(VENV)/.installed $(2)
endef

$(VENV)/.installed: pyproject.toml constraints.txt
	$(call install)

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	$(call install,[dev],$@)
