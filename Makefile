# make dream: set everything up and dream a photo.   make test: set everything up and pass the tests.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
PHOTO  ?= examples/photo.jpg
OUT    ?= dream.png
SCALE  ?= 2

.DEFAULT_GOAL := help
.PHONY: help dream test lint format bench docs clean

help:  ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 10

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "phosphene needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "setting up $(VENV): a few minutes the first time"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $(READY)

dream: $(READY)  ## dream the shipped photo (or PHOTO=yours.jpg OUT=dream.png)
	@$(BIN)/phosphene dream $(PHOTO) -o $(OUT) --scale $(SCALE) --overwrite

test: $(READY)  ## run the tests
	@$(BIN)/python -m pytest

lint: $(READY)  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY)  ## put the code into its form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY)  ## measure, side by side
	@$(BIN)/python -m benchmarks

docs: $(READY)  ## write the parts of the docs that are made from the code
	@$(BIN)/python docs/generate.py

clean:  ## remove what was set up
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
