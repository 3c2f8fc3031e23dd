# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# boot.sh - one boot of a Debian kernel on this machine's own root file system; sourced by run.sh after debian.sh.
#
# The guest sees the host's files read-only below a layer of its own in memory, and one directory that
# both can write, at $SHARE. It runs one command and is gone. Two ways to get there:
#
#   lean  busybox as init for the blink of an eye, the root over virtiofs (QEMU's own virtiofsd), no udev
#   vng   virtme-ng as Debian packages it, the root over 9p: its virtiofs wants another virtiofsd than QEMU 7.2's

readonly SHARE=/var/lib/xesp-vm # in the guest
readonly VIRTIOFSD=/usr/lib/qemu/virtiofsd
MEMORY=${XESP_VM_MEMORY:-2G}
CPUS=${XESP_VM_CPUS:-2}
# What costs an emulated processor much and is not what is tested: waits for grace periods (every namespace,
# every XDP program), pages zeroed twice, checks of a security module.
readonly ARGUMENTS="panic=-1 oops=panic mitigations=off cryptomgr.notests rcupdate.rcu_expedited=1 init_on_alloc=0 apparmor=0"

# Four network cards, the first two and the last two on one segment each. Their driver does zero-copy AF_XDP
# (Linux 7) where it may map memory itself: iommu_platform.
CARDS=()
for n in 1 2 3 4; do
	CARDS+=(-netdev "hubport,id=card$n,hubid=$(((n - 1) / 2))" -device
		"virtio-net-pci,netdev=card$n,mac=02:5a:00:00:00:0$n,iommu_platform=on,disable-legacy=on")
done

# --- the accelerator ------------------------------------------------------------------------------

# There may be a /dev/kvm under which guests hang: believed only when one has been seen to end. Sets ACCEL.
probe_kvm() { # probe_kvm <directory for scratch>; KERNEL and KVERSION are the kernel to boot
	ACCEL=(-accel "tcg,thread=multi" -cpu max) ACCEL_NAME="TCG"
	[ "${XESP_VM_ACCEL:-auto}" != tcg ] && [ -r /dev/kvm ] && [ -w /dev/kvm ] || return 0
	mkdir -p "$1/bin"
	cp /bin/busybox "$1/bin/"
	printf '#!/bin/busybox sh\n/bin/busybox poweroff -f\n' >"$1/init"
	chmod +x "$1/init"
	(cd "$1" && find . | cpio -o -H newc --quiet) | gzip -1 >"$1.gz"
	if timeout -k 1 15 qemu-system-x86_64 -accel kvm -cpu host -m 256M -nodefaults -no-user-config -display none \
		-no-reboot -kernel "$KERNEL/boot/vmlinuz-$KVERSION" -initrd "$1.gz" -append "quiet panic=-1" >/dev/null 2>&1; then
		ACCEL=(-accel kvm -cpu host) ACCEL_NAME="KVM"
	fi
}

# --- lean -----------------------------------------------------------------------------------------

# The modules that mount the root, in the order to insert them, into a directory.
boot_modules() { # boot_modules <directory>
	local file name module
	for module in virtio_pci virtiofs overlay; do
		modprobe -d "$KERNEL" -S "$KVERSION" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
		name=$(basename "$file")
		case $file in
		*.xz) name=${name%.xz}; xz -dc "$file" >"$1/$name" ;;
		*.zst) name=${name%.zst}; zstd -qdc "$file" >"$1/$name" ;;
		*) cp "$file" "$1/$name" ;;
		esac
		echo "$name" >>"$1/order"
	done
}

