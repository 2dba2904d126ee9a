#!/usr/bin/env bash
# Brings the compose cluster up with three workers on a short run, and compares its hashes with those of a local run:
#   ci-cluster.sh WEIGHTS_SHA256 MULTIPLIERS_SHA256
# The local run is `lagrange train --train-limit 10000 --epochs 1`.
set -euo pipefail
cd "$(dirname "$0")/.."
weights=$1 multipliers=$2

if ! command -v debootstrap >/dev/null 2>&1; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi
if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
else
    command -v docker-compose >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
    compose=(docker-compose)
fi
compose+=(--project-name lagrange-ci --file deploy/compose.yaml)

deploy/local-bases.sh
export BUILDER_IMAGE=lagrange-local/builder RUNTIME_IMAGE=lagrange-local/runtime
export LAGRANGE_TRAIN_LIMIT=10000 LAGRANGE_SCHEDULE__EPOCHS=1 LAGRANGE_WORKERS=3

log=$(mktemp)
trap '"${compose[@]}" down --volumes >/dev/null 2>&1 || true; rm -f "$log"' EXIT
"${compose[@]}" build >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
timeout 600 "${compose[@]}" up --no-color --scale worker=3 >"$log" 2>&1 \
    || { tail -n 40 "$log" >&2; exit 1; }
result=$("${compose[@]}" run --rm --no-deps -T --entrypoint sh coordinator -c 'cat /data/runs/*/result.json')
echo "$result"
for hash in "$weights" "$multipliers"; do
    grep -q "$hash" <<<"$result" || { echo "the cluster's result lacks the local run's hash $hash" >&2; exit 1; }
done
echo "the cluster of three worker containers ends with the hashes of the local run"
