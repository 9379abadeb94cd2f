# Builds, tests and installs dns01 with GNU make. Nothing is written outside build/.
#
#   make                  build/dns01
#   make demo             sets everything up and issues a wildcard certificate on this machine
#   make check            sets everything up and runs all tests
#   make unit-dns         builds and runs the unit tests of one module, here cmd/dns
#   make unit | e2e       all unit tests | the tests against real servers
#   make sim SEED=7       replays one seed of the simulation; without SEED: SEEDS=2000 of them
#   make lint             style, sizes, layers
#   make fuzz FUZZ_S=60   fuzzes each parser for so many seconds (clang)
#   make bench            measures beside other ACME clients
#   make bench-broker     measures the broker beside the primaries that it serves
#   make install          DESTDIR=, PREFIX=/usr/local
#   make dist             build/dns01-VERSION.tar.gz
#
# Settings: V=1 shows the commands; WERROR=1 makes warnings errors; JOBS=2 unit tests at a
# time; CC, CFLAGS, CPPFLAGS, LDFLAGS as ever. SAN=address,undefined builds with sanitizers
# in a tree of its own: build/san-address-undefined/dns01.
#
# A folder in cmd/ with a main.c is a program, every other one is a module. Sources are found
# by their place: to add one, add the file.

PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
SEEDS ?= 2000
JOBS ?= 2
# End-to-end tests mostly wait.
E2E_JOBS ?= 3
FUZZ_S ?= 60
PKG_CONFIG ?= pkg-config
ifeq ($(origin CC),default)
CC := gcc
endif

Q := $(if $(V),,@)
say = $(if $(V),,@printf '%-5s %s\n' $(1) $(2))
comma := ,

OUT := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
VERSION := $(or $(shell [ -e .git ] && git describe --always --dirty --tags 2>/dev/null), \
	$(shell cat VERSION 2>/dev/null),unknown)

# ---- what there is -----------------------------------------------------------

