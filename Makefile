# SPDX-License-Identifier: MIT
#
#   make                      configure if need be, then build
#   make check                unit tests and fuzz corpora
#   make check SAN=address,undefined      the same, in build/address,undefined/
#   make help                 everything else
#
# One Makefile, so make sees the whole graph. What configure found is in config.mk.

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

# --- configuration: these goals work in a fresh clone without it ------------
UNCONFIGURED := help format clean distclean check-format check-layers
ifneq ($(filter-out $(UNCONFIGURED),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif
srcdir ?= .
V ?= 0
Q_0 = @
Q = $(Q_$(V))
say = $(if $(Q),@printf '  %-7s %s\n' $(1) $(2))

config.mk: $(srcdir)/config.mk.in config.status
	$(Q)./config.status -q $@ && touch $@
config.status: $(srcdir)/configure
	$(Q)if test -x $@; then ./$@ --recheck; else $(srcdir)/configure -q $(CONFIGURE_FLAGS); fi
$(srcdir)/configure: $(srcdir)/configure.ac
	$(Q)command -v autoreconf >/dev/null || { echo "autoreconf: not found; install autoconf, automake and pkg-config" >&2; exit 1; }
	$(call say,GEN,configure)
	$(Q)cd $(srcdir) && autoreconf -fi

# --- flavours: each in a folder of its own, so they never mix ---------------
SAN ?=
COVERAGE ?=
B := build/$(or $(SAN),$(if $(COVERAGE),coverage,default))

ROLLCALL_CPPFLAGS := -D_GNU_SOURCE -I$(srcdir)/daemon \
	$(if $(SAN)$(COVERAGE),,$(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-D_FORTIFY_SOURCE=2))
ROLLCALL_CFLAGS := -std=c11 $(WARNINGS) $(if $(filter yes,$(WERROR)),-Werror) -fno-common -fno-strict-aliasing \
	-fstack-protector-strong -fPIE -pthread \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(if $(COVERAGE),--coverage -O0)
ROLLCALL_LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVERAGE),--coverage)

COMPILE = $(CC) $(ROLLCALL_CPPFLAGS) $(CPPFLAGS) $(DEPS_CFLAGS) $(ROLLCALL_CFLAGS) $(CFLAGS)
LINK = $(CC) $(ROLLCALL_LDFLAGS) $(LDFLAGS)

