#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# No key material in any map, log or listing: every pin is dumped and searched for each key in
# several spellings, so are the logs and the output of the show commands. bpftool shows the
# fields' names. The search is seen to find what is there.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need bpftool xxd

topology_up
ATTACH_OPTIONS=(--max-sas 64 --max-policies 64) # what is dumped is searched as text
gateways_up
pings hostA 20 10.2.0.2
pings hostA 20 2001:db8:2::2

mkdir "$TMP/dump"
for gw in gw1 gw2; do
	for pin in "$(pins_of $gw)"/*; do
		name=$(basename "$pin")
		bpftool map dump pinned "$pin" >"$TMP/dump/$gw-$name.json" 2>/dev/null || continue
		bpftool map dump pinned "$pin" -j 2>/dev/null >"$TMP/dump/$gw-$name.raw" || true
	done
	for what in status sa policy counters; do
		xesp $gw $what >"$TMP/dump/$gw-$what.txt"
		xesp $gw $what --json >"$TMP/dump/$gw-$what-json.txt"
	done
	cp "$TMP/$gw"-*.log "$TMP/dump/"
	tr '\0' ' ' <"/proc/$(pid_of $gw xespd)/cmdline" >"$TMP/dump/$gw-cmdline.txt"
done
[ "$(find "$TMP/dump" -name '*.json' | wc -l)" -ge 20 ] || die "too few maps could be dumped"

# Spellings of octets: deadbeef, de ad be ef, "0xde","0xad", 222,173 and numbers of 4 and 8 octets in
# both byte orders. A run of eight octets of a key is enough to be found.
cat >"$TMP/find.py" <<'END'
import os, re, sys
keys = [bytes.fromhex(k) for k in sys.argv[2:]]

def squeeze(name):
    """Numbers and octets only, one blank between them; long runs of zeros (unused elements) cut."""
    with open(os.path.join(sys.argv[1], name), errors="replace") as f:
        words = re.findall(r"\b(?:0x)?([0-9a-f]+)\b", f.read().lower())
    return re.sub(r"( 0+){16,}(?= )", "", " " + " ".join(words) + " ")

text = {name: squeeze(name) for name in os.listdir(sys.argv[1])}
found = 0
for key in keys:
    for at in range(0, len(key) - 7):
        b = key[at:at + 8]
        forms = {b.hex(), " ".join("%02x" % x for x in b), " ".join("%d" % x for x in b)}
        for order in ("little", "big"):
            n = int.from_bytes(b, order)
            forms |= {str(n), "%x" % n}
            forms.add("%d %d" % (int.from_bytes(b[:4], order), int.from_bytes(b[4:], order)))
        for name, body in text.items():
            for form in forms:
                if form in body:
                    print("key octets %d.. in %s" % (at, name))
                    found += 1
sys.exit(1 if found else 0)
END
keys=()
for sa in t4-gw1 t4-gw2 t6-gw1 t6-gw2; do keys+=("$(key_of "${sa%-*}" "${sa#*-}")"); done
"$PYTHON" "$TMP/find.py" "$TMP/dump" "${keys[@]}" || die "key material was found"

# The same search finds what maps do hold: a fingerprint, as a number, and a policy's name as octets.
fingerprint=$(sa_field gw1 t4-out .fingerprint)
"$PYTHON" "$TMP/find.py" "$TMP/dump" "$fingerprint" >/dev/null && die "the search finds nothing at all"

for field in seq_next lease_end replay_top fingerprint; do
	grep -q "\"$field\"" "$TMP/dump/gw1-xesp_sa_state.json" || die "xesp_sa_state: no field $field shown"
done
grep -q '"best_rank"' "$TMP/dump/gw1-xesp_spd_tuple.json" || die "xesp_spd_tuple without field names"
grep -q '"generation"' "$TMP/dump/gw1-xesp_conf.json" || die "xesp_conf without field names"
say "$(find "$TMP/dump" -type f | wc -l) dumps, logs and listings searched for ${#keys[@]} keys"
