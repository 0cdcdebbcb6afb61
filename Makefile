# Everything that this project does to itself. On a fresh Debian, as root, each target installs what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
READY := $(VENV)/.ready
# The longest first, so that the last ones end together.
HOSTS := $(patsubst %,tests/e2e/test_%.py,\
  qemu_pair failover choreography_kills choreography choreography_races bake_debian whole_job) tests/machines

.DELETE_ON_ERROR:
.PHONY: help test servers hosts check lint types layers unit system demo bench bench-ansible docs pins clean

help:  ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*##/\1 -/p' $(MAKEFILE_LIST)

test: lint types layers servers hosts  ## style, types, layers, the tests on real servers, then those of whole clusters that boot

check: lint unit  ## the inner loop: style, and the tests that need no server

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy
	MYPYPATH=tests $(BIN)/mypy --explicit-package-bases tests/servers tests/machines demo bench

layers: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/pytest -q -n auto -m "not integration and not e2e"

servers: $(READY) system  ## the tests that boot no machine, or a single one
	$(BIN)/pytest -n 3 --dist loadfile $(addprefix --ignore=,$(HOSTS))

hosts: $(READY) system  ## the tests of whole clusters that boot: baked, grown, killed, lost and healed
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(HOSTS)

system: $(READY)  ## the Debian packages that tests and demo use, and the simulator
	PYTHONPATH=tests $(BIN)/python -m servers

demo: $(READY) system  ## a whole cluster on a simulated vCenter
	PYTHONPATH=tests $(BIN)/python -m demo

bench: $(READY) system  ## how fast it is, as ratios
	PYTHONPATH=tests $(BIN)/python -m bench

bench-ansible: $(READY) system  ## the same, against Ansible as of old
	PYTHONPATH=tests $(BIN)/python -m bench --ansible

docs: $(READY)  ## rewrite the pages that are generated
	$(BIN)/python -m kube_provision_core.config > docs/configuration.md
	$(BIN)/python -m kube_provision_core.hook_reference > docs/hooks.md

pins: $(READY)  ## write down the versions that are installed now
	{ sed -n '/^#/p' constraints.txt; $(BIN)/pip list --format=freeze --exclude pip --exclude setuptools | grep -v '^kube-provision'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache

$(READY): pyproject.toml constraints.txt $(addsuffix /pyproject.toml,$(PLUGINS))
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -qq -y python3-venv; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1'
	$(BIN)/pip install -q -c constraints.txt --group dev -e . $(addprefix -e ,$(PLUGINS))
	touch $@
