#!/bin/bash
# redis-py's own command tests against a Shoal of two workers, in RESP3 and RESP2. usage: redis_py_tests.sh [PYTEST ARGUMENTS]
# Its source distribution (with the tests) and what they need are fetched by pip into build/redis-py. Port 6379 must be free: some of its tests
# connect there whatever they are told. What may fail, and why: docs/conformance-types.md.
set -eu
cd "$(dirname "$0")/.."
home=build/redis-py version=8.1.0
if [ ! -e $home/.done ]; then
    rm -rf $home && mkdir -p $home
    python3 -m venv $home/venv
    $home/venv/bin/pip -q download --no-deps --no-binary :all: -d $home "redis==$version"
    tar xf "$home/redis-$version.tar.gz" -C $home
    $home/venv/bin/pip -q install pytest pytest-asyncio pytest-timeout PyJWT packaging requests numpy
    touch $home/.done
fi
data=$(mktemp -d)
.venv/bin/shoal-server --port 6379 --workers 2 --save '' --dir "$data" --enable-debug-command yes >"$data/log" 2>&1 &
server=$!
trap 'kill $server; wait $server; rm -rf "$data"' EXIT
for _ in $(seq 100); do redis-cli ping >/dev/null 2>&1 && break || sleep 0.1; done
failed=0
for protocol in 3 2; do
    echo "RESP$protocol"
    (cd "$home/redis-$version" && ../venv/bin/python -m pytest -q --no-header --tb=line -W ignore -p no:cacheprovider --protocol $protocol \
        -m 'not onlycluster and not redismod and not ssl and not replica' \
        tests/test_commands.py tests/test_hash.py tests/test_pipeline.py tests/test_encoding.py "$@") || failed=1
done
exit $failed
