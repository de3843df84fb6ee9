# The verbs of this project. `make help` lists them.

SHELL := /bin/bash
CARGO ?= cargo
# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),$(CARGO_BUILD_TARGET_DIR),target)
# What the tests of `make e2e` start, and the package of Debian and Ubuntu that has it.
E2E_PROGRAMS := prometheus:prometheus promtool:prometheus prometheus-node-exporter:prometheus-node-exporter \
	free:procps openssl:openssl nginx:nginx

.DEFAULT_GOAL := help
.PHONY: help run build install check fmt clippy doc fuzz-targets deny verbs test golden bench e2e e2e-packages-installed deb rpm e2e-packages fuzz clean
.PHONY: static reproducible image image-needs dist e2e-static

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the release binary, target/release/metricsd
	$(CARGO) build --release --locked

# Builds nothing, so that `sudo make install` needs no compiler: make build first.
install: ## metricsd as a command, with man pages and completions (PREFIX=/usr/local, DESTDIR)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' packaging/install '$(or $(BINARY),$(TARGET)/release/metricsd)'

run: build ## build and start with the example configuration
	@echo
	@echo '  metrics    http://localhost:8080/metrics'
	@echo '  health     http://localhost:8080/health'
	@echo '  one round  $(TARGET)/release/metricsd -once'
	@echo '  stop       Ctrl-C'
	@echo
	@$(CARGO) run --release --locked --quiet -- -config config.example.json

check: fmt clippy doc fuzz-targets deny verbs ## formatting, lints, documentation, licences and duplicates of dependencies

fmt:
	$(CARGO) fmt --check

clippy:
	$(CARGO) clippy --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items --quiet

# A changed name shows here, not when somebody fuzzes next. Not --locked: its lock follows ours.
fuzz-targets:
	$(CARGO) check --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --quiet

# cargo-deny checks every crate's licence and that none comes twice: `cargo install cargo-deny --locked`.
deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked --log-level error check licenses bans sources; \
	else \
		echo 'cargo-deny is not installed (cargo install cargo-deny --locked): licences were not checked'; \
		test -z "$$CI"; \
	fi

verbs:
	@packaging/release/verbs

test: ## every test that needs no other server
	$(CARGO) test --locked

golden: ## rewrite tests/golden from the fixtures, and what is generated in docs and packaging
	METRICSD_GOLDEN=write $(CARGO) test --locked --test it -- golden:: docs::

bench: ## what it costs: CPU of a tick against a bare loop, encoders, spool, memory; also of the static binary
	$(CARGO) bench --locked
	@if [ -x $(STATIC) ]; then $(CARGO) bench --locked --bench tick -- --binary $(STATIC); \
	else echo 'there is no static binary (make static), so its budgets were not checked'; fi
	$(CARGO) test --release --locked --test it -- --ignored --nocapture statsd::a_flood

# Where Debian's archive or Python's registry cannot be reached, and only then, the tests that need
# what is there are skipped: the script prints why, they and we say so.
e2e: e2e-packages-installed ## the tests against real peers (Debian packages: prometheus, prometheus-node-exporter, procps, openssl, nginx; newer receivers in ~/.cache)
	@excuse=$$(tests/it/e2e/fetch-receivers) || exit 1; no_python=$$(tests/it/e2e/fetch-python) || exit 1; \
	METRICSD_E2E_EXCUSE="$$excuse" METRICSD_E2E_NO_PYTHON="$$no_python" $(CARGO) test --locked --test it -- --ignored e2e --test-threads 2 || exit 1; \
	test -z "$$excuse" || echo "SKIPPED, with no receiver to test against: remote write 2.0 and VictoriaMetrics ($$excuse)"; \
	test -z "$$no_python" || echo "SKIPPED, with no reader to test against: OpenTelemetry's definitions in Python ($$no_python)"

