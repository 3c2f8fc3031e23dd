#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `xesp attach --replace` exchanges programs by an atomic link update: the program's id changes, the
# link and its id stay, and whoever looks, at whatever moment, finds a program on the interface. Where
# the kernel takes libxdp's dispatcher there is no link, and it is the dispatcher that is exchanged.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/loader.sh"
loader_up
succeeds attach attach --inner in0 --outer out0

programs() { echo "$(program_on in0) $(program_on out0)"; }
links() { [ ! -e "$PINS/links/in0" ] || echo "$(link_on in0) $(link_on out0)"; }
first=$(programs) link_ids=$(links)

# Netlink tells every change of the hook; this one looks as often as it can between the messages.
"$PYTHON" - "$PATH_OF_NS-gw1" "$TMP/stop" >"$TMP/watch.log" 2>&1 <<-'END' &
	import ctypes, os, re, socket, struct, sys
	ctypes.CDLL(None).setns(os.open(sys.argv[1], os.O_RDONLY), 0x40000000)
	index = socket.if_nametoindex("out0")
	s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
	def program():
	    s.send(struct.pack("=IHHII BBHiII", 32, 18, 1, 1, 0, 0, 0, 0, index, 0, 0))
	    b, at = s.recv(65536), 32
	    while at < len(b):
	        n, kind = struct.unpack_from("=HH", b, at)
	        if kind & 0x3fff == 43:  # IFLA_XDP
	            end, at = at + n, at + 4
	            while at < end:
	                n, kind = struct.unpack_from("=HH", b, at)
	                if kind == 4:  # IFLA_XDP_PROG_ID
	                    return struct.unpack_from("=I", b, at + 4)[0]
	                at += (n + 3) & ~3
	            return 0
	        at += (n + 3) & ~3
	    return 0
	looks, ids = 0, []
	while not os.path.exists(sys.argv[2]):
	    ids.append(program()) if not ids or program() != ids[-1] else None
	    looks += 1
	    if looks == 1:
	        print("watching", flush=True)
	print(looks, "looks,", len(set(ids)), "programs,", ids.count(0), "times none", flush=True)
END
watcher=$!
PIDS+=("$watcher")
until_ok 10 grep -q watching "$TMP/watch.log"

for i in 1 2 3 4 5; do
	before=$(programs)
	succeeds "replace $i" attach --replace --inner in0 --outer out0
	[ "$(programs)" != "$before" ] || die "replace $i left the old programs: $before"
	[ "$(links)" = "$link_ids" ] || die "replace $i made new links: $link_ids, now $(links)"
done
grep -q 'program .* replaced by' "$TMP/xesp.log" || die "it does not say so: $(cat "$TMP/xesp.log")"
succeeds "replace all" attach --replace
[ "$(links)" = "$link_ids" ] || die "replacing all made new links"

touch "$TMP/stop"
wait "$watcher" || die "the watcher failed: $(cat "$TMP/watch.log")"
tail -n 1 "$TMP/watch.log"
grep -q ' 0 times none' "$TMP/watch.log" || die "there were moments without a program"
programs_seen=$(sed -nE 's/.*, ([0-9]+) programs.*/\1/p' "$TMP/watch.log")
[ "$programs_seen" -ge 4 ] || die "the watcher saw only $programs_seen programs of 7"
[ "$(programs)" != "$first" ] || die "the programs are still the first ones"

# One that cannot be replaced brings back the others.
run gw1 ip link add br0 type bridge
before=$(programs)
refused "replace, and a second one refused" 'br0' attach --replace --inner in0 --inner br0 --mode native
[ "$(programs)" = "$before" ] || die "the program of in0 was not put back"
