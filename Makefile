# Two commands to know: `make run` and `make test`. Each target sets up what it needs by itself.
# An environment is made from its lock, with hashes checked, and stamped when it is whole: one that was interrupted has
# no stamp and is made anew; a changed lock makes it anew too; a changed pyproject.toml only installs the sources again.

PYTHON ?= python3
LOCK_FLAGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run demo test check format-check lint types imports all-tests coverage bench lock dist format clean

PROJECTS := $(wildcard kernel/pyproject.toml contrib/*/pyproject.toml plugins/*/pyproject.toml)
MEMBERS := $(patsubst %/pyproject.toml,%,$(PROJECTS))
TYPED_TESTS := $(wildcard tests/typing)
BENCHMARKS := $(wildcard tests/benchmarks/bench_*.py)
BENCH_LOCK := tests/benchmarks/requirements.lock
PIP_INSTALL := python -m pip --disable-pip-version-check install --quiet --quiet

heading = @printf '\n== %s ==\n' '$(1)'

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

run: .venv/.stamp ## Serve the example host on 127.0.0.1:8000 (PORT=8123 for another), until Ctrl-C
	@.venv/bin/python examples/host_app/main.py

demo: .venv/.stamp ## Tell the whole story of all plugins in a fresh data folder, and end
	@.venv/bin/python examples/host_app/main.py demo

test: .venv/.stamp ## Run the tests, but for the slow ones
	@.venv/bin/python -m pytest -m "not slow" --numprocesses auto --dist worksteal

check: format-check lint types imports coverage all-tests ## Run everything that must hold: format, lint, types, imports, all tests
	$(call heading,check: everything holds)

format-check: .venv/.stamp
	$(call heading,format)
	@.venv/bin/ruff format --check

lint: .venv/.stamp
	$(call heading,lint)
	@.venv/bin/ruff check

types: .venv/.stamp
	$(call heading,types: mypy)
	@.venv/bin/mypy
	@if [ -n "$(TYPED_TESTS)" ]; then .venv/bin/mypy $(TYPED_TESTS); fi
	$(call heading,types: basedpyright)
	@.venv/bin/basedpyright --pythonpath .venv/bin/python

imports: .venv/.stamp
	$(call heading,imports)
	@.venv/bin/lint-imports --no-logo

# What failed while other tests ran beside it is run once more by itself, and has to pass then: the machine may have
# been too busy for it. Both outcomes are printed.
all-tests: .venv/.stamp
	$(call heading,all tests but those of the kernel)
	@.venv/bin/python -m pytest --ignore=tests/kernel --numprocesses auto --dist worksteal \
		|| { printf '\n== once more, alone: what failed ==\n'; .venv/bin/python -m pytest --last-failed --last-failed-no-failures none; }

# `coverage run` and not a pytest plugin: the kernel's own pytest plugin is loaded before other plugins could measure it.
coverage: .venv/.stamp
	$(call heading,tests of the kernel, with branch coverage)
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest tests/kernel
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report --skip-covered --skip-empty --include='kernel/*' --fail-under=95

bench: .venv-bench/.stamp ## Measure beside peers, in an environment of its own, and print ratios
	@for script in $(BENCHMARKS); do printf '\n== %s ==\n' "$$script"; .venv-bench/bin/python "$$script"; done

lock: .venv/.stamp ## Resolve the locks again (LOCK_FLAGS=--upgrade for newer versions)
	@$(call compile,--group dev,requirements.lock)
	@$(call compile,--group bench --constraint requirements.lock,$(BENCH_LOCK))

dist: .venv/.stamp ## Build the wheel and the source archive of every distribution into dist/
	@rm -rf dist
	@for member in $(MEMBERS); do (cd "$$member" && "$(CURDIR)/.venv/bin/hatchling" build -d "$(CURDIR)/dist"); done

format: .venv/.stamp ## Format the code and mend what the linter can
	@.venv/bin/ruff check --fix-only --quiet
	@.venv/bin/ruff format

clean: ## Remove all that is made: environments, archives, caches
	rm -rf .venv .venv-bench dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(MEMBERS) tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments ---------------------------------------------------------------------------------

.venv/.locked: requirements.lock
	$(call environment,.venv,$<)

.venv-bench/.locked: $(BENCH_LOCK)
	$(call environment,.venv-bench,$<)

%/.stamp: %/.locked $(PROJECTS)
	@$*/bin/$(PIP_INSTALL) --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	@touch $@

.PRECIOUS: .venv/.locked .venv-bench/.locked

define environment
	$(call heading,making $(1) from $(2))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, this is {sys.version}; say which with PYTHON=...")'
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/$(PIP_INSTALL) --require-hashes --requirement $(2)
	@touch $@
endef

# The distributions themselves are installed from the sources, so no lock names them.
define compile
.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	$(shell sed -n 's/^name = "\(.*\)"/--no-emit-package \1/p' $(PROJECTS)) \
	--all-extras $(1) $(LOCK_FLAGS) --output-file $(2) $(PROJECTS)
endef
