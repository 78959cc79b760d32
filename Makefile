# nightferry. `make demo` shows it working, `make check` passes all tests; both install what is missing (tests/deps.sh).
# Layers, lowest first: engine/base throttle imap upload engine/store engine engine/command. Each is an archive; a layer links only with those below it.
# Variants have a build folder each: B=build/asan SAN=-fsanitize=address,undefined, B=build/clang CC=clang, ...

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j2
endif
ifeq ($(origin CC),default)
CC := gcc
endif
B ?= build
Q := $(if $(V),,@) # V=1 shows the commands
PREFIX ?= /usr/local
PYTHON := /usr/bin/python3
FUZZ_SECONDS ?= 60
# More than two cores have work for: tests wait more than they work.
PYTEST_JOBS ?= 4

# libetpan: the system's where libetpan-dev is installed, else what tests/deps.sh unpacked.
ETPAN ?= $(if $(wildcard /usr/include/libetpan/libetpan.h),/usr,build/deps/libetpan/usr)
ETPAN_LIB := $(firstword $(wildcard $(ETPAN)/lib/*/libetpan.a) -letpan)
GMIME_CFLAGS := $(shell pkg-config --cflags gmime-3.0 2>/dev/null | sed 's/-I/-isystem /g')
GMIME_LIBS := $(shell pkg-config --libs gmime-3.0 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wpointer-arith -Wwrite-strings \
	-Wcast-qual -Wswitch-enum -Wformat=2 -Wimplicit-fallthrough
# Texts are cut to their room on purpose (errors, reasons); gcc alone warns of that.
WARN += $(shell $(CC) --version | grep -q clang || echo -Wno-format-truncation)
OPT ?= -O2 -g
SAN ?=
# What a test may take, times this (tests/servers/local.py, tests/unit/run.py); sanitizers cost that much.
export NF_SLOWER := $(if $(SAN),10,1)
# TSan's second at the end of each process is most of what tests/unit/store/power_test.c took.
export TSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/tsan.supp history_size=4 atexit_sleep_ms=20
export ASAN_OPTIONS ?= detect_stack_use_after_return=1
export UBSAN_OPTIONS ?= print_stacktrace=1
HARD := $(if $(SAN),$(SAN) -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE)
CFLAGS_ALL = -std=c17 -D_POSIX_C_SOURCE=200809L -I. -isystem $(ETPAN)/include -include engine/base/banned.h $(GMIME_CFLAGS) \
	$(WARN) $(OPT) $(HARD) -pthread -MMD -MP $(CFLAGS)
LDFLAGS_ALL = $(or $(SAN),-pie -Wl$(,)-z$(,)relro$(,)-z$(,)now) -pthread $(LDFLAGS)
, := ,
LIBS := -lsqlite3 -lcurl -ljansson $(GMIME_LIBS) $(ETPAN_LIB) -lsasl2 -lidn -llockfile -lssl -lcrypto -lm

# One noun a file: a folder's .c files are its layer. A program's main.c is linked by itself.
LAYERS := command engine store upload imap throttle base
src = $(filter-out %/main.c,$(sort $(wildcard $(1)/*.c)))
base_SRC := $(call src,engine/base)
throttle_SRC := $(call src,throttle)
imap_SRC := $(call src,imap)
upload_SRC := $(call src,upload)
store_SRC := $(call src,engine/store)
engine_SRC := $(call src,engine)
command_SRC := $(call src,engine/command)
exosim_SRC := $(sort $(wildcard upload/exosim/*.c))
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
archives = $(foreach l,$(1),$(B)/lib$(l).a)
# What a layer's tests link with: the layer and those below.
below_base := base
below_throttle := throttle base
below_imap := imap throttle base
below_upload := upload imap throttle base
below_exosim := exosim upload imap throttle base
below_store := store upload imap throttle base
below_engine := engine $(below_store)
below_command := command $(below_engine)

.PHONY: all deps demo check format lint unit fuzz-replay contract system crash shake check-san clang fuzz bench bench-throttle bench-throttle-real install clean distclean
.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

all: $(B)/nightferry $(B)/exosim

ifneq (,$(filter-out deps clean distclean demo check check-san fuzz bench lint,$(or $(MAKECMDGOALS),all)))
ifeq (,$(and $(wildcard $(ETPAN)/include/libetpan/libetpan.h),$(GMIME_LIBS)))
$(error Something to build with is missing. Run `make deps`, which brings it)
endif
endif

# ---- the programs

define archive_rule
$(B)/lib$(1).a: $(call obj,$($(1)_SRC))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar crs $$@ $$^
endef
$(foreach l,$(LAYERS) exosim,$(eval $(call archive_rule,$(l))))

# banned.h comes first and brings in the system's headers, so a file's own #define _GNU_SOURCE is given on the command line too.
gnu = $(shell grep -qs '^\#define _GNU_SOURCE$$' $(1) && echo -D_GNU_SOURCE=)
# PLAIN: the build that this one is a variant of, with NF_FAILPOINTS; objects of files that do not ask for that are taken from there.
PLAIN ?=
KNOWS_FAILPOINTS := $(if $(PLAIN),$(shell grep -rlsE "^\#if.*NF_FAILPOINTS" --include=*.h --include=*.c engine throttle imap upload))
take_plain = ! grep -qsF $(KNOWS_FAILPOINTS:%=-e %) $(PLAIN)/obj/$*.d && cp $(PLAIN)/obj/$*.o $@ && \
	sed 's|^$(PLAIN)/obj/|$(B)/obj/|' $(PLAIN)/obj/$*.d >$(@:.o=.d) ||
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $@")
	$(Q)$(if $(PLAIN),$(take_plain)) $(CC) $(call gnu,$<) $(CFLAGS_ALL) -c -o $@ $<

$(B)/nightferry: $(B)/obj/engine/command/main.o $(call archives,$(LAYERS))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/exosim: $(call archives,$(below_exosim))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive $(filter-out $<,$^) -lmicrohttpd $(LIBS)

# The same programs with failpoints (the crash tests), and with sanitizers. The variables' names are told to the inner make.
make_variant = $(MAKE) B=$(B)/$(1) $(2)
variant = +@$(make_variant)
$(B)/fp/nightferry: $(B)/nightferry FORCE
	$(call variant,fp,PLAIN=$(B) CFLAGS="$(CFLAGS) -DNF_FAILPOINTS") $(B)/fp/nightferry
.PHONY: FORCE # a file of that name that is missing counts as made, with .SECONDARY
ASAN := SAN="-fsanitize=address,undefined -fno-sanitize-recover=all" OPT="-O1 -g"
TSAN := SAN="-fsanitize=thread" OPT="-O1 -g"

# ---- unit tests: tests/unit/LAYER/x_test.c mirrors LAYER/x.c

UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/unit/%,$(sort $(wildcard tests/unit/*/*_test.c)))
define unit_rule
$(B)/unit/$(1)/%: $(B)/obj/tests/unit/$(1)/%.o $(call archives,$(below_$(1)))
	@mkdir -p $$(@D)
	$(if $(Q),@echo "  LD $$@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $$@ $$^ -lcmocka -lmicrohttpd $(LIBS)
endef
$(foreach l,$(LAYERS) exosim,$(eval $(call unit_rule,$(l))))
unit: $(UNIT_BIN)
	@$(PYTHON) tests/unit/run.py --results $(B)/results $(UNIT_BIN)

# ---- fuzzers: tests/fuzz/x_fuzz.c with its corpus in tests/fuzz/corpus/x/. The replay runs each over its corpus, with any compiler.

FUZZERS := $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
REPLAY_BIN := $(FUZZERS:%=$(B)/replay/%)
$(B)/replay/%: $(B)/obj/tests/fuzz/%_fuzz.o $(B)/obj/tests/fuzz/replay.o $(call archives,$(LAYERS))
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%_fuzz.o $(call archives,$(LAYERS))
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS)
# exosim's parsers, without its main
FUZZED_EXOSIM := $(call obj,$(addprefix upload/exosim/,base64.c graph_filter.c graph_id.c graph_path.c graph_query.c jwt.c))
$(B)/replay/graph_query $(B)/fuzz/graph_query: $(FUZZED_EXOSIM)
fuzz-replay: $(REPLAY_BIN)
	@$(PYTHON) tests/fuzz/run.py replay --results $(B)/results $(REPLAY_BIN)
