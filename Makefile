# Every task there is. `make` lists them; the work is in dev/.

# For `make install`.
PREFIX ?= /usr
DESTDIR ?=

# Packages before the build, the build before the run, also with -j.
.NOTPARALLEL:

.PHONY: help
help: ## lists the tasks
	@echo 'Berth. Tasks:'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

.PHONY: run
run: rust packages-run build ## shows Berth at work in a simulated cloud, until Ctrl-C
	@dev/as-root target/debug/berth-lab run

.PHONY: smoke
smoke: rust packages-run build ## the same without a person: checks every step
	@dev/as-root target/debug/berth-lab smoke

.PHONY: check
check: rust ## the fast loop, no root: format, lints, unit tests, docs
	@dev/check

.PHONY: test
test: rust packages-test ## everything, as continuous integration does
	@dev/test

.PHONY: model
model: rust ## searches larger worlds for a broken promise (dev/model hosts=2 kills=1 … for one)
	@dev/model

.PHONY: clean-lab
clean-lab: rust build ## removes what killed labs left behind
	@dev/as-root target/debug/berth-lab clean

.PHONY: install
install: rust ## installs berthd, berth, systemd units, man pages (PREFIX, DESTDIR)
	@dev/install "$(DESTDIR)" "$(PREFIX)"

.PHONY: rust
rust:
	@dev/require-rust

.PHONY: packages-run packages-test
packages-run packages-test: packages-%:
	@dev/install-packages $*

.PHONY: build
build:
	@cargo build --workspace --bins