MAINS := $(wildcard cmd/*/main.c)
PROGRAMS := $(patsubst cmd/%/main.c,$(OUT)/%,$(MAINS))
SOURCES := $(filter-out $(MAINS),$(wildcard cmd/*/*.c)) $(wildcard providers/*.c)
UNIT_SOURCES := $(wildcard tests/unit/*/*.c)
SIM_SOURCES := $(wildcard tests/sim/*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/*.c)

objects = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
OBJECTS := $(call objects,$(SOURCES))
UNITS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(UNIT_SOURCES))
SIM := $(if $(filter %/main.c,$(SIM_SOURCES)),$(OUT)/sim)
FUZZERS := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(FUZZ_SOURCES))
REPLAYS := $(patsubst tests/fuzz/%.c,$(OUT)/replay/%,$(FUZZ_SOURCES))
ALL_OBJECTS := $(call objects,$(MAINS) $(SOURCES) $(UNIT_SOURCES) $(SIM_SOURCES) \
	$(FUZZ_SOURCES) tests/replay.c)

ARCHIVE := $(OUT)/libdns01.a
# The simulated world without its main: unit tests may use it.
SIM_ARCHIVE := $(OUT)/libsim.a

# ---- how it is compiled --------------------------------------------------------

LIBRARIES := ldns openssl libcurl libconfig libevent_core jansson sqlite3 libidn2 expat
LIBRARIES_FOUND := $(shell $(PKG_CONFIG) --exists $(LIBRARIES) 2>/dev/null && echo yes)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	-Wundef -Wwrite-strings -Wswitch -Wcast-qual $(if $(WERROR),-Werror)
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection \
	-ftrivial-auto-var-init=zero
HARDENING_LINK := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
# Fortified calls hide from the sanitizers what they look for.
FORTIFY := -U_FORTIFY_SOURCE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)

# Which hardening flags this compiler knows is asked once and kept.
PROBED := $(OUT)/probed-$(notdir $(firstword $(CC))).mk
ifneq ($(MAKECMDGOALS),clean)
-include $(PROBED)
endif

DNS01_CPPFLAGS := -D_GNU_SOURCE -Iinclude $(FORTIFY) \
	$(if $(LIBRARIES_FOUND),$(shell $(PKG_CONFIG) --cflags $(LIBRARIES)))
DNS01_CFLAGS := -std=gnu11 -fPIE $(WARNINGS) $(HARDENING_KNOWN) $(SANITIZE)
DNS01_LDFLAGS := $(HARDENING_LINK) -Wl,--as-needed $(SANITIZE)
LDLIBS := $(if $(LIBRARIES_FOUND),$(shell $(PKG_CONFIG) --libs $(LIBRARIES)))
CMOCKA := $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null || echo -lcmocka)

compile = $(CC) $(DNS01_CPPFLAGS) $(1) $(CPPFLAGS) $(DNS01_CFLAGS) $(CFLAGS)
link = $(CC) $(DNS01_CFLAGS) $(CFLAGS) $(DNS01_LDFLAGS) $(LDFLAGS)

# ---- targets --------------------------------------------------------------------

.PHONY: all check check-parts check-fast check-doors demo bench bench-broker lint fuzz fuzz-run install dist sim clean unit e2e
.PHONY: libraries objects FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) $(ARCHIVE)

libraries:
	$(Q)$(if $(LIBRARIES_FOUND),:,echo "Libraries are missing. On Debian, as root:" \
		"apt-get install --no-install-recommends $$(tests/peer/packages --list build)" \
		"(\"make demo\" and \"make check\" do that themselves.)" >&2; exit 1)

$(PROBED): Makefile
	$(Q)mkdir -p $(@D)
	$(Q)for flag in $(HARDENING); do \
		if $(CC) -Werror $$flag -x c -c -o /dev/null /dev/null 2>/dev/null; then \
			echo "HARDENING_KNOWN += $$flag"; \
		fi; \
	done >$@

# Objects appear whole, by a rename: two makes at the same time do not disturb each other.
$(OUT)/obj/%.o: %.c | libraries
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(compile) -MMD -MP -MT $@ -MF $@.$$$$.d -c -o $@.$$$$ $< && \
		mv -f $@.$$$$.d $(@:.o=.d) && mv -f $@.$$$$ $@ || \
		{ rm -f $@.$$$$ $@.$$$$.d; exit 1; }

# Tests may read the private headers of modules ("dns/wire.h") and the simulator's.
$(OUT)/obj/tests/%.o: DNS01_CPPFLAGS += -Icmd -Itests -Itests/unit

# Only the objects that name the version are compiled again when it changes.
VERSIONED := $(shell grep -l DNS01_VERSION $(MAINS) $(SOURCES) /dev/null)
$(call objects,$(VERSIONED)): DNS01_CPPFLAGS += -DDNS01_VERSION='"$(VERSION)"'
$(call objects,$(VERSIONED)): $(OUT)/version
$(OUT)/version: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

archive = rm -f $@.$$$$ && $(AR) rcs $@.$$$$ $(1) && mv -f $@.$$$$ $@

# LOOSE=1 links what compiles, so that one module's tests run while another is being written.
ifdef LOOSE
$(ARCHIVE) $(SIM_ARCHIVE): FORCE
$(ARCHIVE): ; $(Q)$(call archive,$(wildcard $(OBJECTS)))
$(SIM_ARCHIVE): ; $(Q)$(call archive,$(wildcard $(call objects,$(SIM_SOURCES))))
else
$(ARCHIVE): $(OBJECTS)
	$(call say,AR,$@)
	$(Q)$(call archive,$(OBJECTS))

$(SIM_ARCHIVE): $(call objects,$(filter-out %/main.c,$(SIM_SOURCES)))
	$(Q)$(call archive,$^)
endif

# Plug-ins use functions that the program itself may not.
EXPORTED := cmd/plugin/exported
whole = -Wl,--whole-archive $(1) -Wl,--no-whole-archive -Wl,--dynamic-list=$(EXPORTED)

$(PROGRAMS): $(OUT)/%: $(OUT)/obj/cmd/%/main.o $(ARCHIVE) $(EXPORTED)
	$(call say,LINK,$@)
	$(Q)$(link) -o $@.$$$$ $< $(call whole,$(ARCHIVE)) $(LDLIBS) && mv -f $@.$$$$ $@ || { rm -f $@.$$$$; exit 1; }

# ---- tests -------------------------------------------------------------------------

$(OUT)/unit/%: $(OUT)/obj/tests/unit/%.o $(SIM_ARCHIVE) $(ARCHIVE)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(link) -o $@ $^ $(CMOCKA) $(LDLIBS)

$(OUT)/sim: $(OUT)/obj/tests/sim/main.o $(SIM_ARCHIVE) $(ARCHIVE)
	$(call say,LINK,$@)
	$(Q)$(link) -o $@ $^ $(LDLIBS)

# What fuzzing found, once through each harness.
$(OUT)/replay/%: $(OUT)/obj/tests/fuzz/%.o $(OUT)/obj/tests/replay.o $(ARCHIVE)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(link) -o $@ $^ $(LDLIBS)

objects: $(OBJECTS) $(call objects,$(SIM_SOURCES))

unit: $(UNITS)
	$(Q)tests/tap -j $(JOBS) $(UNITS)

unit-%: FORCE
	$(Q)$(MAKE) -s libraries $(filter $(OUT)/obj/cmd/$*/% $(OUT)/obj/$*/%,$(OBJECTS))
	$(Q)$(MAKE) -sk objects >/dev/null 2>&1 || true
	$(Q)$(MAKE) -s LOOSE=1 libraries $(filter $(OUT)/unit/$*/%,$(UNITS))
	$(Q)tests/tap -j $(JOBS) $(filter $(OUT)/unit/$*/%,$(UNITS))

