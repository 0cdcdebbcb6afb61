# Everything that this project does to itself. On a fresh Debian, as root, each target installs what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
READY := $(VENV)/.ready
# The longest first, so that the last ones end together.
HOSTS := $(patsubst %,tests/e2e/test_%.py,\
  upgrade qemu_pair failover servers choreography_kills choreography choreography_races certificates restore tasks bake_debian registries whole_job \
  upgrade_kills consul_on_masters) tests/machines

# What fails beside others is run once more, alone, and told both times.
AGAIN = PYTHONPATH=tests $(BIN)/python -m again

# What the tests start anew a thousand times is compiled once, as it is for whoever has installed it.
unexport PYTHONDONTWRITEBYTECODE

# Counted branch by branch: each has to be seen by these.
PLANNERS := $(foreach layer,unit integration,tests/$(layer)/verbs tests/$(layer)/engine)

# A folder with Kubernetes' own packages and images, in the stand-ins' place; docs/testing.md tells how it is filled. Its hosts
# have a machine to themselves, and QEMU's are left out: their template is baked with stand-ins. Of two folders, OLD:NEW, hosts
# have the first one's, and are upgraded to the second one's.
KUBERNETES ?=
export KUBERNETES
REAL := $(filter-out %/test_qemu_pair.py %/test_bake_debian.py $(if $(findstring :,$(KUBERNETES)),,%/test_upgrade.py %/test_upgrade_kills.py),$(HOSTS)) \
  tests/e2e/test_pods.py tests/e2e/test_discovery_by_masters.py

.DELETE_ON_ERROR:
.PHONY: help test night servers hosts kubernetes check lint workflows types layers unit coverage site system demo bench bench-ansible docs pins version release clean

help:  ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*##/\1 -/p' $(MAKEFILE_LIST)

test: lint types layers coverage site servers hosts  ## style, types, layers, the site, the tests on real servers, then those of whole clusters that boot

check: lint unit  ## the inner loop: style, and the tests that need no server

lint: $(READY) workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

workflows: $(READY)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/zizmor --quiet --offline --min-severity medium .github

types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 --package kube_provision_node --package kube_provision_consul.node --package kube_provision_kubernetes.node
	MYPYPATH=tests $(BIN)/mypy --explicit-package-bases tests/servers tests/machines demo bench website release

layers: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/pytest -q -n auto -m "not integration and not e2e"

coverage: $(READY) system  ## the tests of planners and engine, and what those do that their own tests never see
	COVERAGE_FILE=build/coverage $(BIN)/pytest --cov -q -p no:cacheprovider -n 3 $(PLANNERS)

servers: $(READY) system  ## all other tests that boot no machine, or a single one
	$(BIN)/pytest --cache-clear --durations=50 -m "not night" -n 3 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(HOSTS) $(PLANNERS)) || { test $$? -eq 1 && $(AGAIN); }

hosts: $(READY) system  ## the tests of whole clusters that boot: baked, grown, killed, lost and healed
	$(BIN)/pytest --cache-clear --durations=50 -m "not night" $(if $(KUBERNETES),$(REAL),-n 2 --dist loadfile --no-loadscope-reorder $(HOSTS)) || { test $$? -eq 1 && $(AGAIN); }

# From which call on, and up to which: `make night WALK=17-`, `WALK=17-40`.
WALK ?= all
night: $(READY) system  ## what takes longer: the program killed after each of its calls; certificates outlived by their cluster; whole systems upgraded; power cut in upgrades; a cluster of emulated machines; Consul servers replaced; three masters that race again and again; two hundred clusters rolled out
	WALK=$(WALK) $(BIN)/pytest -n 3 tests/e2e/test_crash_points.py
	$(BIN)/pytest -m night tests/packaging plugins/consul/tests plugins/temporal/tests $(foreach it,certificates upgrade upgrade_kills qemu_pair servers consul_on_masters choreography_races,tests/e2e/test_$(it).py)

kubernetes: $(READY)  ## fill the folder KUBERNETES with upstream's packages and images of VERSION, a minor or a release
	PYTHONPATH=tests $(BIN)/python -m machines.real.fetch $(KUBERNETES) --version $(VERSION)

site: $(READY)  ## the documentation site, in build/site; what its builder warns of fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

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
	$(BIN)/python -m kube_provision_core.scaffold.hook_reference > docs/hooks.md

pins: $(READY)  ## write down the versions that are installed now
	{ sed -n '/^#/p' constraints.txt; $(BIN)/pip list --format=freeze --exclude pip --exclude setuptools | grep -v '^kube-provision'; } > constraints.new
	mv constraints.new constraints.txt

version: $(READY)  ## set VERSION wherever a version of ours stands
	$(BIN)/python -m release version '$(VERSION)'

release: $(READY)  ## what the tag TAG publishes, in dist: every distribution, with its bill of materials
	$(BIN)/python -m release build '$(TAG)' dist

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache

$(READY): pyproject.toml constraints.txt $(addsuffix /pyproject.toml,$(PLUGINS))
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -qq -y python3-venv; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1'
	$(BIN)/pip install -q -c constraints.txt --group dev -e . $(addprefix -e ,$(PLUGINS))
	touch $@
