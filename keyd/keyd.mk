# SPDX-License-Identifier: BSD-2-Clause
# xesp-keyd: SPD, SAD, configuration, leases.

# Without main(): the unit tests link it too.
KEYD_SRCS := $(filter-out keyd/main.c,$(wildcard keyd/*.c))
KEYD_OBJS := $(KEYD_SRCS:%.c=$(B)/%.o)
KEYD_LIBS := $(LIBXESP_LIBS) -lcyaml -lyaml -lnl-route-3 -lnl-3

$(B)/xesp-keyd: $(B)/keyd/main.o $(KEYD_OBJS) $(LIBXESP_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(KEYD_LIBS)
