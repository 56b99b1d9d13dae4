# pydocker: what there is to do, each a target. `make` alone lists them.
#
# Everything that is installed by hand elsewhere is installed here: Debian packages (only those that are missing, so a
# second run needs neither root nor a network) and a virtual environment in .venv with this checkout in it.

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo test check bench compat security install uninstall clean test-fresh test-vm soak

# The system's Python where it is new enough: the python3 of a version manager may lack headers, and start slowly.
PYTHON ?= $(firstword $(foreach p,/usr/bin/python3 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
PREFIX ?= /usr/local
PYTEST_OPTIONS ?=
# Test files that run at once: each process has directories, cgroups, mounts and a network of its own, and they wait as
# much as they work. What one of them has compiled, the others need not (bytecode is written, whatever the environment).
AT_ONCE ?= 4

VENV := .venv
BIN := $(VENV)/bin
HERE := $(CURDIR)
# Where the three shells look for what completes a command: bash, zsh, fish.
COMPLETIONS := $(PREFIX)/share/bash-completion/completions/pydocker $(PREFIX)/share/zsh/site-functions/_pydocker \
    $(PREFIX)/share/fish/vendor_completions.d/pydocker.fish
UNITS := $(PREFIX)/lib/systemd/system
# Where systemd runs, and looks for units: not for an installation into some other prefix.
SYSTEMD = [ -d /run/systemd/system ] && [ "$(PREFIX)" = /usr/local ]

# What the engine needs: a compiler and headers for python-prctl, libseccomp2 for pyseccomp, ps for `top`, and the tools
# of its later rooms.
PACKAGES := ca-certificates gcc libc6-dev libcap-dev libseccomp2 python3-dev python3-venv iproute2 nftables procps \
    busybox-static
# What the tests run against. One that a distribution does not have costs the tests that need it, which say so.
DOCKER = $(shell apt-cache show docker-cli >/dev/null 2>&1 && echo docker-cli || echo docker.io)
TEST_PACKAGES = $(DOCKER) runc docker-registry skopeo umoci debootstrap apache2-utils vagrant tmux strace attr crun \
    docker.io podman netavark tini containerd zsh fish postgresql nginx ufw firewalld dbus

# Docker's and podman's default seccomp profile, as a file.
TEST_PACKAGES += golang-github-containers-common

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages, and the virtual environment .venv
	@tests/packages.sh need $(PACKAGES)
	@$(MAKE) --silent --no-print-directory $(VENV)/.engine

setup-tests: setup
	@tests/packages.sh want $(TEST_PACKAGES)
	@$(MAKE) --silent --no-print-directory $(VENV)/.tests

# Without root nothing can be installed outside of this directory, and there is nothing to install it for.
ROOT := $(filter 0,$(shell id -u))

demo: install ## run the main job: an image from busybox, and containers that show what a container is
	@PATH="$(PREFIX)/bin:$$PATH" tests/demo.sh

test: $(if $(ROOT),install) setup-tests ## run every test (as root; without root: those that need none)
	@PYDOCKER_NEXT=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile $(PYTEST_OPTIONS)

check: setup-tests ## run the linters and the tests that need no root
	@$(BIN)/python -m pytest tests/unit $(PYTEST_OPTIONS)

bench: install setup-tests ## compare the speed with Debian's docker.io and podman, where they are installed
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.names

compat: setup-tests ## give the same command lines to Debian's dockerd and to ours, and list what differs, and why
	@$(BIN)/python -m tests.compat

security: setup-tests ## make every known attack on pydocker-runtime, and on runc and crun where they are installed
	@$(BIN)/python -m tests.security

# What `make test` does a part of: every function as the place of a SIGKILL, a thousand containers.
soak: install setup-tests ## kill everything at every step, make a thousand containers: an hour or so
	@PYDOCKER_NEXT=1 PYDOCKER_SOAK=1 $(BIN)/python -m pytest tests/root/api/test_soak.py \
	    tests/root/monitor/test_steps_killed.py $(PYTEST_OPTIONS)

test-fresh: ## make a bare Debian in a directory, clone this into it, and run demo and test there
	@tests/packages.sh need debootstrap
	@tests/fresh/run.sh

# The tests that say most about cgroup v2, systemd, AppArmor and a full kernel: tests/vm/__main__.py chooses them.
test-vm: ## boot a VM with Debian's own kernel, systemd and cgroup v2, and run tests there (PYTEST_OPTIONS: which)
	@tests/packages.sh need debootstrap e2fsprogs qemu-system-x86
	@$(PYTHON) -m tests.vm

install: setup ## put `pydocker` and `pydocker-runtime` into /usr/local/bin, and its socket under systemd
	@install -d $(PREFIX)/bin
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	program="import gc, sys; gc.disable(); sys.path += ['$(HERE)', '$$site']; from %s import entry; entry()" && \
	gcc -O2 -Wall -DPYTHON='"$(HERE)/$(BIN)/python"' -DHERE='"$(HERE)"' \
	    -DPROGRAM="\"$$(printf "$$program" pydocker.cli)\"" pydocker/launcher.c -o "$(PREFIX)/bin/.pydocker" && \
	mv "$(PREFIX)/bin/.pydocker" "$(PREFIX)/bin/pydocker" && \
	gcc -O2 -Wall -DPYTHON='"$(HERE)/$(BIN)/python"' -DPROGRAM="\"$$(printf "$$program" runtime.cli)\"" \
	    runtime/launcher.c -o "$(PREFIX)/bin/.pydocker-runtime" && \
	mv "$(PREFIX)/bin/.pydocker-runtime" "$(PREFIX)/bin/pydocker-runtime"
	@install -d $(dir $(COMPLETIONS))
	@set -- $(COMPLETIONS); for shell in bash zsh fish; do $(PREFIX)/bin/pydocker completion $$shell > $$1; shift; done
	@if $(SYSTEMD); then \
	    install -d $(UNITS) && \
	    sed 's,@BIN@,$(PREFIX)/bin,' pydocker/units/pydocker.service > $(UNITS)/pydocker.service && \
	    cp pydocker/units/pydocker.socket $(UNITS)/pydocker.socket && \
	    systemctl daemon-reload && systemctl enable --quiet --now pydocker.socket && \
	    systemctl try-restart pydocker.service; \
	fi

uninstall: ## take away what install has put there (containers and images stay in /var/lib/pydocker)
	@if $(SYSTEMD) && [ -e $(UNITS)/pydocker.socket ]; then \
	    systemctl disable --quiet --now pydocker.socket && systemctl stop pydocker.service; \
	fi
	@rm -f $(COMPLETIONS) $(PREFIX)/bin/pydocker $(PREFIX)/bin/pydocker-runtime $(UNITS)/pydocker.service $(UNITS)/pydocker.socket
	@if $(SYSTEMD); then systemctl daemon-reload; fi

clean: ## remove what was made in this directory, .venv included
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each kind of dependencies: newer than pyproject.toml means installed.
$(VENV)/.engine: pyproject.toml
	@$(call environment,.)
	@$(BIN)/python -m compileall -q pydocker runtime
	@touch $@

$(VENV)/.tests: pyproject.toml $(VENV)/.engine
	@$(call environment,.[test])
	@touch $@

# A virtual environment whose Python still runs is kept (a new Debian release breaks the old one).
define environment
	if [ -z "$(PYTHON)" ]; then echo "no Python 3.11 or newer found: set PYTHON" >&2; exit 1; fi; \
	case "$(HERE)" in *[[:space:]]*) echo "the path of this directory contains a space: $(HERE)" >&2; exit 1;; esac; \
	$(BIN)/python -c pass 2>/dev/null || $(PYTHON) -m venv --clear $(VENV); \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --use-pep517 --editable '$(1)'
endef