# --- what there is ----------------------------------------------------------
find_c = $(sort $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/,$(1)))))
DAEMON_SRCS := $(filter-out daemon/main/main.c,$(call find_c,daemon/*/*.c))
UNIT_SRCS := $(call find_c,tests/unit/test_*.c)
FUZZ_SRCS := $(call find_c,tests/fuzz/fuzz_*.c)
BENCH_SRCS := $(call find_c,tests/bench/bench_*.c)
HEADERS := $(call find_c,daemon/*/*.h)
SCHEMAS := $(call find_c,schema/*.sql)
ALL_SRCS := $(DAEMON_SRCS) daemon/main/main.c $(UNIT_SRCS) $(FUZZ_SRCS) $(BENCH_SRCS) tests/fuzz/replay.c tests/lib/fault.c

LIB := $(B)/librollcalld.a
LIB_OBJS := $(DAEMON_SRCS:%.c=$(B)/%.o) $(SCHEMAS:%.sql=$(B)/%.o) $(B)/version.o
UNIT_TESTS := $(UNIT_SRCS:%.c=$(B)/%)
FUZZ_REPLAYS := $(FUZZ_SRCS:%.c=$(B)/%)
BENCHES := $(BENCH_SRCS:%.c=$(B)/%)

.PHONY: all
all: $(B)/rollcalld

# --- compile, link ----------------------------------------------------------
# Objects depend on the command line they were made with.
$(B)/.flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(COMPILE) $(LINK)' | cmp -s - $@ || printf '%s\n' '$(COMPILE) $(LINK)' >$@
FORCE:

$(B)/%.o: $(srcdir)/%.c $(B)/.flags
	$(call say,CC,$*.c)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: $(B)/%.c
	$(Q)$(COMPILE) -c -o $@ $<

# "schema/001_init.sql" becomes the C string schema_001_init.
$(B)/schema/%.c: $(srcdir)/schema/%.sql
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q){ printf 'extern const char schema_%s[];\nconst char schema_%s[] =\n' $* $*; \
	  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' $<; echo ';'; } >$@

$(B)/version.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "base/version.h"\nconst char rollcall_version[] = "%s";\n' "$$(cd $(srcdir) && sh tests/lint/version)" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(LIB): $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/rollcalld: $(B)/daemon/main/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $^ $(DEPS_LIBS)

$(UNIT_TESTS): EXTRA_CFLAGS = -I$(srcdir)/tests/lib $(CHECK_CFLAGS) -Wno-conversion -Wno-sign-conversion -Wno-format-nonliteral
$(B)/tests/lib/fault.o: EXTRA_CFLAGS = -I$(srcdir)/tests/lib
$(UNIT_TESTS): $(B)/%: $(B)/%.o $(B)/tests/lib/fault.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) -Wl,--wrap=malloc,--wrap=calloc -o $@ $^ $(DEPS_LIBS) $(CHECK_LIBS)
$(FUZZ_REPLAYS): $(B)/%: $(B)/%.o $(B)/tests/fuzz/replay.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $^ $(DEPS_LIBS)

$(BENCHES): $(B)/%: $(B)/%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $^ $(DEPS_LIBS)

-include $(ALL_SRCS:%.c=$(B)/%.d)
.PRECIOUS: $(B)/%.o $(B)/%.c

# Any finding is a failure; what to ignore is in tests/lint/tsan.supp, with the reason.
export TSAN_OPTIONS = suppressions=$(abspath $(srcdir)/tests/lint/tsan.supp)
export ASAN_OPTIONS = detect_stack_use_after_return=1
export UBSAN_OPTIONS = print_stacktrace=1

# --- check ------------------------------------------------------------------
.PHONY: check
check: $(addprefix run-,$(UNIT_SRCS) $(FUZZ_SRCS))
run-tests/unit/%.c: $(B)/tests/unit/%
	$(call say,TEST,$*)
	$(Q)$<
run-tests/fuzz/fuzz_%.c: $(B)/tests/fuzz/fuzz_%
	$(call say,REPLAY,$*)
	$(Q)$< $(srcdir)/tests/fuzz/corpus/$*/*

.PHONY: check-all
check-all: lint
	$(Q)$(MAKE) check
	$(Q)$(MAKE) check SAN=address,undefined
	$(Q)$(MAKE) check SAN=thread

# make fuzz TARGET=router SECONDS=60
.PHONY: fuzz
TARGET ?= router
SECONDS ?= 60
fuzz: $(B)/schema/001_init.c $(B)/version.c
	$(Q)clang $(ROLLCALL_CPPFLAGS) $(DEPS_CFLAGS) -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -pthread -o $(B)/fuzz-$(TARGET) \
	  $(srcdir)/tests/fuzz/fuzz_$(TARGET).c $(addprefix $(srcdir)/,$(DAEMON_SRCS)) $(filter %.c,$^) $(DEPS_LIBS)
	@mkdir -p $(B)/found-$(TARGET)
	$(Q)$(B)/fuzz-$(TARGET) -max_total_time=$(SECONDS) $(B)/found-$(TARGET) $(srcdir)/tests/fuzz/corpus/$(TARGET)

.PHONY: bench
bench: $(BENCHES)
	$(Q)for b in $^; do ./$$b || exit 1; done

.PHONY: coverage
coverage:
	$(Q)$(MAKE) check COVERAGE=1
	$(Q)gcovr --root $(srcdir) --filter 'daemon/' build/coverage

# --- lint: cheap and exact first --------------------------------------------
.PHONY: lint check-format check-layers check-headers check-banned check-options tidy
lint: check-format check-layers check-banned check-headers check-options tidy
check-format:
	$(call say,LINT,format)
	$(Q)clang-format --dry-run -Werror $$(git -C $(srcdir) ls-files '*.[ch]')
check-layers:
	$(call say,LINT,layers)
	$(Q)cd $(srcdir) && awk -f tests/lint/layers.awk daemon/layers daemon/*/*.[ch]
check-banned:
	$(call say,LINT,banned)
	$(Q)cd $(srcdir) && ! grep -nE '\<(strcpy|strcat|strncpy|strncat|strtok|sprintf|vsprintf|gets|atoi|atol|gmtime|localtime|ctime|asctime|rand|alloca|system|popen|signal)\(' daemon/*/*.[ch]
check-options:
	$(call say,LINT,options)
	$(Q)$(srcdir)/tests/lint/options
# Every header compiles alone, so its includes are complete.
check-headers: $(HEADERS:%=$(B)/%.ok)
$(B)/%.h.ok: $(srcdir)/%.h $(B)/.flags
	@mkdir -p $(@D)
	$(Q)echo '#include "$(<:$(srcdir)/daemon/%=%)"' | $(COMPILE) -Wno-unused-const-variable -x c -fsyntax-only - && touch $@
# One process a file: make runs them in parallel, and only on what changed.
tidy: $(DAEMON_SRCS:%=$(B)/%.tidy)
$(B)/%.c.tidy: $(srcdir)/%.c $(B)/%.o .clang-tidy | compile_commands.json
	$(call say,TIDY,$*.c)
	$(Q)clang-tidy -p . --quiet $< 2>$@.log || { cat $@.log; exit 1; }
	$(Q)touch $@

# For clang's tools, which do not know all of gcc's warnings.
compile_commands.json: $(B)/.flags $(addprefix $(srcdir)/,$(ALL_SRCS))
	$(call say,GEN,$@)
	$(Q){ echo '['; sep=; for f in $(ALL_SRCS); do \
	  printf '%s{"directory":"%s","file":"%s","command":"%s"}\n' "$$sep" '$(CURDIR)' "$(srcdir)/$$f" \
	    '$(filter-out -Werror,$(COMPILE)) -Wno-unknown-warning-option -I$(srcdir)/tests/lib $(CHECK_CFLAGS) -c '"$(srcdir)/$$f"; sep=,; done; echo ']'; } >$@

.PHONY: format
format:
	$(Q)clang-format -i $$(git ls-files '*.[ch]')
tags: $(addprefix $(srcdir)/,$(ALL_SRCS) $(HEADERS))
	$(Q)ctags -f $@ $^

# --- install, dist ----------------------------------------------------------
.PHONY: install uninstall dist clean distclean help
install: all
	$(INSTALL) -d $(DESTDIR)$(sbindir) $(DESTDIR)$(systemdsystemunitdir)
	$(INSTALL) $(B)/rollcalld $(DESTDIR)$(sbindir)/rollcalld
	sed -e 's|@sbindir@|$(sbindir)|g' $(srcdir)/systemd/rollcalld.service.in >$(B)/rollcalld.service
	$(INSTALL) -m 644 $(B)/rollcalld.service $(DESTDIR)$(systemdsystemunitdir)/rollcalld.service
uninstall:
	rm -f $(DESTDIR)$(sbindir)/rollcalld $(DESTDIR)$(systemdsystemunitdir)/rollcalld.service

# What git has, plus configure and the version, so that users need no autoconf.
dist: $(srcdir)/configure
	$(Q)mkdir -p $(B) && printf '%s\n' '$(VERSION)' >$(B)/.version
	$(Q)git archive --format=tar --prefix=$(PACKAGE)-$(VERSION)/ --add-file=configure --add-file=$(B)/.version HEAD | \
	  gzip -9n >$(PACKAGE)-$(VERSION).tar.gz
	$(call say,DIST,$(PACKAGE)-$(VERSION).tar.gz)

clean:
	rm -rf build compile_commands.json tags
distclean: clean
	rm -rf config.mk config.status config.log configure aclocal.m4 autom4te.cache
help:
	@echo 'all  check  check-all  lint  tidy  format  fuzz  coverage  bench  tags  compile_commands.json'
	@echo 'install  uninstall  dist  clean  distclean        variables: V=1 SAN= COVERAGE=1 DESTDIR= CONFIGURE_FLAGS='
