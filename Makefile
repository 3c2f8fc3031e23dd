# SPDX-License-Identifier: BSD-2-Clause
#
# The one entry. Everything is built under build/<config>/; a sanitised or a clang build is another
# config beside the first. The folders' own rules are in */*.mk.

CONFIG  ?= release
B       := build/$(CONFIG)
CC      := $(if $(filter clang fuzz,$(CONFIG)),clang,$(if $(filter default,$(origin CC)),gcc,$(CC)))
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PYTHON  ?= /usr/bin/python3
V       ?= 0
PREFIX  ?= /usr/local
VERSION := 0.1.0

# Debian 12 packages, by name: what builds, what tests, what the demo shows.
DEPS_BUILD := gcc clang llvm make pkg-config libc6-dev linux-libc-dev libbpf-dev libxdp-dev bpftool \
	libssl-dev libcyaml-dev libyaml-dev libjson-c-dev libevent-dev libnl-3-dev libnl-route-3-dev \
	libcap-ng-dev libseccomp-dev
DEPS_TEST := libcunit1-dev libclang-rt-14-dev iproute2 iputils-ping ethtool tcpdump tshark \
	python3 python3-scapy python3-cryptography iperf3 jq xxd procps util-linux netcat-openbsd \
	bsdextrautils nftables
# libipsec-mb is for amd64 alone; without it there is the engine openssl.
DEPS_ENGINE := $(if $(filter x86_64,$(shell uname -m)),libipsec-mb-dev)
DEPS_LINT := clang-format shellcheck mandoc
# Who is measured beside xesp (make bench-peers); not needed to build, test or run it.
DEPS_BENCH := wireguard-go wireguard-tools strongswan-charon strongswan-swanctl libcharon-extra-plugins \
	libstrongswan-standard-plugins
DEPS := $(DEPS_BUILD) $(DEPS_ENGINE) $(DEPS_TEST) $(DEPS_LINT)

PKGS := libbpf libxdp libcrypto libcyaml yaml-0.1 json-c libevent libnl-3.0 libnl-route-3.0 \
	libcap-ng libseccomp

ifeq ($(V),1)
  Q    :=
  say   =
else
  Q    := @
  say   = @printf '  %-7s %s\n' $(1) $(patsubst $(B)/%,%,$@)
endif

.DEFAULT_GOAL := all

# The last line of `make test` and `make demo` is theirs, not make's.
MAKEFLAGS += --no-print-directory

# Targets that must work on a machine where nothing is installed yet.
GROUNDLESS := help deps deps-check demo test vmtest vmtest-deps clean
ifneq ($(filter-out $(GROUNDLESS),$(or $(MAKECMDGOALS),all)),)
  ifneq ($(shell pkg-config --exists $(PKGS) 2>/dev/null && echo y),y)
    $(error libraries are missing, or pkg-config is: run `make deps`)
  endif
  PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
endif

, := ,
# gcc warns that its thread sanitizer does not see fences. Ours order stores for another process and for XDP,
# neither of which it sees either.
NO_TSAN_FENCES := $(if $(filter gcc,$(CC)),-Wno-tsan)
SAN_FLAGS := $(strip $(if $(filter asan,$(CONFIG)),-fsanitize=address$(,)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer) \
	$(if $(filter tsan,$(CONFIG)),-fsanitize=thread $(NO_TSAN_FENCES)) \
	$(if $(filter fuzz,$(CONFIG)),-fsanitize=address$(,)undefined$(,)fuzzer-no-link -fno-sanitize-recover=all))
HARDEN := -fstack-protector-strong -fPIE $(if $(SAN_FLAGS),,-D_FORTIFY_SOURCE=2)

CPPFLAGS += -D_GNU_SOURCE -DXESP_VERSION='"$(VERSION)"' -Iinclude -Iuser -I. -I$(B) $(PKG_CFLAGS) -MMD -MP
CFLAGS   ?= -O2 -g
ALL_CFLAGS := $(CFLAGS) -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wvla -Wformat=2 -Wconversion \
	-Wno-sign-conversion $(HARDEN) $(SAN_FLAGS) -pthread
LDFLAGS  += $(SAN_FLAGS) -pie -pthread -Wl,-z,relro,-z,now

all: programs ## build the programs and BPF objects (CONFIG=release, clang, asan or tsan)

include bpf/bpf.mk
include user/user.mk
include keyd/keyd.mk
include tests/tests.mk
include vmtest/vmtest.mk

programs: $(B)/xesp $(B)/xespd $(B)/xesp-keyd $(B)/xesp-bench $(BPF_OBJS) $(ENGINE_OBJECTS)

# How every C file is compiled, wherever it lies.
$(B)/%.o: %.c | $(BPF_SKELS)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

deps: ## install every Debian package that building, testing, the demo and the bench need
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(DEPS) $(DEPS_BENCH)

deps-check: # quiet when everything is there, else fails naming what is not
	@missing=; for p in $(DEPS); do \
		dpkg-query -W -f='$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || missing="$$missing $$p"; \
	done; [ -z "$$missing" ] || { echo "missing packages:$$missing" >&2; exit 1; }

demo: ## two gateways, two hosts, real traffic, ciphertext on the wire: all set-up included
	@$(MAKE) -s deps-check || $(MAKE) deps
	@$(MAKE) programs
	@tests/netns/demo.sh $(B)

test: ## all tests of this machine: all set-up included
	@$(MAKE) -s deps-check || $(MAKE) deps
	@$(MAKE) test-run

install: programs ## lay out programs, BPF objects, man pages, default config and units (DESTDIR, PREFIX)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/xesp $(DESTDIR)/etc/xesp \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/xesp
	install -m 0755 $(B)/xesp $(B)/xespd $(B)/xesp-keyd $(DESTDIR)$(PREFIX)/sbin/
	install -m 0644 $(BPF_OBJS) $(ENGINE_OBJECTS) $(DESTDIR)$(PREFIX)/lib/xesp/
	install -m 0755 $(B)/xesp-bench $(DESTDIR)$(PREFIX)/lib/xesp/
	install -m 0644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 0644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 0644 README.md LICENSE SECURITY.md docs/*.md $(DESTDIR)$(PREFIX)/share/doc/xesp/
	[ -e $(DESTDIR)/etc/xesp/xesp.yaml ] || install -m 0600 keyd/xesp.yaml $(DESTDIR)/etc/xesp/xesp.yaml
	for u in user/*.service keyd/*.service; do \
		sed 's|@SBIN@|$(PREFIX)/sbin|g' $$u >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$u) || exit 1; \
	done

clean: ## remove build/
	$(Q)rm -rf build

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

.PHONY: all programs deps deps-check demo test install clean help
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
