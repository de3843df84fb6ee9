# shellcheck shell=bash
# What the tests of the packages have in common; sourced.

where=${where:-}

ok() { echo "ok - ${where:+$where: }$*"; }

fail() {
    echo "FAILED - ${where:+$where: }$*" >&2
    exit 1
}

# expect WHAT COMMAND...: the command succeeds, and what it says is shown if not.
expect() {
    local what=$1 said
    shift
    said=$("$@" 2>&1) || fail "$what: $* (exit $?): $said"
}

# same WHAT GOT WANTED
same() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }

# soon WHAT SECONDS COMMAND...: the command succeeds within that time.
soon() {
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "$what: not within the time: $*"
        sleep 0.2
    done
}

# What the page at 127.0.0.1:8080 says. Small roots have no curl.
page() {
    exec 9<>/dev/tcp/127.0.0.1/8080 || return 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&9
    cat <&9
    exec 9>&-
}

# Healthy or degraded: a destination that is down is no reason.
answers() { (page /health) 2>/dev/null | grep -q '^HTTP/1.. 200'; }

# Lays a copy of the root $1 at $2 that costs nothing; $3 is where changes go.
overlay() {
    mkdir -p "$2" "$3/upper" "$3/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$3/upper,workdir=$3/work" "$2"
    mount -t proc proc "$2/proc"
    mount --rbind /dev "$2/dev"
}

inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
