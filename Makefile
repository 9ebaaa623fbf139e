# Three commands do all set-up on a fresh machine with Python 3.10 or later: `make demo`,
# `make test` and `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt

.PHONY: demo test docs clean

# Annotates the bundled sample; the last line printed names the picture.
demo: $(VENV)/.demo
	$(BIN)/bihrnet demo --out output

# Lint, types, documentation and the whole test suite.
test: $(VENV)/.test
	@echo "==> Running the tests, several minutes: lint, types, documentation, examples, code"
	$(BIN)/python -m pytest --numprocesses 2

# Builds the documentation site.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "==> The site is complete: open site/index.html"

$(BIN)/python:
	@echo "==> Creating a virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)

# Pose estimation does not need torch.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> Installing bihrnet; compiling its engine takes some minutes the first time"
	$(PIP) --editable .
	@touch $@

# torch is installed by its pin first: no other package may pull in another build of it.
$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> 1/2 Installing PyTorch, a large download the first time"
	$(PIP) torch numpy
	@echo "==> 2/2 Installing bihrnet with its tests' tools; compiling takes some minutes"
	$(PIP) --editable '.[dev]'
	@touch $@

# The site is made from sources: the package itself is not needed.
$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> Installing the tools of the documentation"
	$(PIP) mkdocs-material 'mkdocstrings[python]' ruff
	@touch $@

clean:
	rm -rf $(VENV) build dist output site .pytest_cache .mypy_cache .ruff_cache .hypothesis
