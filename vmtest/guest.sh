#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# In the guest: the programs of a list, one after the other, a line per case as it ends.
#
#   guest.sh <share> <top of the source tree>
#
# <share>/list has a line per program: seconds it may take, its name, its path below the tree. A program
# speaks as under tests/run: "PASS case", "FAIL case: reason" or "SKIP case: reason" a line, or one test
# by exit status (0, 77 skipped, else failed). <share>/results gets, with tabs between,
#
#   RUN program                          before: what was running when a guest died is then known
#   PASS|FAIL|SKIP program case reason   as they come; case is empty for one test by exit status
#   TOOK program seconds                 after
#
# and a line END at last; the logs of the programs are in <share>/logs.
set -u
share=$1 top=$2

modules() { # what the tests need and the kernel may not load by itself
	local module
	for module in virtio_net veth tun bridge esp4 esp6 ah4 ah6 xfrm_user xfrm_interface xfrm4_tunnel xfrm6_tunnel ip_gre ip6_gre \
		vxlan l2tp_ip l2tp_ip6 l2tp_eth sch_netem ghash-generic gcm ccm ctr chacha20poly1305 authenc echainiv seqiv aesni_intel; do
		modprobe -q "$module" 2>/dev/null || echo "  no module $module"
	done
}

result() { local IFS=$'\t'; printf '%s\n' "$*" >>"$share/results"; }

run_program() { # run_program <seconds> <name> <path>
	local name=$2 log start=$SECONDS status
	log=$(mktemp)
	result RUN "$name"
	{
		timeout -k 10 "$1" "$top/$3" 2>&1 </dev/null
		echo "exit status $?"
	} | tee "$log" | sed -unE "s/^PASS (.*)/PASS\t$name\t\1/p; t
		s/^(FAIL|SKIP) ([^:]*): (.*)/\1\t$name\t\2\t\3/p; t
		s/^(FAIL|SKIP) (.*)/\1\t$name\t\2/p" >>"$share/results"
	cp "$log" "$share/logs/$name.log"
	status=$(sed -n '$s/^exit status //p' "$log")
	if grep -qE '^(PASS|FAIL|SKIP) ' "$log"; then
		[ "$status" = 0 ] || grep -q '^FAIL ' "$log" || result FAIL "$name" "" "exit status $status"
	else
		case $status in
		0) result PASS "$name" ;;
		77) result SKIP "$name" "" "$(sed -n 's/^SKIP: //p' "$log" | tail -n 1)" ;;
		124 | 137) result FAIL "$name" "" "not done within $1 s" ;;
		*) result FAIL "$name" "" "$(sed -n 's/^FAIL: //p' "$log" | tail -n 1)" ;;
		esac
	fi
	result TOOK "$name" $((SECONDS - start))
	rm -f "$log"
}

export LOG_LINES=400
uname -r
modules
mkdir -p /sys/fs/bpf "$share/logs"
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
while read -r seconds name path; do
	run_program "$seconds" "$name" "$path"
done <"$share/list"
result END
