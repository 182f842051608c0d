# make repro: install, then run the pipeline.  make test: install, then check everything.
# make pretrain: install, then retrain the network in the repository; takes an hour.
# make folds: install, then train and evaluate every fold, and tabulate their metrics.
# make app: install, then count cards in the browser with the network from make repro.
# make wheel: install, run what changed of the pipeline, then build a wheel in dist/ with network and page.
# make label-studio DATASET=mine: install, then correct proposed labels in the browser.
# make docs: install, then build the site of docs/ into build/docs.
# make figures: install, then make the pictures of docs/ from the code and what make repro left.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PACKAGES := app/node_modules/.installed
# The network that comes in the wheel: the one that make repro trains. It counts as well as the one
# it started from, and has intervals; see benchmarks/networks.py.
NETWORK ?= models/cardpose.onnx
BUILD ?= build
DIST ?= dist
# Label Studio needs its own environment: its requirements conflict with those of cardpose.
STUDIO := .venv-label-studio
STUDIO_VERSION := 1.23.2
STUDIO_INSTALLED := $(STUDIO)/.installed-$(STUDIO_VERSION)
# The site of docs/ needs what nothing else does.
DOCS := .venv-docs
DOCS_INSTALLED := $(DOCS)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
# DVC needs a name of the user, and some containers list none.
export LOGNAME ?= $(shell id -un 2> /dev/null || id -u)

.PHONY: models/cardpose.onnx install repro pretrain folds app wheel label-studio docs figures test soak test-label-studio browser mutants lint format

install: $(INSTALLED)

# The .pth file puts the environment's bin first on PATH for all programs that its Python starts.
# So stages run this `python` even if the environment is not activated before .venv/bin/dvc runs.
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	echo 'import os, sys; os.environ["PATH"] = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ.get("PATH", os.defpath)' \
		> "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cardpose_path.pth"
	touch $@

repro: install
	dvc repro
	@cat metrics/summary.txt

pretrain: install
	dvc repro --force --single-item pretrain

# DATASET names another data set, and ARGS sets parameters:
# make folds DATASET=cardcut ARGS="-S sigma=3".
folds: install
	python -m benchmarks.folds $(if $(DATASET),-S dataset=$(DATASET)) $(ARGS)

app: install $(PACKAGES)
	cardpose app

# The page downloads the runtime compressed by Zstandard: 1.9 MB instead of 3.0 MB by gzip.
$(PACKAGES): app/package-lock.json | install
	cd app && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(BIN)/python -c 'import pathlib, sys, zstandard; path = pathlib.Path(sys.argv[1]); \
		path.with_name(path.name + ".zst").write_bytes(zstandard.compress(path.read_bytes(), 22))' \
		app/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm
	touch $@

# Phony: DVC knows whether the file is that of today's code and parameters.
models/cardpose.onnx: install
	dvc repro

# Build in a copy, because in a clone a page in the package would hide later changes of app/.
wheel: install $(PACKAGES) $(NETWORK)
	rm -rf $(BUILD)/wheel
	mkdir -p $(BUILD)/wheel
	cp -R cardpose pyproject.toml README.md LICENSE $(BUILD)/wheel
	cardpose export $(NETWORK) --int8 --output $(BUILD)/cardpose.onnx
	cardpose app --model $(BUILD)/cardpose.onnx --build $(BUILD)/wheel/cardpose/page
	cp $(BUILD)/cardpose.onnx $(BUILD)/wheel/cardpose/page
	rm $(BUILD)/wheel/cardpose/page/cardpose.onnx.gz
	python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(DIST) $(BUILD)/wheel

# ARGS adds options of cardpose label studio: make label-studio DATASET=mine ARGS=--next.
label-studio: install $(STUDIO_INSTALLED)
	cardpose label studio $(or $(DATASET),$(error DATASET=mine would label the frames of data/mine)) $(ARGS)

$(STUDIO_INSTALLED):
	$(PYTHON) -m venv $(STUDIO)
	$(STUDIO)/bin/python -m pip install --quiet label-studio==$(STUDIO_VERSION)
	touch $@

# Links that lead nowhere and pages outside the navigation are errors.
docs: install $(DOCS_INSTALLED)
	python -m docs.reference.generate
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml
	@echo build/docs/index.html

# The animation and the sheet of examples show the network and the recordings of make repro.
figures: install browser
	python -m docs.figures

$(DOCS_INSTALLED): docs/site/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --requirement $<
	touch $@

test: install lint browser
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Run the tests that are too slow for every day; docs/explanation/reliability.md describes them.
soak: install
	pytest -m soak

# Test Label Studio itself in a browser; takes minutes.
test-label-studio: install browser $(STUDIO_INSTALLED)
	pytest -m soak tests/labelling/test_label_studio.py

# Install what the tests of the page need. If that fails, they are skipped and say why.
browser:
	@! command -v npm > /dev/null || $(MAKE) --no-print-directory $(PACKAGES) || true
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get -qq update && \
			DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium; } \
		|| true

# Run the tests against deliberate faults in the code; docs/explanation/reliability.md has the score.
mutants: install
	python tests/mutants/mutants.py

lint: install
	ruff check .
	ruff format --check .
	mypy

format: install
	ruff check --fix .
	ruff format .
