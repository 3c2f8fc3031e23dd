# SPDX-License-Identifier: BSD-2-Clause
#
# libFuzzer targets: one file fuzz_<parser>.c, its seeds in corpus/<parser>/, a dictionary
# <parser>.dict if there is one. A target links xespd's rooms; one that is named in FUZZ_KEYD links
# xesp-keyd instead, for the two have modules of the same names. Archives: only what a target
# calls is linked.

FUZZ_SECONDS ?= 30
FUZZ_KEYD    ?= fuzz_config fuzz_control fuzz_lease

FUZZ_TARGETS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(B)/tests/fuzz/%)

$(B)/tests/rooms.a: $(ROOMS_OBJS)
	$(call say,AR)
	$(Q)mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^

$(B)/tests/keyd.a: $(KEYD_OBJS)
	$(call say,AR)
	$(Q)mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^

FUZZ_ROOMS_PROGRAMS := $(filter-out $(FUZZ_KEYD:%=$(B)/tests/fuzz/%),$(FUZZ_PROGRAMS))
FUZZ_KEYD_PROGRAMS  := $(filter $(FUZZ_KEYD:%=$(B)/tests/fuzz/%),$(FUZZ_PROGRAMS))

# Reads BPF maps, as esp_in does.
$(B)/tests/fuzz/fuzz_reassembly: $(B)/tests/unit/user/maps.o

$(FUZZ_ROOMS_PROGRAMS): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/pair.a $(B)/tests/rooms.a $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ -o $@ $(XESPD_LIBS)

$(FUZZ_KEYD_PROGRAMS): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/keyd.a $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ -o $@ $(KEYD_LIBS)

fuzz: ## fuzz each parser for FUZZ_SECONDS (default 30), from the committed corpus; ONLY="decap ..." for some
	@$(MAKE) CONFIG=fuzz fuzz-run

fuzz-build: $(FUZZ_PROGRAMS)

# New inputs and crashes stay under build/: what is worth keeping is copied to the corpus by hand.
fuzz-run: $(if $(ONLY),$(ONLY:%=$(B)/tests/fuzz/fuzz_%),$(FUZZ_PROGRAMS))
	@failed=0; for t in $^; do \
		n=$$(basename $$t); n=$${n#fuzz_}; found=$(B)/tests/fuzz/corpus/$$n; seeds=tests/fuzz/corpus/$$n; \
		dict=tests/fuzz/$$n.dict; mkdir -p $$found; \
		if $$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			$$([ -e $$dict ] && echo -dict=$$dict) -artifact_prefix=$(B)/tests/fuzz/$$n- \
			$$found $$([ -d $$seeds ] && echo $$seeds) >$(B)/tests/fuzz/$$n.log 2>&1; \
		then echo "PASS fuzz_$$n: $$(sed -n 's/^stat::number_of_executed_units: *//p' $(B)/tests/fuzz/$$n.log) inputs"; \
		else echo "FAIL fuzz_$$n"; tail -n 40 $(B)/tests/fuzz/$$n.log; failed=1; fi; \
	done; exit $$failed

.PHONY: fuzz fuzz-build fuzz-run
