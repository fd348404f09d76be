# The two commands of a new user are `make demo` and `make test`; every target sets up what it needs, once.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SITE = sphinx-build -q -E -W --keep-going -n -c docs . site
RUN = python scripts/run_study.py
CONFIGS = config/config.yaml config/demo.yaml config/demo_full.yaml config/learn.yaml config/learn_segmenters.yaml config/lean.yaml \
  config/challenge.yaml

.PHONY: setup demo demo-full learn test test-long test-slurm check docs fuzz clean-demo

setup: .venv/.installed

# Installs exactly what requirements.lock pins, by hash. Bootstraps with pip the one tool (uv) that does the rest.
.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "understudy needs Python 3.11 to 3.13, found " + sys.version.split()[0] + ": make setup PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	awk '/^[^ #]/ {keep = /^uv==/} keep' requirements.lock > .venv/uv.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock
	.venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(RUN) --config config/demo.yaml
	@python scripts/show_results.py --config config/demo.yaml

# Every generator of the study, both networks, every experiment: 32 x 32 pixels, less to look at.
demo-full: setup
	@$(RUN) --config config/demo_full.yaml
	@python scripts/show_results.py --config config/demo_full.yaml

# Every segmenter and every generator learns 32 x 32 phantoms; ends with an error where one does not.
learn: setup
	@$(RUN) --config config/learn_segmenters.yaml
	@$(RUN) --config config/learn.yaml
	@python scripts/show_learning.py --config config/learn_segmenters.yaml
	@python scripts/show_learning.py --config config/learn.yaml

# In two processes, a file of tests in one of them; the long files first (tests/conftest.py).
test: setup
	@python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Those of minutes each that `test` leaves out: once before a release, and after a change of what they test.
test-long: setup
	@python -m pytest -n 2 -m long

# Real SLURM on this machine, thrown away afterwards. Skipped, with the reason, where it is not and cannot be installed.
test-slurm: setup
	@tests/slurm/packages.sh
	@python -m pytest -m slurm tests/slurm

# Thousands of malformed files over every reader of files from outside: docs/security.md.
CASES ?= 100
SEED ?= 1
fuzz: setup
	@FUZZ_CASES=$(CASES) FUZZ_SEED=$(SEED) python -m pytest -n 2 tests/outside

check: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/Snakefile rules
	python scripts/write_config.py --check
	python scripts/check_config.py $(CONFIGS)
	python scripts/check_rules.py $(CONFIGS)
	python scripts/check_links.py
	$(SITE)
	python scripts/write_numbers.py --check --tables

# The documents as a site: site/index.html. Read anew each time (-E), as Sphinx tells a warning of a page only once.
docs: setup
	$(SITE)

clean-demo:
	rm -rf results/phantom runs/phantom results/demo_full runs/demo_full
