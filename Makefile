# Everything happens in .venv, made on first use and pinned by constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
# Two workers on two cores; each keeps to one thread.
WORKERS ?= 2

.PHONY: train test test-plugins test-slow test-slurm test-gpu verify-grid torture golden golden-make lint wheel clean
.DELETE_ON_ERROR:

train: .venv/ready
	$(BIN)/seqkit train experiment=python_source

test: export PYTHONDONTWRITEBYTECODE :=  # the processes that tests start need not compile what they import
test: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not gpu and not slow and not slurm"
	@echo "not run here: plugins from an empty environment (make test-plugins); tests marked slow (make test-slow), slurm (make test-slurm) and gpu (make test-gpu)"

# In an empty environment: the wheel, seqkit new, plugins/README.md and the packages in plugins/. A few minutes.
test-plugins: .venv/ready
	$(BIN)/python .ci/plugins.py

test-slow: .venv/ready
	$(BIN)/python -m pytest -m slow

# A SLURM of one and of two nodes on this machine, under /tmp/seqkit-slurm; needs root and Debian's slurm, or apt.
test-slurm: .venv/ready
	$(BIN)/python -m pytest -m slurm tests/slurm

test-gpu: .venv/ready
	$(BIN)/python -m pytest -m gpu

# Exact resume over a grid of data, models, workers, ranks and precisions; and of two ranks killed at random moments.
GRID ?= /tmp/seqkit-verify-grid.json
verify-grid: .venv/ready
	$(BIN)/python -m tests.verify_grid $(GRID)

torture: .venv/ready
	$(BIN)/python -m tests.torture

# Goldens of every experiment: make them before a change of structure, compare after it, on one machine.
GOLDEN ?= /tmp/seqkit-golden.json
golden-make: .venv/ready
	$(BIN)/python -m tests.golden make $(GOLDEN)

golden: .venv/ready
	$(BIN)/python -m tests.golden compare $(GOLDEN)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy $(dir $(wildcard plugins/seqkit-*/seqkit_*/__init__.py))
	for package in plugins/templates/*/seqkit_example; do $(BIN)/mypy $$package || exit 1; done

# Into dist/: with the compiled loops of every processor of this kind if there is a C compiler, else for any machine.
wheel: .venv/ready
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv build dist *.egg-info

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "seqkit needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
