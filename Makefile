# Every target is a plain command; see README.md.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
STUDY ?= config/config.yaml
BIN := .venv/bin
INSTALLED := .venv/.installed
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)

.PHONY: run study report realdata remote bench test nightly lint format docs lock clean

run: $(INSTALLED)  ## the demo study -> results/demo/report.html
	$(SNAKEMAKE)

study: $(INSTALLED)  ## another study: make study STUDY=path/to/study.yaml
	$(SNAKEMAKE) --configfile $(STUDY)

report: $(INSTALLED)  ## Snakemake's own report of a finished study
	$(SNAKEMAKE) --configfile $(STUDY) --report results/$$($(BIN)/amlprognosis name $(STUDY))/snakemake-report.html

realdata: $(INSTALLED)  ## real cohorts from ../shared -> results/tcga_bullinger, results/tcga_bullinger_all101
	$(SNAKEMAKE) --configfile tests/workflow/tcga_bullinger.yaml
	$(SNAKEMAKE) --configfile tests/workflow/all101.yaml

remote: $(INSTALLED)  ## tcga_geo.yaml, full size, from a server on loopback that fails now and then -> results/remote/run
	rm -rf results/remote
	$(BIN)/python tests/remote_study.py results/remote --full --cores $(CORES)

bench: $(INSTALLED)  ## speed, as ratios in one run; R's figures where R is installed
	$(BIN)/python -m benchmarks --out benchmarks/RESULTS.md

test: $(INSTALLED)  ## all tests
	$(BIN)/python -m pytest -n $${PYTEST_WORKERS:-2} --dist loadgroup

nightly: $(INSTALLED)  ## 1,000 damaged files for each parser
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $${PYTEST_WORKERS:-2} tests/fuzz

lint: $(INSTALLED)  ## ruff, snakefmt, mypy, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

docs: $(INSTALLED)  ## config/schema.json and the key table of config/README.md from workflow/amlprognosis/study
	$(BIN)/amlprognosis docs

lock: $(INSTALLED)  ## requirements.lock from pyproject.toml; without index lines, so that it names no host
	$(BIN)/uv pip compile pyproject.toml --group dev --group cluster --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock

clean:
	rm -rf results/* .snakemake

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; set PYTHON="'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5,<1"
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