sim: $(OUT)/sim
	$(Q)$(OUT)/sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

e2e: $(PROGRAMS)
	$(Q)tests/e2e/run

lint:
	$(Q)tests/lint/lint

# Packages first: what pkg-config says is read when make starts.
check:
	$(Q)tests/peer/packages check
	$(Q)tests/peer/fetch
	$(Q)$(MAKE) --no-print-directory check-parts

run_replays := $(foreach replay,$(REPLAYS),--then "$(replay) tests/fuzz/$(notdir $(replay))")
run_sim := $(if $(SIM),--then "$(SIM) --seeds $(SEEDS)")
run_e2e := $(if $(wildcard tests/e2e/run),--then "tests/e2e/run -j $(E2E_JOBS)")

check-parts: $(PROGRAMS) $(UNITS) $(REPLAYS) $(SIM)
	$(Q)tests/tap -j $(JOBS) $(UNITS) $(run_replays) $(run_sim) $(run_e2e) \
		--then "tests/lint/lint --tap"

# What needs no other server: for a second run with sanitizers.
check-fast: $(UNITS) $(REPLAYS) $(SIM)
	$(Q)tests/tap -j $(JOBS) $(UNITS) $(run_replays) $(run_sim)

# The broker's end-to-end tests alone: with SAN=address,undefined, a daemon that ends at the first
# thing that sanitizers find.
check-doors: $(PROGRAMS)
	$(Q)DNS01=$(CURDIR)/$(OUT)/dns01 tests/tap --then "tests/e2e/run -j $(E2E_JOBS) test_broker.py test_doors.py \
		test_through.py test_policy.py test_serve.py test_strangers.py"

demo:
	$(Q)tests/peer/packages demo
	$(Q)tests/peer/fetch
	$(Q)$(MAKE) --no-print-directory all
	$(Q)/usr/bin/python3 tests/e2e/demo

bench:
	$(Q)tests/peer/packages bench
	$(Q)tests/peer/fetch
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/bench/run

bench-broker:
	$(Q)tests/peer/packages bench check
	$(Q)tests/peer/fetch
	$(Q)$(MAKE) --no-print-directory all $(OUT)/bench/load
	$(Q)tests/bench/broker

$(OUT)/bench/load: $(OUT)/obj/tests/bench/load.o $(ARCHIVE)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(link) -o $@ $^ $(LDLIBS)

# Each tests/fuzz/NAME.c has an LLVMFuzzerTestOneInput; inputs found stay in tests/fuzz/NAME/.
fuzz:
	$(Q)$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined fuzz-run

