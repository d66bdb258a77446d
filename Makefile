# SPDX-License-Identifier: MIT
#
#   make                      configure if need be, then build
#   make check                unit tests, fuzz seeds, integration tests
#   make check SAN=address,undefined      the same, in build/address,undefined/
#   make help                 everything else
#
# One Makefile, so make sees the whole graph. config.mk has the results of configure.

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := all

# --- configuration: these goals work in a fresh clone without it ------------
UNCONFIGURED := help format clean distclean dist check-format check-layers check-banned check-sizes check-paths check-scripts check-options check-man
ifneq ($(filter-out $(UNCONFIGURED),$(or $(MAKECMDGOALS),all)),)
include config.mk
else
srcdir := $(or $(shell sed -n 's/^srcdir = //p' config.mk 2>/dev/null),.)
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

# --- flavours: each has a folder of its own, so their objects never mix -----
SAN ?=
COVERAGE ?=
FUZZING ?=
FLAVOUR := $(or $(SAN),$(if $(COVERAGE),coverage),$(if $(FUZZING),fuzz),default)
B := build/$(FLAVOUR)

comma := ,
FUZZ_SAN := -fsanitize=address,undefined -fsanitize=fuzzer-no-link
HARDENING := -fstack-protector-strong -fno-common -fno-strict-aliasing
ROLLCALL_CPPFLAGS := -D_GNU_SOURCE \
	$(if $(SAN)$(COVERAGE)$(FUZZING),,$(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-D_FORTIFY_SOURCE=2))
ROLLCALL_CFLAGS := -std=c11 $(WARNINGS) $(if $(filter yes,$(WERROR)),-Werror) $(HARDENING) -pthread \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(if $(COVERAGE),--coverage -O0) \
	$(if $(FUZZING),$(FUZZ_SAN) -fno-sanitize-recover=all -Wno-unknown-warning-option)
ROLLCALL_LDFLAGS := -pthread -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVERAGE),--coverage) \
	$(if $(FUZZING),$(FUZZ_SAN))

# The root is searched for "schema/..." only: <systemd/...> must not find our folder of that name.
CPP_SCHEMA := -iquote$(srcdir)
CPP_DAEMON := -I$(srcdir)/daemon $(CPP_SCHEMA)
CPP_CLIENT := -I$(srcdir)/client/include -I$(srcdir)/client $(CPP_SCHEMA)
COMPILE_AS = $(CC) $(ROLLCALL_CPPFLAGS) $(1) $(CPPFLAGS) $(2) $(ROLLCALL_CFLAGS) $(CFLAGS)
COMPILE = $(call COMPILE_AS,$(CPP_DAEMON),$(DEPS_CFLAGS)) -fPIE
COMPILE_CLIENT = $(call COMPILE_AS,$(CPP_CLIENT),$(CLIENT_CFLAGS)) -fPIC -fvisibility=hidden
LINK = $(CC) $(ROLLCALL_LDFLAGS) $(NO_LTO_LDFLAGS) -pie $(LDFLAGS)
# Link-time optimisation of the daemon only: it would make the link of each test slow.
LTO_CFLAGS := $(if $(SAN)$(COVERAGE)$(FUZZING),,$(LTO))
LTO_LDFLAGS := $(if $(LTO_CFLAGS),-flto=auto $(CFLAGS))
NO_LTO_LDFLAGS := $(if $(LTO_CFLAGS),-fno-lto)
LINK_SHARED = $(CC) $(ROLLCALL_LDFLAGS) -shared $(LDFLAGS)

