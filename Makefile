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
run: rust packages-run build ## shows Berth at work in a simulated cloud, until Ctrl-C (HOSTS=3 for a fleet on etcd)
	@dev/as-root target/debug/berth-lab run $(if $(HOSTS),--hosts $(HOSTS))

.PHONY: smoke
smoke: rust packages-run build ## the same without a person: checks every step
	@dev/as-root target/debug/berth-lab smoke $(if $(HOSTS),--hosts $(HOSTS))

.PHONY: check
check: rust protoc ## the fast loop, no root: format, lints, unit tests, docs
	@dev/check

.PHONY: test
test: rust packages-test ## everything, as continuous integration does
	@dev/test

.PHONY: bench-ledger
bench-ledger: rust ## measures look-ups over ten million intervals on disk (two minutes, 1 GB)
	@cargo bench -p ledger --bench history

.PHONY: bench-ipam
bench-ipam: rust packages-test ## measures the allocator on real etcd beside plain baselines (ONLY=storm for one)
	@cargo build --release --bins --package bench --package agent --package cli --package provider-mock
	@dev/as-root target/release/berth-bench --svg docs/stranded.svg $(if $(ONLY),--only $(ONLY))

.PHONY: bench-services
bench-services: rust packages-test ## measures load balancers, policy and names behind real containers (ONLY=rolling for one)
	@cargo build --release --bins --package bench --package agent --package cli --package provider-mock
	@dev/as-root target/release/berth-bench --of services $(if $(ONLY),--only $(ONLY))

# For `make sim`: which story, or how many.
SEED ?= 1
.PHONY: sim
sim: rust build ## tells the story of one seed of the simulated fleet (SEED, HOSTS, STEPS, PAUSE, ONLY; or SEEDS of them)
	@target/debug/berth-sim --seed $(SEED) $(if $(SEEDS),--progress --seeds $(SEEDS)) \
		$(if $(HOSTS),--hosts $(HOSTS)) $(if $(STEPS),--steps $(STEPS)) $(if $(PAUSE),--pause $(PAUSE)) \
		$(if $(ONLY),--only $(ONLY))

.PHONY: model
model: rust ## searches larger worlds for a broken promise (dev/model hosts=2 kills=1 … for one)
	@dev/model

.PHONY: clean-lab
clean-lab: rust build ## removes what killed labs left behind
	@dev/as-root target/debug/berth-lab clean

.PHONY: install
install: rust protoc ## installs berthd, berth, systemd units, man pages (PREFIX, DESTDIR)
	@dev/install "$(DESTDIR)" "$(PREFIX)"

.PHONY: rust
rust:
	@dev/require-rust

.PHONY: protoc
protoc:
	@dev/require-protoc

.PHONY: packages-run packages-test
packages-run packages-test: packages-%:
	@dev/install-packages $*

.PHONY: build
build:
	@cargo build --workspace --bins
