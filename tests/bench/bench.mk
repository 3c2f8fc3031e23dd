# SPDX-License-Identifier: BSD-2-Clause
# Measurements: ratios within one run, never a verdict. BENCH_ARGS=--json for machines.

$(B)/tests/bench/pipeline: $(B)/tests/bench/pipeline.o $(B)/tests/pair.a $(B)/tests/rooms.a $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)

bench: $(B)/tests/bench/pipeline ## what ESP costs a packet, beside the crypto engine alone (BENCH_ARGS=--json)
	@$< $(BENCH_ARGS)

.PHONY: bench
