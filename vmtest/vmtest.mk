# SPDX-License-Identifier: BSD-2-Clause
#
# The same system under Debian's kernels in QEMU; docs/vmtest.md. KERNEL, CASE and ROW narrow it down:
#   make vmtest KERNEL=6.1 CASE=kernel_esp ROW='aes-gcm-256*'

# By name, beside DEPS: the emulator, what boots a guest, what virtme-ng needs (virtme-ng itself, like
# the kernels, is unpacked into a cache), and the IKE daemons that run in guests.
DEPS_VM := qemu-system-x86 busybox-static cpio kmod xz-utils zstd udev file debian-archive-keyring \
	python3-argcomplete python3-pkg-resources python3-requests xdp-tools \
	strongswan-charon strongswan-swanctl libstrongswan-standard-plugins libstrongswan-extra-plugins

vmtest-deps: # once: packages that only vmtest needs
	@missing=; for p in $(DEPS_VM); do \
		dpkg-query -W -f='$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || missing="$$missing $$p"; \
	done; [ -z "$$missing" ] || { apt-get update && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; }

vmtest: ## the system under Debian kernels 6.1 and 6.12 in QEMU: all set-up included (KERNEL, CASE, ROW: a part)
	@$(MAKE) -s deps-check || $(MAKE) deps
	@$(MAKE) vmtest-deps
	@$(MAKE) programs $(B)/tests/bpf-tests bench-programs
	@vmtest/run.sh $(if $(KERNEL),-k "$(KERNEL)") $(if $(CASE),-c "$(CASE)") $(if $(ROW),-r "$(ROW)") \
		$(if $(BOOT),-b $(BOOT)) $(if $(FULL),-f) $(if $(KERNEL)$(CASE)$(ROW),,-w) $(B)

.PHONY: vmtest vmtest-deps
