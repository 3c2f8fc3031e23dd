# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# debian.sh - kernels and virtme-ng out of Debian's archive, unpacked into a cache and never installed;
# sourced by run.sh.
#
# Where the archive is comes from this machine's own apt sources; other suites of it (backports, the
# next release) are looked at through a private view, so that nothing of /etc/apt or of apt's own
# lists changes. Versions in the archive move: each is resolved when it is asked for, and what has
# been unpacked once is used again, also without a network.

# shellcheck disable=SC2034 # KVERSION and VNG are for boot.sh

CACHE=${XESP_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xesp-vm}
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The suite that has a kernel series, and the metapackage that names its present version there.
suite_of() { # suite_of <series>
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	sid) echo sid ;;
	*) return 1 ;;
	esac
}

# What options make apt look at one suite alone: apt_view <suite>, into VIEW. The lists are fetched once a day.
apt_view() {
	local suite=$1 dir="$CACHE/apt/$1" uri
	VIEW=()
	grep -qs "^VERSION_CODENAME=$suite$" /etc/os-release && return 0
	uri=$(apt-get indextargets --format "\$(CODENAME) \$(ORIGIN) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages' |
		awk -v release="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" \
			'$1 == release && $2 == "Debian" && $3 == "main" { print $4; exit }')
	[ -n "$uri" ] || { echo "apt's sources name no Debian archive to look for $suite in" >&2; return 1; }
	mkdir -p "$dir/lists/partial" "$dir/cache"
	echo "deb [signed-by=$KEYRING] $uri $suite main" >"$dir/sources"
	VIEW=(-o "Dir::Etc::sourcelist=$dir/sources" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Get::List-Cleanup=0)
	[ -z "$(find "$dir/fetched" -mtime -1 2>/dev/null)" ] || return 0
	apt-get -q "${VIEW[@]}" update >"$dir/log" 2>&1 && touch "$dir/fetched" ||
		{ echo "apt-get update for $suite failed: $(tail -n 1 "$dir/log")" >&2; return 1; }
}

# Downloads packages and unpacks them below a directory, whole or not at all: unpack <directory> <package>...
unpack() {
	local dir=$1 work; shift
	mkdir -p "$(dirname "$dir")"
	work=$(mktemp -d "$dir.XXXXXX") || return 1
	if (cd "$work" && apt-get -q "${VIEW[@]}" -o APT::Sandbox::User=root download "$@" >log 2>&1 &&
		for file in ./*.deb; do dpkg-deb -x "$file" tree || exit 1; done); then
		mv "$work/tree" "$dir" && rm -rf "$work"
	else
		echo "$* could not be had: $(tail -n 1 "$work/log")" >&2
		rm -rf "$work"
		return 1
	fi
}

# Packages with all that they depend on, down to the C library, as a tree in the cache, so that programs of
# another release can run from it. Prints the tree:
# whole_tree <name> <suite> <package>...
whole_tree() {
	local dir=$CACHE/trees/$1 suite=$2 name=$1 work deb l; shift 2
	if [ ! -e "$dir/ready" ]; then
		apt_view "$suite" || return 1
		echo "  $name: from $suite, into the cache" >&2
		rm -rf "$dir"
		mkdir -p "$CACHE/trees"
		work=$(mktemp -d "$dir.XXXXXX") || return 1
		mkdir -p "$work/debs/partial" "$work/tree"
		: >"$work/status"
		apt-get -q "${VIEW[@]}" -o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/debs" \
			-o APT::Sandbox::User=root -o APT::Install-Recommends=0 -y --download-only install "$@" >"$work/log" 2>&1 ||
			{ echo "$name could not be had: $(tail -n 1 "$work/log")" >&2; rm -rf "$work"; return 1; }
		for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/tree" || return 1; done
		for l in lib lib64 bin sbin; do [ -e "$work/tree/$l" ] || ln -s "usr/$l" "$work/tree/$l"; done
		touch "$work/tree/ready"
		mv "$work/tree" "$dir" && rm -rf "$work"
	fi
	echo "$dir"
}

newest_of() { # newest_of <directory>...: the one unpacked last
	# shellcheck disable=SC2012 # the names are ours
	ls -dt "$@" 2>/dev/null | head -n 1
}

# Sets KERNEL to a tree with boot/vmlinuz-VERSION and lib/modules/VERSION, and KVERSION: get_kernel <series>
get_kernel() {
	local series=$1 suite dir package='' parts
	suite=$(suite_of "$series") || { echo "no kernel series $series: 6.1, 6.12 and sid are known" >&2; return 1; }
	apt_view "$suite" && package=$(apt-cache "${VIEW[@]}" depends linux-image-amd64 |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	dir=$CACHE/kernels/$series/$package
	if [ -n "$package" ] && [ ! -e "$dir/ready" ]; then
		echo "  kernel $series: $package from $suite" >&2
		rm -rf "$dir"
		# What newer suites have split: the image is only a name for these.
		mapfile -t parts < <(apt-cache "${VIEW[@]}" depends "$package" |
			sed -n 's/^ *Depends: \(linux-\(base\|binary\|modules\)-[0-9].*\)/\1/p')
		unpack "$dir" "$package" "${parts[@]}" && prepare_kernel "$dir" && touch "$dir/ready"
	fi
	dir=$(newest_of "$CACHE/kernels/$series"/*/ready)
	[ -n "$dir" ] || { echo "no kernel $series: not in the cache, and not to be had from $suite" >&2; return 1; }
	KERNEL=$(dirname "$dir")
	KVERSION=$(basename "$KERNEL"/lib/modules/*)
}

prepare_kernel() {
	local version
	[ -d "$1/lib/modules" ] || ln -s usr/lib "$1/lib"
	version=$(basename "$1"/lib/modules/*)
	[ -e "$1/boot/vmlinuz-$version" ] || { mkdir -p "$1/boot" && ln -s "../lib/modules/$version/vmlinuz" "$1/boot/vmlinuz-$version"; }
	depmod -b "$1" "$version"
}

# Sets VNG to virtme-ng's command: Debian has it from release 13 on.
get_vng() {
	local dir=$CACHE/virtme-ng
	if [ ! -x "$dir/usr/bin/vng" ]; then
		apt_view trixie && unpack "$dir" virtme-ng || return 1
	fi
	VNG=(env "PYTHONPATH=$dir/usr/lib/python3/dist-packages" "PATH=$dir/usr/bin:$PATH" vng)
}
