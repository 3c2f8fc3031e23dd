# SPDX-License-Identifier: BSD-2-Clause
#
# Test programs print "PASS name", "FAIL name" or "SKIP name: reason" a line; scripts are one test
# each by their exit status (0, 77 skipped with a line "SKIP: reason", anything else failed).
# tests/run counts both and ends with "N passed, N failed, N skipped".

# ONLY="esp replay" builds the suites of these modules alone (with ROOMS= of user.mk, for work on one room).
# A program named in SUITES_<name> has these suites only.
suite_files = $(wildcard $(patsubst %,$(1)/test_%.c,$(or $(SUITES_$(2)),$(ONLY),*)))

.PHONY: FORCE
FORCE:

# One suite per file: test_<module>.c defines `CU_TestInfo <module>_tests[]`.
define suite_program # $(1) name, $(2) folder, $(3) objects, $(4) libraries
TESTS_$(1) := $$(call suite_files,$(2),$(1))
# Written anew only when it changes: with ONLY it is another list.
$$(B)/tests/$(1)-suites.c: FORCE
	$$(Q)mkdir -p $$(@D)
	$$(Q){ echo '#include <CUnit/CUnit.h>'; \
	  for m in $$(patsubst test_%.c,%,$$(notdir $$(TESTS_$(1)))); do echo "extern CU_TestInfo $$$${m}_tests[];"; done; \
	  echo 'CU_SuiteInfo suites[] = {'; \
	  for m in $$(patsubst test_%.c,%,$$(notdir $$(TESTS_$(1)))); do \
	    echo "	{ \"$$$${m}\", NULL, NULL, NULL, NULL, $$$${m}_tests },"; done; \
	  echo '	CU_SUITE_INFO_NULL'; echo '};'; } >$$@.new; \
	if cmp -s $$@.new $$@; then rm $$@.new; else mv $$@.new $$@; fi
$$(B)/tests/$(1)-suites.o: $$(B)/tests/$(1)-suites.c
	$$(call say,CC)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(ALL_CFLAGS) -c $$< -o $$@
$$(B)/tests/$(1): $$(patsubst %.c,$$(B)/%.o,$$(TESTS_$(1)) $$(filter-out $(2)/test_%,$$(wildcard $(2)/*.c)) tests/unit/runner.c) \
		$$(B)/tests/$(1)-suites.o $(3)
	$$(call say,LD)
	$$(Q)$$(CC) $$(LDFLAGS) $$^ -o $$@ -lcunit $(4)
endef

LIST_OBJS := $(patsubst %.c,$(B)/%.o,tests/spd/list.c keyd/spd_table.c keyd/spd_store.c keyd/spd_diff.c keyd/spd_cut.c \
	keyd/selector.c keyd/index.c keyd/problems.c)

# Both ends of a tunnel in one process, for unit tests, fuzz targets and the bench: an archive, so that
# only what uses it needs the rooms it uses.
$(B)/tests/pair.a: $(B)/tests/pair/pair.o $(B)/tests/pair/vector.o $(LIST_OBJS)
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

# Lists of policies, published by keyd's own code, for tests of what reads them.
$(B)/tests/list.a: $(LIST_OBJS)
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

$(eval $(call suite_program,unit-user,tests/unit/user,$$(B)/tests/pair.a $$(B)/tests/list.a $$(ROOMS_OBJS) $$(LIBXESP_OBJS),$$(XESPD_LIBS)))
# What threads share, for the thread sanitizer (CONFIG=tsan).
SUITES_unit-threads := dispatch lane lease sad
$(eval $(call suite_program,unit-threads,tests/unit/user,$$(B)/tests/pair.a $$(B)/tests/list.a $$(ROOMS_OBJS) $$(LIBXESP_OBJS),$$(XESPD_LIBS)))
$(eval $(call suite_program,unit-keyd,tests/unit/keyd,$$(KEYD_OBJS) $$(B)/tests/list.a $$(LIBXESP_OBJS),$$(KEYD_LIBS)))
$(eval $(call suite_program,bpf-tests,tests/bpf,$$(B)/tests/list.a $$(LIBXESP_OBJS),$$(LIBXESP_LIBS)))

# The engine on libipsec-mb is tested where it can be built.
$(B)/tests/yesterday/xesp-ipsecmb.so: tests/pair/engine_of_yesterday.c
	$(call say,LD)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(ALL_CFLAGS) -fPIC -shared $(filter-out -pie,$(LDFLAGS)) $< -o $@
$(B)/tests/unit-user: | $(ENGINE_OBJECTS) $(B)/tests/yesterday/xesp-ipsecmb.so

UNIT_PROGRAMS := $(B)/tests/unit-user $(B)/tests/unit-keyd
NETNS_TESTS := $(sort $(wildcard tests/netns/test_*.sh))
PEER_TESTS := $(sort $(wildcard tests/peer/test_*.sh))

unit: $(UNIT_PROGRAMS) ## unit tests (CONFIG=asan to sanitise)
	@tests/run $(UNIT_PROGRAMS)

bpf-test: $(B)/tests/bpf-tests ## the XDP programs by BPF_PROG_TEST_RUN
	@tests/run $(B)/tests/bpf-tests

netns: programs ## network-namespace tests with real daemons
	@XESP_BUILD=$(B) tests/run $(NETNS_TESTS) $(PEER_TESTS)

include tests/fuzz/fuzz.mk
include tests/bench/bench.mk

# What `make test` runs once the ground is there: gcc and clang, sanitised, threads under the thread sanitizer, fuzz targets from their
# corpus, BPF, namespaces, peers. As many at a time as there are CPUs, for most of them wait more than they work; the longest first.
JOBS := $(shell nproc)
test-run:
	@$(MAKE) -j$(JOBS) programs $(B)/tests/bpf-tests bench-programs
	@$(MAKE) -j$(JOBS) CONFIG=clang programs
	@$(MAKE) -j$(JOBS) CONFIG=asan build/asan/tests/unit-user build/asan/tests/unit-keyd
	@$(MAKE) -j$(JOBS) CONFIG=tsan build/tsan/tests/unit-threads
	@$(MAKE) -j$(JOBS) CONFIG=fuzz fuzz-build
	@XESP_BUILD=$(B) tests/run -j $(JOBS) build/asan/tests/unit-user build/asan/tests/unit-keyd \
		build/tsan/tests/unit-threads tests/fuzz/test_corpus.sh $(B)/tests/bpf-tests $(PEER_TESTS) $(NETNS_TESTS) \
		tests/bench/test_every_bench_runs.sh

.PHONY: unit bpf-test netns test-run

lint: ## house style: scripts, man pages, includes, lengths, docs against sources
	@tests/run tests/lint

.PHONY: lint
