# `make demo` and `make test` do all set-up themselves. Everything lands in .venv and demo/.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin

.PHONY: setup demo test check clean

demo: .venv/ready
	$(BIN)/loquent demo --out demo

setup: .venv/ready

test: .venv/ready
	$(BIN)/python -m pytest

# What a change must pass besides the tests.
check: .venv/ready
	$(BIN)/ruff check src tests research
	$(BIN)/ruff format --check src tests research
	$(BIN)/mypy

# MediaPipe asks for the OpenCV that needs a desktop's libGL; the headless build of the same version replaces it, so that
# bare machines and containers work too.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 12); sys.exit(0 if ok else "Loquent needs Python 3.11 or 3.12; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip uninstall --quiet --yes opencv-contrib-python
	$(BIN)/pip install --quiet --no-deps --constraint constraints.txt opencv-contrib-python-headless
	touch .venv/ready

clean:
	rm -rf .venv demo
