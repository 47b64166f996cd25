# `make demo` and `make test` need only Python 3.11 or newer with venv, g++ and make; they set up .venv by themselves.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TYPING := build/typing/intarsia
KERNELS = $(wildcard hls_kernels/*.hpp)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test docs lint format clean distclean tools board

help:
	@echo 'make demo       compile the bundled LeNet, simulate it, run it on an emulated board: report in out/demo'
	@echo 'make test       run the test suite'
	@echo 'make docs       build the pages of docs/ as a web site: out/docs/index.html'
	@echo 'make lint       check style and types, of Python and of C++'
	@echo 'make format     rewrite Python and C++ in the house style'
	@echo 'make clean      remove what builds, tests and the demo wrote'
	@echo 'make distclean  remove the environment .venv as well'

demo: board
	$(BIN)/intarsia demo -o out/demo

test: board
	$(BIN)/python -m pytest $(PYTEST_ARGS)

docs: $(INSTALLED)
	$(BIN)/python -m mkdocs build --quiet --strict --config-file .ci/mkdocs.yml

# mypy cannot follow the mapping of `intarsia` onto these folders (package-dir in pyproject.toml), so it is given a
# folder of links that has the shape of the installed package. `mypy generator verify` would not do: the same class
# would be known by two names.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf $(TYPING) && mkdir -p $(TYPING)
	@ln -s $(CURDIR)/generator/* $(CURDIR)/boards $(CURDIR)/hls_kernels $(CURDIR)/templates $(CURDIR)/verify $(TYPING)
	MYPYPATH=build/typing $(BIN)/mypy -p intarsia
	$(if $(KERNELS),$(BIN)/clang-format --dry-run --Werror $(KERNELS))

format: $(INSTALLED)
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .
	$(if $(KERNELS),$(BIN)/clang-format -i $(KERNELS))

clean:
	rm -rf build dist out *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache

distclean: clean
	rm -rf $(VENV)

# The client of the emulated board is PYNQ's own, in an environment of its own. Does nothing when that is there.
board: $(INSTALLED) | tools
	$(BIN)/intarsia setup-board

$(INSTALLED): pyproject.toml | tools
	@echo 'Installing intarsia and what it needs into $(VENV); the first time this takes a minute or two.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

tools:
	@command -v $(PYTHON) >/dev/null || { \
	    echo 'error: $(PYTHON) is missing. Install it (apt-get install python3 python3-venv),' \
	        'or name another: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: intarsia needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	        'Name another: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo 'error: $(PYTHON) has no venv module. Install it: apt-get install python3-venv' >&2; exit 1; }
	@command -v g++ >/dev/null || { \
	    echo 'error: g++ is missing, and the C-simulation is compiled with it. Install it: apt-get install g++' >&2; \
	    exit 1; }
