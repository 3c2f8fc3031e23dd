# SPDX-License-Identifier: BSD-2-Clause
# Measurements: ratios within one run, never a verdict. `make test` only sees that each still runs.
# BENCH_ARGS: --json, and what `xesp help bench` names; TOPOLOGY_ARGS: see tests/bench/topology.sh (--help).

$(B)/tests/bench/spd: $(B)/tests/bench/spd.o $(KEYD_OBJS) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(KEYD_LIBS)

$(B)/tests/bench/cores: $(B)/tests/bench/cores.o $(B)/tests/bench/queues.o $(B)/tests/pair.a $(B)/tests/rooms.a $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)

# Generator and sink.
$(B)/tests/bench/traffic.bpf.o: tests/bench/traffic.bpf.c tests/bench/traffic.h
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -I. -c $< -o $@
	$(Q)llvm-strip -g $@
$(B)/tests/bench/traffic.skel.h: $(B)/tests/bench/traffic.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name traffic >$@
$(B)/tests/bench/emit.o: $(B)/tests/bench/traffic.skel.h
TRAFFIC_OBJS := $(patsubst %,$(B)/tests/bench/%.o,traffic emit source usage xdp_time)
$(B)/tests/bench/traffic: $(TRAFFIC_OBJS) $(B)/tests/rooms.a $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)

# One queue over two cores, in the ways there are.
$(B)/tests/bench/sockets.bpf.o: tests/bench/sockets.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -I. -c $< -o $@
	$(Q)llvm-strip -g $@
$(B)/tests/bench/sockets.skel.h: $(B)/tests/bench/sockets.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name sockets >$@
$(B)/tests/bench/sockets.o: $(B)/tests/bench/sockets.skel.h
$(B)/tests/bench/sockets: $(B)/tests/bench/sockets.o $(B)/tests/pair.a $(B)/tests/rooms.a $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)

# xespd with an engine that does nothing, in place of the real one: the I/O ceiling. Never installed.
$(B)/tests/bench/xespd-io: $(B)/user/xespd/main.o $(B)/tests/bench/engine_none.o \
		$(filter-out %/crypto/choice.o,$(ROOMS_OBJS)) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)

# The calls of libipsec-mb, where it can be built.
$(B)/tests/bench/calls: $(patsubst %,$(B)/%.o,tests/bench/calls tests/bench/calls_mb user/bench/about) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBXESP_LIBS) -lIPSec_MB
CALLS := $(if $(ENGINE_OBJECTS),$(B)/tests/bench/calls)

BENCH_PROGRAMS := $(patsubst %,$(B)/tests/bench/%,traffic xespd-io spd cores sockets) $(CALLS)
bench-programs: $(BENCH_PROGRAMS)

bench: bench-crypto bench-calls bench-pipeline bench-cores bench-sockets bench-spd bench-topology bench-tunnels bench-tcp ## what ESP costs: the stages alone, and through a gateway, beside its ceilings

bench-pipeline: programs ## what a packet costs in each of the worker's stages, of 1 to 100 000 SAs (BENCH_ARGS=--json)
	@$(B)/xesp bench pipeline $(BENCH_ARGS)

bench-crypto: programs ## the crypto engines alone, every suite (BENCH_ARGS=--json)
	@$(B)/xesp bench crypto $(filter --json,$(BENCH_ARGS))

bench-calls: $(CALLS) ## the calls of libipsec-mb against each other, suite by suite (BENCH_ARGS=--json)
	@$(if $<,$< $(filter --json,$(BENCH_ARGS)),echo "bench-calls: there is no libipsec-mb-dev here")

bench-topology: programs $(BENCH_PROGRAMS) ## generator, gateway, sink in namespaces (TOPOLOGY_ARGS=--help)
	@XESP_BUILD=$(B) tests/bench/topology.sh $(TOPOLOGY_ARGS)

bench-tunnels: programs $(BENCH_PROGRAMS) ## a gateway with 1, 1 000 and 100 000 tunnels, packets spread over all (TUNNELS_ARGS=--help)
	@XESP_BUILD=$(B) tests/bench/tunnels.sh $(TUNNELS_ARGS)

bench-peers: programs $(BENCH_PROGRAMS) ## the same, encapsulation alone, beside what else Debian carries
	@XESP_BUILD=$(B) tests/bench/topology.sh --direction encap --peers $(TOPOLOGY_ARGS)

bench-tcp: programs ## iperf3 between the demo's hosts, by the tunnel and in clear (TCP_ARGS=--help)
	@XESP_BUILD=$(B) tests/bench/tcp.sh $(TCP_ARGS)

bench-spd: $(B)/tests/bench/spd ## what a look-up in 10 to 100 000 policies costs, and a change of one (root; a minute)
	@$< $(filter --json,$(BENCH_ARGS))

bench-sas: programs ## 100 000 SAs installed and deleted, one policy of 100 000 changed: file and control socket (root; SAS_ARGS=--help)
	@XESP_BUILD=$(B) tests/bench/sas.sh $(SAS_ARGS)

bench-cores: programs $(B)/tests/bench/cores ## one tunnel over 1 to as many threads as there are CPUs, in memory: one queue spread, and several queues (BENCH_ARGS=--json)
	@$(B)/tests/bench/cores $(BENCH_ARGS)

bench-sockets: programs $(BENCH_PROGRAMS) ## one queue over two cores: one socket with xespd's dispatcher, two sockets (SOCKETS_ARGS=--help)
	@XESP_BUILD=$(B) tests/bench/sockets.sh $(SOCKETS_ARGS)

.PHONY: bench-tunnels bench-cores bench-sockets bench-calls bench bench-sas bench-programs bench-tcp bench-crypto bench-pipeline bench-spd bench-topology bench-peers