# --- sources and products ---------------------------------------------------
find_c = $(sort $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/,$(1)))))
DAEMON_SRCS := $(call find_c,daemon/*/*.c)
CLIENT_LIB_SRCS := $(call find_c,client/lib/*/*.c)
TOOL_SRCS := $(call find_c,client/tool/*.c)
TOOL_FILES := $(call find_c,client/tool/templates/*.mustache client/tool/completion/*)
EXAMPLE_SRCS := $(call find_c,client/examples/*.c)
CLIENT_SRCS := $(CLIENT_LIB_SRCS) $(TOOL_SRCS) $(EXAMPLE_SRCS)
PRELOAD_SRCS := $(call find_c,tests/lib/slowdisk.c tests/lib/failcall.c)
TEST_LIB_SRCS := $(filter-out $(PRELOAD_SRCS),$(call find_c,tests/lib/*.c))
UNIT_SRCS := $(call find_c,tests/unit/test_*.c)
CLIENT_TEST_SRCS := $(call find_c,tests/client/test_*.c)
CLIENT_TEST_LIB_SRCS := $(filter-out $(CLIENT_TEST_SRCS),$(call find_c,tests/client/*.c))
FUZZ_SRCS := $(call find_c,tests/fuzz/fuzz_*.c)
BENCH_SRCS := $(call find_c,tests/bench/*.c)
INTEGRATION := $(call find_c,tests/integration/test_*.py)
HEADERS := $(call find_c,daemon/*/*.h)
CLIENT_HEADERS := $(call find_c,client/*/*.h client/lib/*/*.h)
SCHEMA_HEADERS := $(call find_c,schema/*.h)
MIGRATIONS := $(call find_c,schema/sql/[0-9]*.sql)
OPENAPI := schema/openapi.json
MAN := $(call find_c,docs/man/*.[1-9])
TEST_SRCS := $(UNIT_SRCS) $(FUZZ_SRCS) $(BENCH_SRCS) $(TEST_LIB_SRCS) $(PRELOAD_SRCS) tests/fuzz/replay.c
ALL_SRCS := $(DAEMON_SRCS) $(CLIENT_SRCS) $(TEST_SRCS) $(CLIENT_TEST_SRCS) $(CLIENT_TEST_LIB_SRCS)

LIB := $(B)/librollcalld.a
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out daemon/main/main.c,$(DAEMON_SRCS))) \
	$(B)/schema/migrations.o $(B)/schema/openapi.o $(B)/version.o $(B)/paths.o
SOVERSION := 1
CLIENT_SO := $(if $(CLIENT_LIB_SRCS),$(B)/librollcall.so)
CLIENT_LIB := $(if $(CLIENT_LIB_SRCS),$(B)/librollcall.a)
CLIENT_MAP := $(wildcard $(srcdir)/client/lib/rollcall.map)
TOOL := $(if $(TOOL_SRCS),$(B)/rollcall)
PC := $(if $(call find_c,client/rollcall.pc.in),$(B)/rollcall.pc)
PROGRAMS := $(B)/rollcalld $(TOOL)

CXX_EXAMPLE_SRCS := $(if $(CXX),$(call find_c,client/examples/*.cc))
EXAMPLES := $(EXAMPLE_SRCS:%.c=$(B)/%)
CXX_EXAMPLES := $(CXX_EXAMPLE_SRCS:%.cc=$(B)/%)
UNIT_TESTS := $(UNIT_SRCS:%.c=$(B)/%)
CLIENT_TESTS := $(CLIENT_TEST_SRCS:%.c=$(B)/%)
PRELOADS := $(PRELOAD_SRCS:tests/lib/%.c=$(B)/%.so)
FUZZERS := $(FUZZ_SRCS:%.c=$(B)/%)
BENCHES := $(BENCH_SRCS:%.c=$(B)/%)
MAN_BUILT := $(MAN:%=$(B)/%)
UNITS := $(patsubst $(srcdir)/%.in,$(B)/%,$(wildcard $(srcdir)/systemd/*.in))

.PHONY: all
all: $(PROGRAMS) $(CLIENT_SO) $(PC) $(EXAMPLES) $(CXX_EXAMPLES) $(UNITS) $(MAN_BUILT)

# make run ARGS="--log-level=debug"
.PHONY: run
run: $(B)/rollcalld
	@mkdir -p $(B)/state
	$(Q)exec $(B)/rollcalld --state-dir=$(B)/state $(ARGS)

# --- compile, link ----------------------------------------------------------
# Objects depend on the command line that compiles them.
$(B)/.flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(COMPILE) $(COMPILE_CLIENT) $(LINK) $(LTO_CFLAGS)' | cmp -s - $@ || \
	  printf '%s\n' '$(COMPILE) $(COMPILE_CLIENT) $(LINK) $(LTO_CFLAGS)' >$@
FORCE:

$(B)/%.o: $(srcdir)/%.c $(B)/.flags
	$(call say,CC,$*.c)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/client/%.o: $(srcdir)/client/%.c $(B)/.flags
	$(call say,CC,client/$*.c)
	@mkdir -p $(@D)
	$(Q)$(COMPILE_CLIENT) -MMD -MP -c -o $@ $<

$(B)/%.o: $(B)/%.c
	$(Q)$(COMPILE) -c -o $@ $<

# Text files that the programs contain. .migrations and .tool-files list them, so that removing a file rebuilds too.
EMBED = sh $(srcdir)/schema/embed
$(B)/schema/migrations.c: $(addprefix $(srcdir)/,$(MIGRATIONS)) $(B)/.migrations $(srcdir)/schema/embed
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)$(EMBED) base/embedded.h schema_migrations $(filter %.sql,$^) >$@
$(B)/.migrations: FORCE
	@mkdir -p $(@D); echo '$(MIGRATIONS)' | cmp -s - $@ || echo '$(MIGRATIONS)' >$@
$(B)/schema/openapi.c: $(srcdir)/$(OPENAPI) $(srcdir)/schema/embed
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)$(EMBED) base/embedded.h schema_openapi $< >$@

$(B)/version.c: FORCE
	@mkdir -p $(@D)
	@printf 'extern const char rollcall_version[];\nconst char rollcall_version[] = "%s";\n' "$$(cd $(srcdir) && sh debian/version)" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The daemon's default paths, from --sysconfdir and --localstatedir.
$(B)/paths.c: config.mk
	@mkdir -p $(@D)
	@printf '#include "config/config.h"\nconst char %s[] = "%s";\nconst char %s[] = "%s";\n' \
	  config_file_default '$(sysconfdir)/rollcall/rollcalld.conf' \
	  config_state_dir_default '$(localstatedir)/lib/rollcall' >$@
	@echo '_Static_assert(sizeof(config_state_dir_default) <= CONFIG_TEXT_MAX, "it fits into struct config");' >>$@

$(LIB_OBJS) $(B)/daemon/main/main.o: EXTRA_CFLAGS += $(LTO_CFLAGS)
$(LIB): $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/rollcalld: $(B)/daemon/main/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) $(LTO_LDFLAGS) -o $@ $^ $(DEPS_LIBS)

# --- client: uses nothing of daemon/, only the headers of schema/ -----------
$(B)/client/version.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "lib/base/version.h"\nconst char client_version_text[] = "%s";\n' "$$(cd $(srcdir) && sh debian/version)" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(B)/client/version.o: $(B)/client/version.c
	$(Q)$(COMPILE_CLIENT) -c -o $@ $<

CLIENT_LIB_OBJS := $(CLIENT_LIB_SRCS:%.c=$(B)/%.o) $(B)/client/version.o
$(B)/librollcall.a: $(CLIENT_LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/librollcall.so.$(SOVERSION): $(CLIENT_LIB_OBJS) $(CLIENT_MAP)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) -Wl,-soname,$(@F) $(if $(CLIENT_MAP),-Wl$(comma)--version-script=$(CLIENT_MAP)) \
	  -o $@ $(filter %.o,$^) $(CLIENT_LIBS)
$(B)/librollcall.so: $(B)/librollcall.so.$(SOVERSION)
	$(Q)ln -sf $(<F) $@

$(B)/.tool-files: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(TOOL_FILES)' | cmp -s - $@ || printf '%s\n' '$(TOOL_FILES)' >$@
$(B)/client/tool_files.c: $(addprefix $(srcdir)/,$(TOOL_FILES)) $(B)/.tool-files $(srcdir)/schema/embed
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)$(EMBED) tool/builtin.h builtins $(addprefix $(srcdir)/,$(TOOL_FILES)) >$@
$(B)/client/tool_files.o: $(B)/client/tool_files.c $(srcdir)/client/tool/builtin.h
	$(Q)$(COMPILE_CLIENT) -Wno-overlength-strings -c -o $@ $<

# The tool is linked statically with the library: it runs from the build folder, and with this version.
$(B)/rollcall: $(TOOL_SRCS:%.c=$(B)/%.o) $(B)/client/tool_files.o $(CLIENT_LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $^ $(CLIENT_LIBS)

# The examples use only what users have: the public header and the shared library.
$(EXAMPLES): $(B)/%: $(B)/%.o $(CLIENT_SO)
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $< $(CLIENT_SO) -Xlinker -rpath -Xlinker '$(abspath $(B))'

# Compiled as by a C++ user, with -Wall -Wextra and none of our flags; proves that the header is C++.
$(CXX_EXAMPLES): $(B)/%: $(srcdir)/%.cc $(srcdir)/client/include/rollcall.h $(CLIENT_SO)
	$(call say,CXX,$*.cc)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -Wall -Wextra -Wpedantic -Wconversion $(if $(filter yes,$(WERROR)),-Werror) -O2 -g \
	  $(if $(SAN),-fsanitize=$(SAN)) -I$(srcdir)/client/include -o $@ $< $(CLIENT_SO) -Xlinker -rpath -Xlinker '$(abspath $(B))'

SUBST_FILE = sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@prefix@|$(prefix)|g' -e 's|@libdir@|$(libdir)|g' \
	-e 's|@includedir@|$(includedir)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|@systemd_254@|$(systemd_254)|' \
	-e 's|@localstatedir@|$(localstatedir)|g' -e 's|@CLIENT_LIBS@|$(strip $(CLIENT_LIBS))|g' \
	$(if $(filter /var,$(localstatedir)),-e '/^@if_not_var@/d' -e 's|^@if_var@||',-e '/^@if_var@/d' -e 's|^@if_not_var@||')
$(B)/rollcall.pc: $(srcdir)/client/rollcall.pc.in config.mk
	$(Q)mkdir -p $(@D) && $(SUBST_FILE) $< >$@
$(B)/systemd/%: $(srcdir)/systemd/%.in config.mk
	$(Q)mkdir -p $(@D) && $(SUBST_FILE) $< >$@

# The manual pages contain the default paths; replace them by the configured ones.
$(B)/docs/man/%: $(srcdir)/docs/man/% config.mk
	$(Q)mkdir -p $(@D) && sed -e 's|/etc/rollcall|$(sysconfdir)/rollcall|g' \
	  -e 's|/var/lib/rollcall|$(localstatedir)/lib/rollcall|g' $< >$@

# --- test programs ----------------------------------------------------------
TEST_CFLAGS := -I$(srcdir)/tests/lib -DCASES_DIR='"$(abspath $(srcdir)/tests/cases)"' $(CHECK_CFLAGS) -Wno-conversion -Wno-sign-conversion -Wno-format-nonliteral
$(UNIT_TESTS:%=%.o) $(CLIENT_TESTS:%=%.o): EXTRA_CFLAGS = $(TEST_CFLAGS)
$(CLIENT_TESTS:%=%.o) $(CLIENT_TEST_LIB_SRCS:%.c=$(B)/%.o): EXTRA_CFLAGS = $(TEST_CFLAGS) $(CPP_CLIENT) $(CLIENT_CFLAGS) \
	-DCASES='"$(abspath $(srcdir))/tests/cases"'
$(TEST_LIB_SRCS:%.c=$(B)/%.o) $(FUZZERS:%=%.o) $(BENCHES:%=%.o): EXTRA_CFLAGS = -I$(srcdir)/tests/lib
$(filter $(B)/tests/fuzz/fuzz_client_%,$(FUZZERS:%=%.o)): EXTRA_CFLAGS = $(CPP_CLIENT) $(CLIENT_CFLAGS)

$(UNIT_TESTS:%=%.o) $(CLIENT_TESTS:%=%.o): | have-check
.PHONY: have-check
have-check:
	@$(if $(filter yes,$(HAVE_CHECK)),,echo "the unit tests need check: install it and run ./configure again" >&2; exit 1)

# Allocations of the daemon go through tests/lib/fault.c.
WRAP := $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc reallocarray strdup strndup)
$(UNIT_TESTS): $(B)/%: $(B)/%.o $(TEST_LIB_SRCS:%.c=$(B)/%.o) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) $(WRAP) -o $@ $^ $(DEPS_LIBS) $(CHECK_LIBS)
# Descriptors and libcurl handles of the client also go through tests/client/fault_io.c.
WRAP_CLIENT := $(WRAP) $(addprefix -Wl$(comma)--wrap=,epoll_create1 eventfd timerfd_create epoll_ctl socket \
	curl_easy_init curl_multi_init curl_multi_add_handle curl_slist_append pthread_create)
$(CLIENT_TESTS): $(B)/%: $(B)/%.o $(B)/tests/lib/fault.o $(CLIENT_TEST_LIB_SRCS:%.c=$(B)/%.o) $(CLIENT_LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) $(WRAP_CLIENT) -o $@ $^ $(CLIENT_LIBS) $(CHECK_LIBS)

# fuzz_client_* link the client library, all others the daemon's.
FUZZ_MAIN := $(if $(FUZZING),,$(B)/tests/fuzz/replay.o)
$(filter $(B)/tests/fuzz/fuzz_client_%,$(FUZZERS)): FUZZ_LIBS = $(CLIENT_LIBS)
$(filter $(B)/tests/fuzz/fuzz_client_%,$(FUZZERS)): $(CLIENT_LIB)
$(filter-out $(B)/tests/fuzz/fuzz_client_%,$(FUZZERS)): FUZZ_LIBS = $(DEPS_LIBS)
$(filter-out $(B)/tests/fuzz/fuzz_client_%,$(FUZZERS)): $(LIB)
$(FUZZERS): $(B)/%: $(B)/%.o $(FUZZ_MAIN)
	$(call say,LD,$@)
	$(Q)$(LINK) $(if $(FUZZING),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(FUZZ_LIBS)

# bench_client* link the client library, all others the daemon's.
CLIENT_BENCHES := $(filter $(B)/tests/bench/bench_client%,$(BENCHES))
$(CLIENT_BENCHES:%=%.o): EXTRA_CFLAGS = $(CPP_CLIENT) $(CLIENT_CFLAGS)
$(CLIENT_BENCHES): BENCH_LIBS = $(CLIENT_LIBS)
$(CLIENT_BENCHES): $(CLIENT_LIB)
$(filter-out $(CLIENT_BENCHES),$(BENCHES)): BENCH_LIBS = $(DEPS_LIBS)
$(filter-out $(CLIENT_BENCHES),$(BENCHES)): $(LIB)
$(BENCHES): $(B)/%: $(B)/%.o
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $^ $(BENCH_LIBS)

# Preloaded into a daemon under test, so it must be built without a sanitizer.
$(PRELOADS): $(B)/%.so: $(srcdir)/tests/lib/%.c $(srcdir)/tests/lib/preload.h $(B)/.flags
	$(call say,LD,$@)
	$(Q)$(CC) -D_GNU_SOURCE -std=c11 -O2 -g $(WARNINGS) $(if $(filter yes,$(WERROR)),-Werror) -fPIC -shared -pthread -o $@ $< -ldl

-include $(ALL_SRCS:%.c=$(B)/%.d)
.PRECIOUS: $(B)/%.o $(B)/%.c

# Any finding is a failure; tests/lib/tsan.supp lists what to ignore, with the reason.
export TSAN_OPTIONS = suppressions=$(abspath $(srcdir)/tests/lib/tsan.supp)
export ASAN_OPTIONS = detect_stack_use_after_return=1
export UBSAN_OPTIONS = print_stacktrace=1
export CK_DEFAULT_TIMEOUT = $(if $(SAN)$(COVERAGE),120,60)

# --- check ------------------------------------------------------------------
# Every program writes its cases as TAP into $(RESULTS); the last line sums them up.
RESULTS := $(B)/results
UNIT_RUNS := $(patsubst $(B)/tests/%,run-%,$(UNIT_TESTS) $(CLIENT_TESTS))
FUZZ_RUNS := $(FUZZERS:$(B)/tests/%=run-%)
INTEGRATION_RUN := $(if $(INTEGRATION),run-integration)
RESULT_FILES := $(patsubst run-%,$(RESULTS)/%.tap,$(UNIT_RUNS) $(FUZZ_RUNS)) $(INTEGRATION:tests/%.py=$(RESULTS)/%.tap)

.PHONY: check check-unit check-fuzz check-integration build-tests $(UNIT_RUNS) $(FUZZ_RUNS) run-integration
check: $(UNIT_RUNS) $(FUZZ_RUNS) $(INTEGRATION_RUN)
	@sh $(srcdir)/tests/lib/tally $(RESULT_FILES) >$(RESULTS)/summary; status=$$?; cat $(RESULTS)/summary; exit $$status
check-unit: $(UNIT_RUNS)
	@sh $(srcdir)/tests/lib/tally $(patsubst run-%,$(RESULTS)/%.tap,$^)
check-fuzz: $(FUZZ_RUNS)
	@sh $(srcdir)/tests/lib/tally $(patsubst run-%,$(RESULTS)/%.tap,$^)
check-integration: run-integration
	@sh $(srcdir)/tests/lib/tally $(INTEGRATION:tests/%.py=$(RESULTS)/%.tap)
build-tests: all $(UNIT_TESTS) $(CLIENT_TESTS) $(FUZZERS) $(BENCHES) $(PRELOADS)

$(UNIT_RUNS): run-%: $(B)/tests/%
	@sh $(srcdir)/tests/lib/run-program $(RESULTS)/$*.tap $* $<
$(FUZZ_RUNS): run-fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%
	@sh $(srcdir)/tests/lib/run-program $(RESULTS)/fuzz/fuzz_$*.tap fuzz/fuzz_$* $< $(srcdir)/tests/fuzz/corpus/$*
# Runs last, because it measures time; always two files at a time.
run-integration: $(PROGRAMS) $(CLIENT_SO) $(PC) $(EXAMPLES) $(CXX_EXAMPLES) $(PRELOADS) | $(UNIT_RUNS) $(FUZZ_RUNS)
	@ROLLCALLD=$(abspath $(B)/rollcalld) ROLLCALL_TOOL=$(abspath $(TOOL)) ROLLCALL_FLAVOUR=$(FLAVOUR) \
	  $(PYTHON) $(srcdir)/tests/integration/run.py $(RESULTS)/integration $(addprefix $(srcdir)/,$(INTEGRATION))

# Slow proofs: does in full what `make check` samples.
PROOFS := tests/integration/test_failures.py
.PHONY: proof
proof: $(PROGRAMS) $(PRELOADS)
	@ROLLCALL_PROOF=1 TEST_TIMEOUT=3600 ROLLCALLD=$(abspath $(B)/rollcalld) ROLLCALL_TOOL=$(abspath $(TOOL)) \
	  ROLLCALL_FLAVOUR=$(FLAVOUR) $(PYTHON) $(srcdir)/tests/integration/run.py $(RESULTS)/proof $(addprefix $(srcdir)/,$(PROOFS))
	@sh $(srcdir)/tests/lib/tally $(PROOFS:tests/integration/%.py=$(RESULTS)/proof/%.tap)

.PHONY: check-all
check-all: lint
	$(Q)$(MAKE) check
	$(Q)$(MAKE) check SAN=address,undefined
	$(Q)$(MAKE) check SAN=thread

# make fuzz TARGET=router SECONDS=60
.PHONY: fuzz
TARGETS := $(FUZZ_SRCS:tests/fuzz/fuzz_%.c=%)
TARGET ?=
SECONDS ?= 60
fuzz:
	@$(if $(filter $(TARGET),$(TARGETS)),:,echo "make fuzz TARGET=... SECONDS=60, where TARGET is one of: $(TARGETS)" >&2; exit 2)
	$(Q)$(MAKE) FUZZING=1 CC=clang build/fuzz/tests/fuzz/fuzz_$(TARGET)
	@mkdir -p build/fuzz/found/$(TARGET)
	$(Q)build/fuzz/tests/fuzz/fuzz_$(TARGET) -max_total_time=$(SECONDS) -artifact_prefix=build/fuzz/found/$(TARGET)- \
	  build/fuzz/found/$(TARGET) $(srcdir)/tests/fuzz/corpus/$(TARGET)

# make bench ONLY=lookup,pick
.PHONY: bench
ONLY ?=
bench: $(PROGRAMS) $(BENCHES) $(PRELOADS)
	$(Q)ROLLCALLD=$(abspath $(B)/rollcalld) $(PYTHON) $(srcdir)/tests/bench/run.py $(if $(ONLY),--only=$(ONLY)) $(ARGS)

.PHONY: coverage
coverage:
	$(Q)find build/coverage -name '*.gcda' -delete 2>/dev/null || :
	$(Q)$(MAKE) check COVERAGE=1; status=$$?; \
	  gcovr --root $(srcdir) --filter '$(abspath $(srcdir))/daemon/' --filter '$(abspath $(srcdir))/client/' build/coverage && exit $$status

# --- lint: cheap checks first -------------------------------------------------
.PHONY: lint check-format check-layers check-calls check-headers check-banned check-sizes check-paths check-scripts check-options check-openapi check-units check-man tidy
lint: check-format check-layers check-banned check-sizes check-paths check-scripts check-options check-openapi check-man check-headers check-calls check-units check-abi tidy
FILES = sh tests/lint/files
check-format:
	$(call say,LINT,format)
	$(Q)cd $(srcdir) && $(FILES) '*.[ch]' | xargs clang-format --dry-run -Werror
check-layers:
	$(call say,LINT,layers)
	$(Q)cd $(srcdir) && awk -f tests/lint/layers.awk daemon/layers $(SCHEMA_HEADERS) daemon/*/*.[ch]
	$(Q)cd $(srcdir) && awk -v circles=1 -f tests/lint/layers.awk client/layers $(SCHEMA_HEADERS) $(CLIENT_SRCS) $(CLIENT_HEADERS)
# Who calls whom in the library and the tool; includes do not show a function that is declared elsewhere.
CALLERS = $(CLIENT_LIB_OBJS) $(TOOL_SRCS:%.c=$(B)/%.o) $(B)/client/tool_files.o
check-calls: $(CALLERS)
	$(call say,LINT,calls)
	$(Q)nm -A -g $(CALLERS) | awk -f $(srcdir)/tests/lint/calls.awk $(srcdir)/client/layers -
check-banned:
	$(call say,LINT,banned)
	$(Q)cd $(srcdir) && ! $(FILES) 'daemon/*.[ch]' 'client/*.[ch]' 'schema/*.h' | xargs grep -nE '\<(strcpy|strcat|strncpy|strncat|strtok|sprintf|vsprintf|gets|atoi|atol|gmtime|localtime|ctime|asctime|rand|alloca|system|popen|signal)\('
check-sizes:
	$(call say,LINT,sizes)
	$(Q)cd $(srcdir) && $(FILES) 'daemon/*.[ch]' 'client/*.[ch]' 'schema/*.h' | grep -v '^client/include/' | xargs wc -l | awk '$$1 > 600 && $$2 != "total" { print $$2 ": " $$1 " lines, more than 600"; failed = 1 } END { exit failed }'
# No file may name a path outside of the project.
check-paths:
	$(call say,LINT,paths)
	$(Q)cd $(srcdir) && ! $(FILES) | xargs grep -nIE '[/](wor[k]|home|root|mnt)/|/tm[p]/(wt|rc)\>'
check-scripts:
	$(call say,LINT,scripts)
	$(Q)cd $(srcdir) && $(FILES) | xargs awk 'FNR == 1 && /^#!.*sh$$/ { print FILENAME } { nextfile }' | xargs shellcheck
check-options:
	$(call say,LINT,options)
	$(Q)cd $(srcdir) && tests/lint/options
check-openapi:
	$(call say,LINT,openapi)
	$(Q)python3 $(srcdir)/tests/lint/openapi.py $(srcdir)/schema/openapi.json
check-man:
	$(call say,LINT,man)
	$(Q)$(if $(MAN),cd $(srcdir) && mandoc -T lint -W warning $(MAN),:)
check-units: $(B)/rollcalld $(UNITS)
	$(call say,LINT,units)
	$(Q)sh $(srcdir)/tests/lint/units $(B) $(srcdir)
# Compiles every header alone: its includes must be complete.
check-headers: $(HEADERS:%=$(B)/%.ok) $(CLIENT_HEADERS:%=$(B)/%.ok) $(SCHEMA_HEADERS:%=$(B)/%.ok)
$(B)/daemon/%.h.ok: $(srcdir)/daemon/%.h $(B)/.flags
	@mkdir -p $(@D)
	$(Q)echo '#include "$*.h"' | $(COMPILE) -Wno-unused-const-variable -x c -fsyntax-only - && touch $@
$(B)/client/%.h.ok: $(srcdir)/client/%.h $(B)/.flags
	@mkdir -p $(@D)
	$(Q)echo '#include "$*.h"' | $(COMPILE_CLIENT) -x c -fsyntax-only - && touch $@
$(B)/schema/%.h.ok: $(srcdir)/schema/%.h $(B)/.flags
	@mkdir -p $(@D)
	$(Q)echo '#include "schema/$*.h"' | $(COMPILE) -x c -fsyntax-only - && touch $@
# Compares the ABI of librollcall with the recorded one; run `make abi` after an intended change.
ABI := $(srcdir)/client/lib/librollcall.abi
check-abi: $(CLIENT_SO)
	$(call say,LINT,abi)
	$(Q)$(if $(CLIENT_SO),abidiff --no-added-syms $(ABI) $(CLIENT_SO),:)
.PHONY: abi
abi: $(CLIENT_SO)
	$(Q)abidw --headers-dir $(srcdir)/client/include --drop-private-types --no-comp-dir-path --no-corpus-path \
	  --no-show-locs --type-id-style hash --exported-interfaces-only --out-file $(ABI) $(CLIENT_SO)
# One process per file: make runs them in parallel, and only for files that have changed.
tidy: $(DAEMON_SRCS:%=$(B)/%.tidy) $(CLIENT_SRCS:%=$(B)/%.tidy)
TIDY_FLAGS = -Wno-unknown-warning-option -Wno-error
$(B)/%.c.tidy: $(srcdir)/%.c $(B)/%.o $(srcdir)/.clang-tidy
	$(call say,TIDY,$*.c)
	$(Q)clang-tidy --quiet $< -- $(filter -%,$(if $(filter client/%,$*),$(COMPILE_CLIENT),$(COMPILE))) $(TIDY_FLAGS) >$@.log 2>&1 || { cat $@.log; exit 1; }
	$(Q)touch $@

# For editors, which use clang's tools: these do not know all warnings of gcc.
compile_commands.json: $(B)/.flags $(addprefix $(srcdir)/,$(ALL_SRCS))
	$(call say,GEN,$@)
	$(Q){ sep='['; for f in $(ALL_SRCS); do \
	  case $$f in client/*) cc='$(COMPILE_CLIENT)';; *) cc='$(COMPILE) -I$(srcdir)/tests/lib $(CPP_CLIENT) $(CHECK_CFLAGS)';; esac; \
	  printf '%s{"directory":"%s","file":"%s","command":"%s"}\n' "$$sep" '$(CURDIR)' "$(srcdir)/$$f" \
	    "$$cc -Wno-unknown-warning-option -c $(srcdir)/$$f"; sep=,; done; echo ']'; } >$@

.PHONY: format
format:
	$(Q)cd $(srcdir) && $(FILES) '*.[ch]' | xargs clang-format -i
tags: $(addprefix $(srcdir)/,$(ALL_SRCS) $(HEADERS) $(CLIENT_HEADERS) $(SCHEMA_HEADERS))
	$(Q)ctags -f $@ $^

# --- install, dist ----------------------------------------------------------
# mode:source:target; uninstall removes exactly these.
INSTALLED = 755:$(B)/rollcalld:$(sbindir)/rollcalld \
	$(foreach u,$(UNITS) $(wildcard $(srcdir)/systemd/*.socket),644:$u:$(systemdsystemunitdir)/$(notdir $u)) \
	$(foreach f,$(wildcard $(srcdir)/systemd/sysusers.conf),644:$f:$(sysusersdir)/rollcall.conf) \
	$(foreach m,$(MAN),644:$(B)/$m:$(mandir)/man$(subst .,,$(suffix $m))/$(notdir $m)) \
	$(if $(TOOL),755:$(TOOL):$(bindir)/rollcall \
	  644:$(srcdir)/client/tool/completion/bash:$(datarootdir)/bash-completion/completions/rollcall \
	  644:$(srcdir)/client/tool/completion/zsh:$(datarootdir)/zsh/site-functions/_rollcall \
	  644:$(srcdir)/client/tool/completion/fish:$(datarootdir)/fish/vendor_completions.d/rollcall.fish) \
	$(if $(CLIENT_SO),755:$(B)/librollcall.so.$(SOVERSION):$(libdir)/librollcall.so.$(SOVERSION) \
	  644:$(srcdir)/client/include/rollcall.h:$(includedir)/rollcall.h) \
	$(if $(PC),644:$(PC):$(libdir)/pkgconfig/rollcall.pc)
.PHONY: install uninstall dist clean distclean help
install: all
	$(Q)set -e; for entry in $(INSTALLED); do mode=$${entry%%:*}; where=$(DESTDIR)$${entry##*:}; what=$${entry#*:}; what=$${what%:*}; \
	  echo "  INSTALL $$where"; mkdir -p "$${where%/*}"; $(INSTALL) -m $$mode "$$what" "$$where"; done
	$(if $(CLIENT_SO),$(Q)ln -sf librollcall.so.$(SOVERSION) $(DESTDIR)$(libdir)/librollcall.so)
uninstall:
	rm -f $(foreach entry,$(INSTALLED),$(DESTDIR)$(lastword $(subst :, ,$(entry)))) $(if $(CLIENT_SO),$(DESTDIR)$(libdir)/librollcall.so)

# The files of git, plus configure and the version, so that users need no autoconf.
dist:
	$(Q)sh $(srcdir)/debian/dist $(srcdir)

clean:
	rm -rf build compile_commands.json tags
distclean: clean
	rm -rf config.mk config.status config.log configure configure~ aclocal.m4 autom4te.cache
help:
	@cat $(srcdir)/docs/make.txt
