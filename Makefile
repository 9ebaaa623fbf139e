# Two commands do all set-up on a fresh machine with Python 3.10+: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test clean

# Annotates the embedded sample; the last line printed says where the picture is.
demo: $(VENV)/.demo
	$(BIN)/bihrnet demo --out output

# Lint, types and the whole test suite.
test: $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses 2

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Finding poses needs no torch.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

# torch is installed by its pin first: nothing may pull in another build of it.
$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch numpy
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist output .pytest_cache .mypy_cache .ruff_cache .hypothesis
