# SPDX-License-Identifier: BSD-2-Clause
# The worker pool xespd and its rooms, the command xesp, and libxesp, which all programs link.

LIBXESP_SRCS := $(wildcard user/libxesp/*.c)
# What xespd is made of, without its main(): the unit tests link it too.
ROOMS        ?= port worker sad esp crypto fib slow xespd
ROOMS_SRCS   := $(filter-out user/xespd/main.c,$(foreach r,$(ROOMS),$(wildcard user/$(r)/*.c)))
XESP_SRCS    := $(wildcard user/xesp/*.c)

LIBXESP_OBJS := $(LIBXESP_SRCS:%.c=$(B)/%.o)
ROOMS_OBJS   := $(ROOMS_SRCS:%.c=$(B)/%.o)
XESP_OBJS    := $(XESP_SRCS:%.c=$(B)/%.o)

LIBXESP_LIBS := -ljson-c -levent -lbpf -lcrypto -lcap-ng -lseccomp
XESPD_LIBS   := $(LIBXESP_LIBS) -lxdp -lnl-route-3 -lnl-3

# The engine on libipsec-mb: built where its header is, loaded by xespd where it fits (crypto/choice.h).
ENGINE_OBJECTS := $(if $(wildcard /usr/include/intel-ipsec-mb.h),$(B)/xesp-ipsecmb.so)
IPSECMB_OBJS := $(patsubst %.c,$(B)/%.pic.o,$(wildcard user/crypto/ipsecmb/*.c) user/libxesp/arena.c)
$(IPSECMB_OBJS): $(B)/%.pic.o: %.c
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -c $< -o $@
$(B)/xesp-ipsecmb.so: $(IPSECMB_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) -shared $(IPSECMB_OBJS) -lIPSec_MB -lcrypto -o $@

$(B)/xespd: $(B)/user/xespd/main.o $(ROOMS_OBJS) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)

$(B)/xesp: $(XESP_OBJS) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBXESP_LIBS) -lxdp

# What `xesp bench` becomes: it links the daemon's rooms, which the command does not.
XESP_BENCH_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard user/bench/*.c))
$(B)/xesp-bench: $(XESP_BENCH_OBJS) $(ROOMS_OBJS) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(XESPD_LIBS)
