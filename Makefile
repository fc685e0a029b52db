# Targets for development; each sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
# On two processors: a third of the time, a test waits for a server or the disk.
WORKERS ?= 3

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## set up the virtual environment, Java and Gradle
	@tools/setup.sh

.PHONY: demo
demo: setup ## release the example module: build, sign, verify, upload, download
	@tools/demo.sh

.PHONY: test
test: setup ## run the tests, the contract of all stores on some of them
	@tools/setup.sh tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: contract
contract: setup ## run the contract of all stores on every server
	@tools/setup.sh tests
	@IGN_DEPLOY_CONTRACT=all $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/contract

.PHONY: lint
lint: setup ## style, types, import contract, YAML, workflows, Dockerfile
	@tools/setup.sh lint
	@tools/lint.sh

.PHONY: format
format: setup ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: docs
docs: setup ## build the searchable site of docs/ into build/site; broken links fail
	@tools/docs.sh

.PHONY: bench
bench: setup ## measure speed and memory as ratios
	@$(BIN)/python -m benchmarks

.PHONY: fleet
fleet: setup ## kill an installation on 200 simulated gateways, repeat it, and count (some ten minutes)
	@$(BIN)/python -m benchmarks.fleet 200

.PHONY: container
container: setup ## build both images and run them like CI hosts do
	@tools/container-check.sh

.PHONY: package
package: setup ## build the wheel, run it without the checkout and as a pre-commit hook
	@tools/package-check.sh

.PHONY: lock
lock: setup ## rewrite both lock files (UPGRADE=1: newest versions)
	@tools/lock.sh $(if $(UPGRADE),--upgrade)

.PHONY: pin
pin: setup ## pin the Dockerfile's images by digest; requires access to their registry
	@$(BIN)/python -m tools.pin_images

.PHONY: clean
clean: ## delete everything the targets above created
	rm -rf .venv demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf tools/node_modules
	rm -rf examples/*/build examples/*/.gradle examples/*/*/build
	find ign_deploy tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
