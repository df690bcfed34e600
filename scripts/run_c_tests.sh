#!/bin/bash
# Run every program of a folder; each says nothing when it passes. usage: run_c_tests.sh FOLDER
set -u
failed=0 count=0
for program in "$1"/test_*; do
    case $program in *.d | *'*') continue ;; esac
    count=$((count + 1))
    if ! output=$(timeout 300 "$program" 2>&1); then
        failed=$((failed + 1))
        printf 'FAILED %s\n%s\n' "$program" "$output"
    fi
done
echo "C tests in $1: $((count - failed)) of $count passed"
exit $((failed > 0))
