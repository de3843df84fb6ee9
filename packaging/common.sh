# shellcheck shell=bash
# What building a .deb and an .rpm have in common; sourced.

top=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
MAINTAINER=${MAINTAINER:-The metricsd authors <metricsd@packages.invalid>}
VERSION=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -1)}
# Packages of the same commit are the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || stat -c %Y "$top/Cargo.toml")}
export SOURCE_DATE_EPOCH

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# The changelog's entries for VERSION, a line each.
changes() {
    awk -v version="${VERSION%%-*}" '/^## \[/ { on = index($0, "[" version "]") } on && /^- /' "$top/CHANGELOG.md"
}

# check_machine BINARY NAME: whether it was built for that machine, as readelf calls it.
check_machine() {
    readelf -h "$1" | grep -q "Machine: .*$2" || die "$1 is not built for $2"
}

# The highest version of the symbols whose names begin with $2 that a binary needs.
needs() {
    readelf -V "$1" | sed -n "s/.*Name: $2_\([0-9.]*\) .*/\1/p" | sort -V | tail -1
}
