#!/bin/bash
# Make Debian packages available to the build and the tests.
#
#   scripts/debian.sh TEST PACKAGE...    if `sh -c TEST` fails, get the PACKAGEs
#
# root (or passwordless sudo): apt-get install. Others: the packages are unpacked under .venv/debian without being
# installed; programs there are found through PATH by the Makefile. With neither, says what to run and fails.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
local_root=$here/.venv/debian
test_command=$1; shift
export PATH="$PATH:$local_root/usr/bin"
if sh -c "$test_command" >/dev/null 2>&1; then exit 0; fi

give_up() { echo "shoal: missing $*; as root: apt-get install $*" >&2; exit 1; }
command -v apt-get >/dev/null || give_up "$@"

echo "shoal: getting $*" >&2
if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root="no"; fi
if [ "$as_root" != no ]; then
    export DEBIAN_FRONTEND=noninteractive
    # Installing a server package must not start its service.
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 || {
        $as_root apt-get update -qq && $as_root env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    } || give_up "$@"
else
    lists=$local_root/.lists
    mkdir -p "$lists/partial" "$local_root/.debs"
    options=(-qq -o "Dir::State::Lists=$lists" -o "Dir::Cache=$local_root/.cache" -o "Debug::NoLocking=1")
    mkdir -p "$local_root/.cache/archives/partial"
    apt-get "${options[@]}" update || give_up "$@"
    wanted=$(apt-cache -o "Dir::State::Lists=$lists" -o "Dir::Cache=$local_root/.cache" depends --recurse --no-recommends --no-suggests \
        --no-conflicts --no-breaks --no-replaces --no-enhances "$@" 2>/dev/null | grep -E '^[a-z0-9]' | sort -u)
    missing=""
    for package in $wanted; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    # shellcheck disable=SC2086  # a list of words
    (cd "$local_root/.debs" && apt-get "${options[@]}" download $missing) || give_up "$@"
    for deb in "$local_root"/.debs/*.deb; do dpkg-deb -x "$deb" "$local_root"; rm "$deb"; done
fi
sh -c "$test_command" >/dev/null 2>&1 || give_up "$@"
