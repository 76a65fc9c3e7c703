# make dream: set everything up and dream a photo.   make test: set everything up and pass the tests.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
PHOTO  ?= examples/photo.jpg
OUT    ?= dream.png
SCALE  ?= 2

.DEFAULT_GOAL := help
.PHONY: help dream studio test audit sbom lint format bench bench-full docs site gallery fuzz clean

help:  ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 10

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "phosphene needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "setting up $(VENV): a few minutes the first time"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $(READY)

dream: $(READY)  ## dream the shipped photo (or PHOTO=yours.jpg OUT=dream.png)
	@$(BIN)/phosphene dream $(PHOTO) -o $(OUT) --scale $(SCALE) --overwrite

studio: $(READY)  ## the page in the browser: dream, watch, keep
	@$(BIN)/phosphene studio

test: $(READY)  ## run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(READY)  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(READY)  ## ask the public list of vulnerabilities about the pinned versions
	@$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r constraints.txt || \
		{ echo "not clean, or the public list can't be reached: the line above says which"; exit 1; }

sbom: $(READY)  ## write a software bill of materials: build/sbom.json
	@mkdir -p build
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-format JSON -o build/sbom.json $(BIN)/python
	@echo build/sbom.json

format: $(READY)  ## put the code into its form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

fuzz: $(READY)  ## thousands of damaged pictures and films: a quarter of an hour
	@$(BIN)/python -m fuzz $(ARGS)

bench: $(READY)  ## measure the gradient beside the others; all: make bench-full
	@$(BIN)/python -m benchmarks

bench-full: $(READY)  # everything, for a quiet machine and an evening; ARGS="--weights FILE --photo FILE"
	@$(BIN)/python -m benchmarks gradient exactness overhead classic --sizes 224 512 1024 \
		--steps 5 --turns 5 --write $(ARGS)
	@$(BIN)/python -m benchmarks scaling --networks efficientnet_lite2 bvlc_googlenet \
		--megapixels 0.25 0.5 1 2 4 8 16 32 64 --steps 2 --turns 2 --max-memory 3GB --write

docs: $(READY)  ## write the parts of the docs that are made from the code
	@$(BIN)/python docs/generate.py

site: $(READY)  ## the docs as a site: build/site/index.html
	@$(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

gallery: $(READY)  ## render the gallery's pictures that are missing; ARGS=--check replays them all
	@$(BIN)/python docs/gallery.py $(ARGS)

clean:  ## remove what was set up
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
