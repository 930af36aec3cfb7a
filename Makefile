# Every target says what it does: `make help`.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
BROWSER := tests/collection_app/browser
LINTER := .ci/pages/node_modules
SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema vendor.
SPHINX := $(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --jobs auto docs docs/_build/html

.PHONY: help demo test test-slow test-long coverage mutants check check-links check-pages docs fix fix-pages bench lock release

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# One pip call: two could resolve torch twice, and the second time without the pin. The folder gets an old
# date first, so that an installation that breaks off is not taken for one that is done.
.venv: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	touch -t 200001010000 .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch .venv

demo: .venv ## The whole journey, from free photographs to a scored table and a report
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/demo.sh

# A process a core, each computing with one thread. Pages that measure frames have the machine to themselves.
test: .venv ## Run the tests, but for the slow ones
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow' -n logical --dist worksteal --ignore $(BROWSER)
	$(BIN)/pytest -m 'not slow' $(BROWSER)

test-slow: .venv ## Run the slow tests
	$(BIN)/pytest -m 'slow and not long'

test-long: .venv ## Run the simulations of many minutes, and print their tables
	$(BIN)/pytest -m long -s

coverage: .venv ## Measure which branches of analysis the tests take; below 90% is a failure
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m 'not slow' tests/analysis tests/bapps --cov=analysis --cov-branch \
		--cov-report=term-missing:skip-covered --cov-report=json:.coverage.json
	$(BIN)/python .ci/branch_coverage.py .coverage.json 90

mutants: .venv ## Mutate a sample of the code, and list the changes that no test notices; an hour, and goes on where it was
	.ci/mutants/run

check: .venv ## Check format, lint, types, workflows, links and documentation; change nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyrefly check --summary=none
	$(BIN)/pyrefly check --summary=none --python-version 3.13
	$(SCHEMA)github-workflows .github/workflows/*.yml
	$(SCHEMA)github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(SCHEMA)github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA)citation-file-format CITATION.cff
	$(BIN)/pytest --quiet tests/docs/test_links.py
	$(SPHINX)

check-links: .venv ## Ask for every address outside that the documentation links to; needs the network
	$(BIN)/sphinx-build --builder linkcheck --quiet docs docs/_build/links

check-pages: $(LINTER) ## Check scripts and styles of the pages: format, lint, types, oldest browsers; needs npm
	npm --prefix .ci/pages run --silent check

fix-pages: $(LINTER) ## Format scripts and styles of the pages, and mend what their linter can; needs npm
	npm --prefix .ci/pages run --silent fix

$(LINTER): .ci/pages/package.json .ci/pages/package-lock.json
	npm --prefix .ci/pages ci --silent
	touch $(LINTER)

docs: .venv ## Build the documentation into docs/_build/html
	$(SPHINX)
	@echo docs/_build/html/index.html

fix: .venv ## Format, and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv ## Run every benchmark; score.py runs low_level.py's as one of its parts
	for script in $(filter-out benchmarks/low_level.py,$(wildcard benchmarks/*.py benchmarks/collecting/*.py)); do $(BIN)/python $$script || exit 1; done

lock: ## Write constraints.txt anew from a fresh environment, newest versions but for torch
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	grep '^torch==' constraints.txt > .venv-lock/torch.txt
	.venv-lock/bin/python -m pip install --quiet --constraint .venv-lock/torch.txt '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude bapps --local | sed 's/+cpu$$//' > .venv-lock/freeze.txt
	mv .venv-lock/freeze.txt constraints.txt
	rm -rf .venv-lock

release: .venv ## Make a release to the last step before publishing: make release VERSION=0.2.0
	.ci/release $(VERSION)