lean_initramfs() { # lean_initramfs <scratch>
	local tree=$1/initramfs
	mkdir -p "$tree"/{bin,dev,proc,sys,m,new,lower,share}
	cp /bin/busybox "$tree/bin/"
	boot_modules "$tree/m"
	cat >"$tree/init" <<-END
		#!/bin/busybox sh
		b=/bin/busybox
		\$b mount -t proc proc /proc; \$b mount -t sysfs sys /sys; \$b mount -t devtmpfs dev /dev
		for m in \$(\$b cat /m/order); do \$b insmod /m/\$m 2>/dev/null; done
		\$b mount -t virtiofs -o ro root /lower && \$b mount -t virtiofs share /share ||
			{ echo "the root did not mount"; \$b poweroff -f; }
		\$b mount -t tmpfs -o size=75% layer /m; \$b mkdir /m/upper /m/work
		\$b mount -t overlay -o lowerdir=/lower,upperdir=/m/upper,workdir=/m/work root /new
		\$b mkdir -p /new$SHARE /new/proc /new/sys /new/dev
		\$b mount --move /share /new$SHARE
		for d in proc sys dev; do \$b mount --move /\$d /new/\$d; done
		exec \$b switch_root /new /bin/bash $SHARE/init
	END
	chmod +x "$tree/init"
	(cd "$tree" && find . | cpio -o -H newc --quiet) | gzip -1 >"$1/initramfs.gz"
	# What runs as process 1 then, on the host's root.
	cat >"$1/init" <<-END
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
		mount -t tmpfs -o mode=755 run /run; mkdir -p /run/netns /run/lock /dev/pts /dev/shm
		mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs tmp /tmp
		ln -sfn /proc/self/fd /dev/fd
		mount -t tmpfs modules /usr/lib/modules 2>/dev/null || mkdir -p /usr/lib/modules
		ln -s "$KERNEL/lib/modules/$KVERSION" "/usr/lib/modules/$KVERSION"
		ip link set lo up; hostname guest; ulimit -l unlimited
		echo 3 >/proc/sys/kernel/printk
		bash $SHARE/command >$SHARE/output 2>&1 </dev/null
		echo \$? >$SHARE/status; dmesg >$SHARE/dmesg; sync
		echo o >/proc/sysrq-trigger; sleep 20
	END
}

virtiofs() { # virtiofs <tag> <directory> <cache> <scratch>; adds to QEMU_FS
	local socket=$4/$1.sock
	"$VIRTIOFSD" -f --socket-path="$socket" -o "source=$2" -o sandbox=chroot -o "cache=$3" >"$4/$1.log" 2>&1 &
	HELPERS+=($!)
	for _ in {1..100}; do [ -S "$socket" ] && break; sleep 0.05; done
	QEMU_FS+=(-chardev "socket,id=$1,path=$socket" -device "vhost-user-fs-pci,chardev=$1,tag=$1")
}

boot_lean() { # boot_lean <share on the host> <seconds>
	local share=$1 limit=$2 scratch
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/xesp-vm-XXXXXX")
	HELPERS=() QEMU_FS=()
	lean_initramfs "$scratch"
	mv "$scratch/init" "$share/init"
	virtiofs root / always "$scratch"
	virtiofs share "$share" auto "$scratch"
	timeout -k 5 "$limit" qemu-system-x86_64 -M q35 "${ACCEL[@]}" -smp "$CPUS" -m "$MEMORY" -nodefaults -no-user-config \
		-display none -no-reboot -serial "file:$share/console" \
		-object "memory-backend-memfd,id=mem,size=$MEMORY,share=on" -numa node,memdev=mem "${QEMU_FS[@]}" "${CARDS[@]}" \
		-kernel "$KERNEL/boot/vmlinuz-$KVERSION" -initrd "$scratch/initramfs.gz" \
		-append "console=ttyS0 quiet nokaslr random.trust_cpu=1 net.ifnames=0 $ARGUMENTS" \
		>>"$share/qemu" 2>&1 &
	wait $! # in the background, so that a signal to run.sh is heard at once
	kill "${HELPERS[@]}" 2>/dev/null
	wait "${HELPERS[@]}" 2>/dev/null
	rm -rf "$scratch"
}

# --- virtme-ng ------------------------------------------------------------------------------------

boot_vng() { # boot_vng <share on the host> <seconds>
	local share=$1 limit=$2 kvm=(--disable-kvm) options="-cpu max ${CARDS[*]}"
	[ "$ACCEL_NAME" != KVM ] || { kvm=(); options="${CARDS[*]}"; }
	cat >"$share/init" <<-END
		export LC_ALL=C.UTF-8
		ulimit -l unlimited
		bash $SHARE/command >$SHARE/output 2>&1
		echo \$? >$SHARE/status; dmesg >$SHARE/dmesg; sync
	END
	timeout -k 5 "$limit" "${VNG[@]}" --run "$KERNEL/boot/vmlinuz-$KVERSION" "${kvm[@]}" --force-9p --memory "$MEMORY" \
		--cpus "$CPUS" --append "$ARGUMENTS" \
		--rwdir="$SHARE=$share" "--qemu-opts=$options" -- "bash $SHARE/init" </dev/null >>"$share/qemu" 2>&1 &
	wait $! # in the background, so that a signal to run.sh is heard at once
}
