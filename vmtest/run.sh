#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Boots Debian's kernels under QEMU and runs tests in them: a line per case and kernel, then the matrix
# in docs/vmtest.md, then "N passed, N failed, N skipped". docs/vmtest.md says how to use it.
#
#   vmtest/run.sh [-k "6.1 6.12"] [-c "programs"] [-r "rows"] [-b vng|lean] [-1flw] [build directory]
#
#   -k  kernels          -c  programs, by glob patterns of their names       -l  list the programs
#   -b  how to boot      -r  rows of the tables (kernel_esp), by patterns    -w  write docs/vmtest.md
#   -f  all programs, also those that vmtest/only-full names                 -1  one kernel after the other
set -u
cd "$(dirname "$0")/.." || exit 70
TOP=$PWD
# shellcheck source-path=SCRIPTDIR
. vmtest/debian.sh
# shellcheck source-path=SCRIPTDIR
. vmtest/boot.sh

KERNELS="6.1 6.12 sid" PROGRAMS="*" ROWS="" BOOT=lean LIST=no WRITE=no ASKED=no FULL=no ONE_BY_ONE=no
while getopts k:c:r:b:flw1 option; do
	case $option in
	k) KERNELS=$OPTARG ASKED=yes ;;
	c) PROGRAMS=$OPTARG ;;
	r) ROWS=$OPTARG ;;
	b) BOOT=$OPTARG ;;
	l) LIST=yes ;;
	w) WRITE=yes ;;
	f) FULL=yes ;;
	1) ONE_BY_ONE=yes ;;
	*) sed -n '3,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
BUILD=${1:-build/release}
case $BOOT in vng | lean) ;; *) echo "-b $BOOT: vng and lean are known" >&2; exit 2 ;; esac

# --- which programs -------------------------------------------------------------------------------

# "name path" a line: the bpf tests, what is only for guests, then the tests of `make test` that are not
# left out with a reason in vmtest/left-out.
programs() {
	local path
	echo "bpf-tests $BUILD/tests/bpf-tests"
	for path in vmtest/test_*.sh tests/netns/test_*.sh tests/peer/test_*.sh; do
		[ -e "$path" ] || continue
		left_out "$(program_name "$path")" >/dev/null || echo "$(program_name "$path") $path"
	done
}
program_name() { local name=${1##*/test_}; echo "${name%.sh}"; }
left_out() { sed -n "s/^$1 \+\(.*\)/\1/p" vmtest/left-out | grep .; } # left_out <name>: prints why
seconds_for() { # seconds_for <name>
	case $1 in kernel_*) echo 1500 ;; ike_* | xfrm_*) echo 900 ;; *) echo 600 ;; esac
}

# What runs under which kernel when none is asked for: sid's is there for what needs one newer than 6.12.
suits() { # suits <series> <name>
	[ $ASKED = no ] || return 0
	case $2 in zero_copy_* | *_cpus) [ "$1" = sid ] ;; *) [ "$1" != sid ] ;; esac
}
only_full() { [ $FULL = no ] && [ "$PROGRAMS" = "*" ] && grep -qx "$1" vmtest/only-full; } # only_full <name>

# IKE daemons of another release, for the programs that want them: the trees of whole_tree.
daemons() {
	local name trees=''
	for name in $(programs | cut -d ' ' -f 1); do
		! wanted "$name" || case $name in
		ike_hybrid* | ike_rekeys* | ike_cpus) [[ $trees == *XESP_STRONGSWAN6* ]] || trees+=" XESP_STRONGSWAN6=$(whole_tree strongswan6 sid strongswan-charon strongswan-swanctl \
			libstrongswan-standard-plugins libstrongswan-extra-plugins)" ;;
		ike_libreswan*) trees+=" XESP_LIBRESWAN=$(whole_tree libreswan bookworm libreswan)" ;;
		esac
	done
	echo "$trees"
}

wanted() { # wanted <name>
	local pattern
	set -f
	for pattern in $PROGRAMS; do
		# shellcheck disable=SC2053 # a pattern it is
		[[ $1 != $pattern ]] || { set +f; return 0; }
	done
	set +f
	return 1
}

list_for() { # list_for <series>: "seconds name path" a line
	local name path
	while read -r name path; do
		! wanted "$name" || ! suits "$1" "$name" || only_full "$name" || echo "$(seconds_for "$name") $name $path"
	done < <(programs)
}

# --- one kernel -----------------------------------------------------------------------------------

# The verdicts of a guest as it writes them, for people. Not `tail -f`: that would outlive its reader.
follow() { # follow <kernel> <results>
	local part='' verdict program name reason fd
	exec {fd}<"$2"
	while :; do
		if ! read -r line <&$fd; then
			part+=$line
			sleep 0.3
			continue
		fi
		IFS=$'\t' read -r verdict program name reason < <(printf '%s\n' "$part$line" | sed 's/\t\t/\t-\t/')
		part=
		case $verdict in
		PASS | FAIL | SKIP)
			[ "${name:--}" = - ] && name= || name=": $name"
			echo "$verdict $1 $program$name${reason:+: $reason}"
			;;
		END) return ;;
		esac
	done
}

