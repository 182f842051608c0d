# make repro: install, then run the pipeline.  make test: install, then check everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: install repro test lint format clean

install: $(INSTALLED)

# The .pth file puts the environment's bin first on PATH for whatever its Python starts: stages say
# `python`, and must get this one also when somebody calls .venv/bin/dvc without activating.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	echo 'import os, sys; os.environ["PATH"] = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ.get("PATH", os.defpath)' \
		> "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cardpose_path.pth"
	touch $@

repro: install
	dvc repro

test: install lint
	pytest

lint: install
	ruff check .
	ruff format --check .

format: install
	ruff check --fix .
	ruff format .
