# SPDX-License-Identifier: BSD-2-Clause
# .bpf.c -> .bpf.o -> .skel.h

BPF_SRCS  := $(wildcard bpf/*.bpf.c)
BPF_OBJS  := $(BPF_SRCS:%.bpf.c=$(B)/%.bpf.o)
BPF_SKELS := $(BPF_SRCS:%.bpf.c=$(B)/%.skel.h)

BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Iinclude \
	-idirafter /usr/include/$(shell gcc -print-multiarch 2>/dev/null)

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)llvm-strip -g $@

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*) >$@ 2>$@.err || { cat $@.err >&2; exit 1; }