e2e-packages-installed:
	@PATH=$$PATH:/usr/sbin; for program in $(E2E_PROGRAMS); do \
		package=$${program#*:}; \
		command -v $${program%:*} >/dev/null && continue; \
		echo "$$package is missing; installing it"; \
		if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
		$$SUDO apt-get update -q && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -qy --no-install-recommends $$package || exit 1; \
	done

PACKAGES := $(or $(CARGO_TARGET_DIR),target)/packages
# Another binary than the one that is built: make deb BINARY=...
PACKAGED = $(or $(BINARY),$$(packaging/binary))
# ARCH, where it is given, make puts into the environment of these scripts.

deb: ## the Debian package, in target/packages (ARCH=amd64|arm64)
	@packaging/need deb dpkg-deb dpkg dpkg
	@binary=$(PACKAGED) && packaging/deb/build "$$binary" $(PACKAGES)

rpm: ## the rpm, in target/packages (ARCH=amd64|arm64)
	@packaging/need rpm rpmbuild rpm rpm-build
	@binary=$(PACKAGED) && packaging/rpm/build "$$binary" $(PACKAGES)

# Needs root, debootstrap, lintian, rpm, rpmlint, systemd-container; says what is missing.
e2e-packages: ## installs, upgrades, breaks and purges the packages in roots of Debian and Ubuntu
	@binary=$(PACKAGED) && packaging/test/run "$$binary" $(PACKAGES)

FUZZ_SECONDS ?= 60
# How they are built: optimised and with the address sanitizer, unless said otherwise. FUZZ='--dev
# --sanitizer none' builds in a third of the time.
FUZZ ?=
# What cargo-fuzz asks of the compiler is in the stable one too, behind this variable.
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: ## each fuzz target for FUZZ_SECONDS, from its seeds (needs cargo-fuzz: cargo install cargo-fuzz --locked)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'cargo-fuzz is not installed: cargo install cargo-fuzz --locked' >&2; exit 1; }
	@fuzz/seed
	@$(CARGO) fuzz build $(FUZZ) --target-dir $(TARGET)/fuzz
	@for target in $$($(CARGO) fuzz list); do \
		echo "== $$target"; \
		$(CARGO) fuzz run $(FUZZ) --target-dir $(TARGET)/fuzz $$target -- -verbosity=0 -print_final_stats=1 \
			-max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20 || exit 1; \
	done

# The version stands in Cargo.toml, and nowhere else.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
MACHINE := $(or $(ARCH),x86_64)
STATIC := dist/metricsd-$(VERSION)-$(MACHINE)-linux-musl
IMAGE ?= metricsd:$(VERSION)
PLATFORM_x86_64 := linux/amd64
PLATFORM_aarch64 := linux/arm64
PLATFORM_armv7 := linux/arm/v7

static: ## the static binary, dist/metricsd-VERSION-ARCH-linux-musl (ARCH=x86_64, aarch64 or armv7)
	packaging/static/build $(MACHINE) $(STATIC)

reproducible: ## build the static binary twice, in different directories, and compare the bytes
	packaging/static/reproducible $(MACHINE)

# Asked for before anything is built.
image-needs:
	@packaging/need image podman podman podman 'docker build -t metricsd . needs docker alone'

image: image-needs static ## the container image from the static binary, with podman (IMAGE=metricsd:VERSION, and metricsd:latest)
	packaging/docker/context $(STATIC) dist/image
	podman build --quiet --format docker --platform $(PLATFORM_$(MACHINE)) -f packaging/docker/Dockerfile.prebuilt -t $(IMAGE) -t metricsd:latest dist/image

# Where the machine cannot do one of these (exit 77), it says so, and the others count.
e2e-static: image ## the static binary in an empty root, the image with podman, the manifests against Kubernetes' schemas
	@for try in 'packaging/static/test $(STATIC)' 'packaging/docker/test $(IMAGE)' packaging/kubernetes/test; do \
		echo "== $$try"; $$try || [ $$? = 77 ] || exit 1; \
	done

dist: static ## what a release consists of: archives, packages, checksums, bills of materials, in dist/
	packaging/release/dist $(VERSION) $(PACKAGES)

clean: ## remove what was built
	$(CARGO) clean