fuzz: deps-build-fuzz
	+$(call variant,libfuzzer,CC=clang OPT="-O1 -g" SAN="-fsanitize=fuzzer-no-link$(,)address$(,)undefined \
		-fno-sanitize-recover=all") $(FUZZERS:%=$(B)/libfuzzer/fuzz/%)
	@$(PYTHON) tests/fuzz/run.py fuzz --seconds $(FUZZ_SECONDS) --work $(B)/libfuzzer/work $(FUZZERS:%=$(B)/libfuzzer/fuzz/%)

# ---- contract, system and crash tests (pytest; real servers, tests/servers)

CONTRACT_BIN := $(patsubst tests/contract/%.c,$(B)/contract/%,$(sort $(wildcard tests/contract/*_test.c)))
$(B)/contract/%: $(B)/obj/tests/contract/%.o $(call archives,$(below_upload))
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)
pytest = NF_BUILD=$(B) $(PYTHON) tests/suite.py --results $(B)/results/$(1).json --jobs $(PYTEST_JOBS) $(PYTEST_ARGS) $(2)
contract: all $(CONTRACT_BIN)
	@$(call pytest,contract,tests/contract)
system: all $(B)/fp/nightferry $(B)/fp/exosim
	@$(call pytest,system,tests/system)
$(B)/fp/exosim: $(B)/exosim
	@mkdir -p $(@D) && cp $< $@
# A soak has time, on a busy machine too.
crash: export NF_SLOWER := 10
crash: all $(B)/fp/nightferry
	@$(call pytest,crash,tests/crash)
# The system tests with programs whose threads are late (tests/shake/delay.c), so that an order of events that is rare becomes common.
SHAKE_SEED ?= 1
SHAKE_MS ?= 60
$(B)/shake.so: tests/shake/delay.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c17 $(WARN) $(OPT) -shared -fPIC -o $@ $< -ldl
shake: export NF_SLOWER := 5
shake: all $(B)/fp/nightferry $(B)/fp/exosim $(B)/shake.so
	@export LD_PRELOAD=$(abspath $(B)/shake.so) NF_DELAY="nightferry exosim" NF_DELAY_SEED=$(SHAKE_SEED) NF_DELAY_MS=$(SHAKE_MS); \
		$(call pytest,shake,$(if $(PYTEST_ARGS),,tests/system))

format:
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h' | grep -v tests/lint/samples)
lint:
	@$(PYTHON) tests/lint/run.py --results $(B)/results

# ---- everything. Each suite runs to its end, so that the summary at the close is whole.

SUITES := lint unit fuzz-replay contract system
check: deps
	+@$(MAKE) all
	@rm -rf $(B)/results
	+@failed=; for s in $(SUITES); do echo "==== $$s"; $(MAKE) $$s || failed="$$failed $$s"; done; \
		$(PYTHON) tests/summary.py $(B)/results $(SUITES) --failed "$$failed"

# Unit tests, the fuzz corpora and a selection of system tests (marked "san") under ASan+UBSan and under TSan; with failpoints where a test
# has them. All run to their end.
SAN_SYSTEM := system PYTEST_ARGS="-m san"
check-san: deps
	+@failed=; $(call make_variant,asan,$(ASAN)) unit fuzz-replay || failed+=" asan"; \
		$(call make_variant,asan,$(ASAN)) $(SAN_SYSTEM) || failed+=" asan-system"; \
		$(call make_variant,tsan,$(TSAN)) unit || failed+=" tsan"; \
		$(call make_variant,tsan,$(TSAN)) $(SAN_SYSTEM) || failed+=" tsan-system"; \
		echo "check-san: failed:$${failed:- nothing}"; [ -z "$$failed" ]

# The other compiler, warnings are errors.
clang: deps-build-fuzz
	$(call variant,clang,CC=clang) all $(UNIT_BIN:$(B)/%=$(B)/clang/%)

deps:
	@tests/deps.sh build test lint
deps-build-%:
	@tests/deps.sh build $*

demo:
	@tests/deps.sh build demo
	+@$(MAKE) all
	@$(PYTHON) tests/demo/demo.py

bench:
	@tests/deps.sh build demo bench
	+@$(MAKE) all $(B)/fp/nightferry $(B)/bench/floor $(B)/bench/floor_graph
	@$(PYTHON) tests/bench/bench.py $(BENCH_ARGS)
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(B)/obj/tests/bench/floor_wire.o
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcurl -lssl -lcrypto
THROTTLE_BENCH := $(call obj,$(sort $(wildcard tests/bench/throttle_*.c)))
bench-throttle: $(B)/bench/throttle
	@$< $(BENCH_ARGS)
# The same, and the real program in real time: six minutes.
bench-throttle-real: all $(B)/fp/nightferry $(B)/bench/throttle
	@$(PYTHON) tests/bench/throttle_real.py $(BENCH_ARGS)
$(B)/bench/throttle: $(call obj,$(wildcard tests/bench/throttle*.c) upload/exosim/limit.c) $(call archives,$(below_throttle))
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lmicrohttpd $(LIBS)

install: all
	install -D -m 755 $(B)/nightferry $(DESTDIR)$(PREFIX)/bin/nightferry
	install -D -m 755 $(B)/exosim $(DESTDIR)$(PREFIX)/bin/exosim
	install -D -m 644 engine/command/nightferry.1 $(DESTDIR)$(PREFIX)/share/man/man1/nightferry.1
	install -D -m 644 upload/exosim/exosim.1 $(DESTDIR)$(PREFIX)/share/man/man1/exosim.1

clean: # what was downloaded stays: `make all` after it needs no network
	@[ ! -d $(B) ] || find $(B) -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +
distclean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