fuzz-run: $(FUZZERS)
	$(Q)for fuzzer in $(FUZZERS); do \
		mkdir -p tests/fuzz/$${fuzzer##*/} && \
		$$fuzzer -max_total_time=$(FUZZ_S) tests/fuzz/$${fuzzer##*/} || exit 1; \
	done

$(OUT)/fuzz/%: $(OUT)/obj/tests/fuzz/%.o $(ARCHIVE)
	$(Q)mkdir -p $(@D)
	$(Q)$(link) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# ---- installation --------------------------------------------------------------------

$(OUT)/dns01.conf.5: $(OUT)/dns01
	$(Q)$(OUT)/dns01 config manual >$@

$(OUT)/dns01-providers.7: $(OUT)/dns01
	$(Q)$(OUT)/dns01 providers --format mdoc >$@

# What a plug-in is compiled against.
HEADERS := $(addprefix include/dns01/,banned.h base.h crypto.h dns.h json.h provider.h rest.h \
	setting.h world.h xml.h)

put = install -D -m $(1) $(2) $(DESTDIR)$(PREFIX)/$(3)
put_each = $(foreach file,$(wildcard $(1)),$(call put,644,$(file),$(2)/$(notdir $(file))) &&) :
# Units name the program by its path.
put_unit = sed 's|/usr/local/bin/|$(PREFIX)/bin/|' $(1) >$(OUT)/$(notdir $(1)) && \
	$(call put,644,$(OUT)/$(notdir $(1)),lib/systemd/system/$(notdir $(1)))

install: $(OUT)/dns01 $(OUT)/dns01.conf.5 $(OUT)/dns01-providers.7
	$(Q)$(call put,755,$(OUT)/dns01,bin/dns01)
	$(Q)$(call put,644,cmd/dns01/dns01.1,share/man/man1/dns01.1)
	$(Q)$(call put,644,$(OUT)/dns01.conf.5,share/man/man5/dns01.conf.5)
	$(Q)$(call put,644,$(OUT)/dns01-providers.7,share/man/man7/dns01-providers.7)
	$(Q)$(call put_each,$(HEADERS),include/dns01)
	$(Q)$(call put,644,providers/README.md,share/doc/dns01/providers.md)
	$(Q)$(call put_each,contrib/systemd/*.timer contrib/systemd/*.socket,lib/systemd/system)
	$(Q)$(foreach unit,$(wildcard contrib/systemd/*.service),$(call put_unit,$(unit)) &&) :
	$(Q)$(call put,644,contrib/systemd/dns01.sysusers,lib/sysusers.d/dns01.conf)
	$(Q)$(call put,644,contrib/systemd/dns01.tmpfiles,lib/tmpfiles.d/dns01.conf)
	$(Q)$(call put_each,contrib/completion/dns01,share/bash-completion/completions)
	$(Q)$(call put_each,contrib/completion/_dns01,share/zsh/site-functions)
	$(Q)$(call put_each,contrib/completion/*.fish,share/fish/vendor_completions.d)
	$(Q)$(call put_each,contrib/examples/*,share/doc/dns01/examples)
	$(Q)$(call put_each,contrib/hooks/*.md,share/doc/dns01/hooks)
	$(Q)$(call put_each,contrib/api/*,share/doc/dns01/api)
	$(Q)$(call put_each,contrib/hooks/*.sh,share/dns01/hooks)
	$(Q)$(call put_each,contrib/deploy/*.md,share/dns01/deploy)
	$(Q)$(foreach recipe,$(filter-out %.md,$(wildcard contrib/deploy/*)),$(call put,755,$(recipe),share/dns01/deploy/$(notdir $(recipe))) &&) :
	$(Q)$(call put,755,contrib/exec/nsupdate-gss,share/dns01/exec/nsupdate-gss)
	$(Q)$(call put,644,contrib/exec/README.md,share/doc/dns01/exec.md)
	$(Q)$(foreach hook,$(filter-out %.md %.sh,$(wildcard contrib/hooks/*)),$(call put,755,$(hook),share/dns01/hooks/$(notdir $(hook))) &&) :

dist:
	$(Q)mkdir -p $(OUT)
	$(Q)echo '$(VERSION)' >$(OUT)/VERSION
	$(Q)git archive --prefix=dns01-$(VERSION)/ --add-file=$(OUT)/VERSION \
		-o $(OUT)/dns01-$(VERSION).tar.gz HEAD
	$(Q)echo $(OUT)/dns01-$(VERSION).tar.gz

clean:
	$(Q)rm -rf build

-include $(wildcard $(ALL_OBJECTS:.o=.d))