ended() { grep -qx END "$1/results"; } # ended <share>

# Boots until the whole list is done: a guest that dies takes the program that ran with it, no other.
run_kernel() { # run_kernel <series> <directory for its results>
	local series=$1 dir=$2 share=$2/share boots=0 follower running limit
	mkdir -p "$share/logs"
	: >"$dir/results"
	list_for "$series" >"$share/list"
	while [ -s "$share/list" ] && [ $boots -lt 4 ]; do
		boots=$((boots + 1))
		rm -f "$share/status" "$share/output"
		: >"$share/results"
		printf 'export XESP_BUILD=%s XESP_PATIENCE=6 VMTEST_ROWS=%q PYTHONDONTWRITEBYTECODE=1%s\nexec %s/vmtest/guest.sh %s %s\n' \
			"$BUILD" "$ROWS" "$DAEMONS" "$TOP" $SHARE "$TOP" >"$share/command"
		follow "$series" "$share/results" &
		follower=$!
		limit=$((120 + $(awk '{ n += $1 } END { print (n < 2400 ? n : 2400) }' "$share/list")))
		"boot_$BOOT" "$share" "$limit"
		ended "$share" || died "$series" "$share" $boots
		echo END >>"$share/results"
		wait "$follower"
		cat "$share/results" >>"$dir/results"
		running=$(sed -n 's/^RUN\t//p' "$share/results")
		grep -vFf <(printf '%s\n' "${running:-nothing ran}" | sed 's/^/ /;s/$/ /') "$share/list" >"$dir/left"
		mv "$dir/left" "$share/list"
	done
	while read -r _ name _; do
		echo "FAIL $series $name: no guest lived long enough to run it"
		printf 'FAIL\t%s\t\tno guest lived long enough to run it\n' "$name" >>"$dir/results"
	done <"$share/list"
}

died() { # died <series> <share> <boot>: adds the failure to the results, and shows what is known
	local last; last=$(sed -n 's/^RUN\t//p' "$2/results" | tail -n 1)
	if [ -z "$last" ]; then
		echo "kernel $1, boot $3: the guest did not come up" >&2
	elif ! grep -q "^TOOK.$last\b" "$2/results"; then
		printf 'FAIL\t%s\t\tthe guest died or hung\n' "$last" >>"$2/results"
	fi
	{ tail -n 20 "$2/output"; tail -n 30 "$2/console"; tail -n 30 "$2/qemu"; } 2>/dev/null | sed 's/^/    /' >&2
}

# QEMU and what serves it are jobs of this shell, and go with it however it leaves.
leave() {
	trap - EXIT
	jobs -p | xargs -r kill 2>/dev/null
	wait
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- all ------------------------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || { echo "vmtest shares the root file system with the guest: run it as root" >&2; exit 1; }
if [ $LIST = yes ]; then
	while read -r name path; do printf '%-50s %s\n' "$name" "$path"; done < <(programs)
	exit 0
fi

RESULTS=${XESP_VM_RESULTS:-$TOP/build/vmtest}
rm -rf "$RESULTS"
mkdir -p "$RESULTS"
if [ $BOOT = vng ] && ! get_vng; then
	echo "  virtme-ng could not be had: booting without it" >&2
	BOOT=lean
fi
DAEMONS=$(daemons)
passed=0 failed=0 skipped=0
start=$SECONDS
RUNNING=()
for series in $KERNELS; do
	[ -n "$(list_for "$series")" ] || continue
	get_kernel "$series" || { echo "FAIL $series: no kernel"; failed=$((failed + 1)); continue; }
	[ -n "${ACCEL_NAME:-}" ] || probe_kvm "$RESULTS/probe" 2>/dev/null
	echo "  kernel $KVERSION, $ACCEL_NAME, $BOOT"
	mkdir -p "$RESULTS/$series"
	echo "$KVERSION" >"$RESULTS/version-$series"
	RUNNING+=("$series")
	# Beside each other: most of what runs in a guest is one process after the other.
	(
		trap leave EXIT
		trap 'exit 143' TERM
		run_kernel "$series" "$RESULTS/$series"
	) &
	[ "$ONE_BY_ONE" = no ] || wait $!
done
wait
for series in "${RUNNING[@]}"; do
	touch "$RESULTS/$series/results"
	failures=$(awk -F'\t' '$1 == "FAIL" { print $2 }' "$RESULTS/$series/results" | sort -u)
	for name in $failures; do
		echo "--- $series $name"
		tail -n 60 "$RESULTS/$series/share/logs/$name.log" 2>/dev/null | grep -v '^PASS ' | sed 's/^/    /'
	done
	passed=$((passed + $(grep -c '^PASS' "$RESULTS/$series/results")))
	failed=$((failed + $(grep -c '^FAIL' "$RESULTS/$series/results")))
	skipped=$((skipped + $(grep -c '^SKIP' "$RESULTS/$series/results")))
done
echo "  $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s in all; logs are in $RESULTS"
[ $WRITE = no ] || vmtest/matrix.sh "$RESULTS" docs/vmtest.md "QEMU with $ACCEL_NAME, $BOOT boot" "${RUNNING[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
