#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The command line against daemons that a script plays: what they answer comes out unchanged with
# --json and readable without; a refusal is their own sentence; a daemon that hangs up, babbles, or
# leaves members out is survived. Also options, help and exit statuses. Needs no namespace.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/loader.sh"
need jq bpftool

show() { "$XESP" --pins "$PINS" --run "$TMP" "$@"; }

answers() { # answers <expected exit status> <pattern> <arguments>...
	local expected=$1 pattern=$2 status=0; shift 2
	show "$@" >"$TMP/out" 2>&1 || status=$?
	[ "$status" = "$expected" ] || die "xesp $*: exit status $status, expected $expected: $(cat "$TMP/out")"
	grep -qE -- "$pattern" "$TMP/out" || die "xesp $*: nothing like '$pattern' in: $(cat "$TMP/out")"
}

# --- usage ----------------------------------------------------------------------------------------
answers 0 '^  attach +attach the XDP programs' help
answers 0 '^usage: xesp .* detach ' help detach
answers 0 '^usage: xesp .* detach ' detach --help
answers 0 '^xesp [0-9]+\.[0-9]+' --version
answers 0 '"steer_abi"' version --json
answers 2 'no such command; see `xesp help`' frobnicate
answers 2 '^usage:'
answers 2 'a directory must follow' status --pins
answers 2 'there is no option --frob; see `xesp help attach`' attach --frob
answers 2 "'7' is not a number from 16" attach --max-sas 7
answers 2 "'x' is not known" status x
answers 2 "'b' is not known" sa a b
for command in attach detach status sa policy counters reload version help; do
	answers 0 "^  $command " help
	zgrep -q "Cm $command" "$HERE/../../docs/man/xesp.8" || die "xesp(8) does not know $command"
done

# --- nobody there ---------------------------------------------------------------------------------
answers 1 'xesp-keyd is not running .*keyd.sock' sa
answers 1 'xesp-keyd is not running' policy
answers 1 'xesp-keyd is not running' reload
answers 1 'run `xesp attach` first' counters
answers 1 'no interface is attached' status
[ "$(show status --json | jq -c '[.keyd, .xespd, .drops]')" = '[null,null,null]' ] || die "status --json of nothing"

# --- daemons, played ------------------------------------------------------------------------------
cat >"$TMP/daemon.py" <<-'END'
	import json, socket, sys
	path, answers = sys.argv[1], json.load(open(sys.argv[2]))
	s = socket.socket(socket.AF_UNIX)
	s.bind(path)
	s.listen()
	while True:
	    c, _ = s.accept()
	    line = c.makefile().readline()
	    a = answers.get(json.loads(line)["request"]) if line else None
	    if isinstance(a, str):
	        c.sendall(a.encode())
	    elif a is not None:
	        text = json.dumps({"id": 1, **a}) + "\n"
	        for i in range(0, len(text), 1000):  # in pieces, as a large answer comes
	            c.sendall(text[i:i + 1000].encode())
	    c.close()
END
play() { # play <socket>: with the answers of stdin
	cat >"$TMP/answers.json"
	rm -f "$TMP/$1"
	"$PYTHON" "$TMP/daemon.py" "$TMP/$1" "$TMP/answers.json" >"$TMP/daemon.log" 2>&1 &
	PIDS+=($!)
	PLAYED=$!
	until_ok 5 test -S "$TMP/$1"
}

play keyd.sock <<-'END'
	{"sa": {"ok": true, "result": {"unknown": [1, {"a/b": "\u00e4"}], "sas": [
	  {"id": 1, "name": "a-out", "tunnel": "a", "direction": "out", "spi": "0x00001001", "local": "192.0.2.1",
	   "remote": "2001:db8::1", "algorithm": "aes-gcm-128", "esn": true, "window": 0, "fingerprint": "0123456789abcdef",
	   "state": "active", "reason": null, "sequence": {"next": 77, "lease_end": 1000}, "packets": 76, "bytes": 123456789,
	   "lost": 0, "last_used_s": 3, "drops": {"no-lease": 2, "tx-full": 3}},
	  {"id": 2, "name": "a-in", "tunnel": "a", "direction": "in", "spi": "0x00001002", "state": "refused",
	   "reason": "its record is lost", "sequence": {"highest": 18446744073709551615}, "packets": 18446744073709551615,
	   "bytes": 0, "lost": 4, "last_used_s": null, "drops": {}},
	  {"name": "bare"}, {}]}},
	 "policy": {"ok": true, "result": {"default": "discard", "policies": [
	  {"id": 1, "name": "web", "rank": 0, "action": "protect", "direction": "both", "tunnel": "a", "local": "10.1.0.0/24",
	   "remote": "10.2.0.0/24", "protocol": "tcp", "local_ports": "any", "remote_ports": "80-443", "packets": 5,
	   "bytes": 10000, "drops": {"no-worker": 1}},
	  {"id": 2, "name": "rest", "rank": 1, "action": "bypass", "tunnel": null, "local_ports": "any", "remote_ports": "any"}]}},
	 "reload": {"ok": false, "error": "xesp.yaml:7: tunnels[0].local: 'x' is not an address", "errno": "EINVAL"}}
END

[ "$(show sa --json | jq -c .)" = "$(jq -c .sa.result "$TMP/answers.json")" ] || die "sa --json alters the answer"
[ "$(show policy --json | jq -c .)" = "$(jq -c .policy.result "$TMP/answers.json")" ] || die "policy --json alters the answer"
[ "$(show sa a-in --json | jq -c '[.sas[].name]')" = '["a-in"]' ] || die "sa NAME --json does not filter"
[ "$(show sa --json a | jq -c '[.sas[].name]')" = '["a-out","a-in"]' ] || die "sa TUNNEL --json does not filter"
answers 0 '^a-out +a +out +0x00001001 +active +aes-gcm-128 +77 +76 +123.5 MB +- +5 +3 s ago +- +0123456789abcdef$' sa
answers 0 '^a-in +a +in +0x00001002 +refused +- +18446744073709551615 +18446744073709551615 +0 B +4 +0 +never +- +-$' sa
answers 0 '^a-in: refused: its record is lost$' sa
answers 0 '^bare ' sa
answers 0 'next 77, leased up to 1000, ESN: yes' sa a-out
answers 0 'dropped +tx-full: 3' sa a-out
answers 1 "neither a name nor a tunnel is 'b'" sa b
answers 0 '^ +0 +web +protect +both +a +10.1.0.0/24 +10.2.0.0/24 +tcp +any to 80-443 +5 +10.0 kB +1$' policy
answers 0 '^ +1 +rest +bypass +- +- +- +- +- +any +0 +0 B +0$' policy
answers 0 '^no match: discard$' policy
answers 0 'dropped +no-worker: 1' policy web
answers 1 "^xesp: reload: xesp.yaml:7: tunnels\[0\].local: 'x' is not an address$" reload
answers 1 '/nowhere: No such file' reload /nowhere
answers 1 '^xesp-keyd: .*hung up' status   # it has no answer to this one, and nothing else is there
stop "$PLAYED"

play keyd.sock <<-'END'
	{"sa": {"ok": true, "result": {"sas": 7}}, "policy": "not json\n", "status": {"ok": true, "result": []}, "reload": "[1]\n"}
END
answers 1 "answered without 'sas'" sa
answers 1 'not JSON' policy
answers 1 'not a JSON object' reload
answers 0 'xesp-keyd  running' status
say "unchanged as JSON, readable as tables, and every kind of silence has its sentence"
