# Two commands do everything: `make run` and `make test`.

CARGO_FLAGS := --release
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

.PHONY: help run build install test test-browser test-compose test-garage check format fuzz bench bench-events bench-images bench-analytics bench-ranking packages bench-web screenshots abuse

help:
	@echo "make run     install what is missing, build, start, print the link (first time: 20 to 40 minutes)"
	@echo "make install put eyeline on the PATH, with manual pages and completions (PREFIX=/usr/local)"
	@echo "make test    all tests, on every set of engines"
	@echo "make test-browser   only those in Chromium: the clients, the printed examples and the web application"
	@echo "make test-compose   start the files of deploy/ in a Docker daemon of its own, use them, kill them; needs root"
	@echo "make test-garage    the tests of objects on Garage, which it compiles once (15 minutes of CPU)"
	@echo "make check   format, lints, documentation and its computed tables, licences"
	@echo "make format  format the code"
	@echo "make packages         build the clients' packages into target/packages: npm tarball and Python wheel"
	@echo "make fuzz    fuzz the image pipeline and every parser (RUNS=1000000 or SECONDS_EACH=60, TARGETS=\"pipeline jpeg\")"
	@echo "make bench   measure: 200 photos through the whole chain"
	@echo "make bench-events   single events and batches at the door, beside a Django REST framework server"
	@echo "make bench-images   the same photos through Eyeline, libvips and sharp"
	@echo "make screenshots    pictures of every page of the web application, in web/screenshots"
	@echo "make bench-web      pages in Chromium: Lighthouse, bytes, and scrolling through 10,000 images"
	@echo "make bench-analytics   questions to the same events in Eyeline, DuckDB and chDB"
	@echo "make abuse   attack one project in every known way, measure another one meanwhile (ATTACKS=\"silent sql\", ROUNDS=3)"
	@echo "make bench-ranking   what ranking costs, up to 10 million images, how soon an event is in the order, pages under load,"
	@echo "                     and what it brings with simulated visitors (VISITORS=\"--scenarios all --seeds 10\" for all of them)"

run: build
	@exec $(TARGET)/release/eyeline serve

build:
	@scripts/install-deps
	@test -x $(TARGET)/release/eyeline || echo "eyeline: building for the first time; on 2 cores this takes 20 to 40 minutes"
	cargo build $(CARGO_FLAGS) --bin eyeline

# The program with its manual pages and completions; PREFIX=~/.local for one user alone.
PREFIX ?= /usr/local
install: build
	install -D -m 755 $(TARGET)/release/eyeline $(DESTDIR)$(PREFIX)/bin/eyeline
	$(TARGET)/release/eyeline man $(DESTDIR)$(PREFIX)/share/man/man1
	@mkdir -p $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(TARGET)/release/eyeline completions bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/eyeline
	$(TARGET)/release/eyeline completions zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_eyeline
	$(TARGET)/release/eyeline completions fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/eyeline.fish

test:
	@scripts/install-deps test
	scripts/with-postgres scripts/with-redis scripts/with-s3 scripts/with-nats cargo test $(CARGO_FLAGS) --workspace
	scripts/check-web $(TARGET)/release/eyeline
	scripts/check-openapi $(TARGET)/release/eyeline
	scripts/test-python $(TARGET)/release/eyeline
	cd clients/js && npm ci --silent && npm test
	scripts/test-browser $(TARGET)/release/eyeline

test-browser: build
	@scripts/install-deps test
	scripts/test-browser $(TARGET)/release/eyeline

# Not part of `make test`: it needs root, and a Debian for containers. PARTS: one, scaled, small.
test-compose: build
	@scripts/install-deps test
	@scripts/install-deps compose
	cd clients/js && npm ci --silent
	scripts/with-docker scripts/test-compose $(TARGET)/release/eyeline $(PARTS)

# Not part of `make test`: Garage is compiled for it. Garage has no bucket policy, so that nobody could open the main bucket.
test-garage:
	@scripts/install-deps test
	scripts/with-garage cargo test $(CARGO_FLAGS) --workspace --test conformance --test api -- \
		objects:: object_links:: s3:: --skip a_main_bucket_that_anybody_can_read_breaks_the_promise

check:
	@scripts/install-deps check
	python3 scripts/scaling --check
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps --quiet
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@cargo fetch --locked --quiet # The build leaves out what other systems need, and licences are read of all.
	cargo deny --offline check licenses bans sources

format:
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

packages:
	@scripts/install-deps test
	scripts/packages $(TARGET)/packages

# A long run: how long, the caller says.
RUNS ?= $(if $(SECONDS_EACH),,1000000)
fuzz:
	@scripts/install-deps fuzz
	@RUNS="$(RUNS)" SECONDS_EACH="$(SECONDS_EACH)" TARGETS="$(TARGETS)" scripts/fuzz

bench:
	@scripts/install-deps test
	cargo build $(CARGO_FLAGS) --workspace --bins
	$(TARGET)/release/bench_photos

bench-events:
	@scripts/install-deps test
	cargo build $(CARGO_FLAGS) --workspace --bins
	bench/events/run $(TARGET)/release/bench_events

bench-analytics:
	@scripts/install-deps
	bench/analytics/run

VISITORS ?= --scenarios static_small,lowtraffic --seeds 2
bench-ranking:
	@scripts/install-deps
	bench/ranking/costs
	cargo build $(CARGO_FLAGS) --workspace --bins
	$(TARGET)/release/bench_orders
	$(TARGET)/release/bench_pages
	$(TARGET)/release/bench_ranking $(VISITORS)

bench-images: build
	bench/images/run $(TARGET)/release/eyeline

abuse: build
	bench/abuse/run $(TARGET)/release/eyeline

bench-web: build
	@scripts/install-deps test
	bench/web/run $(TARGET)/release/eyeline

screenshots: build
	@scripts/install-deps test
	cd clients/js && npm ci --silent
	cd web && npm ci --silent && EYELINE_BIN=$(abspath $(TARGET))/release/eyeline npm run --silent screenshots
