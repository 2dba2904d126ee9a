#!/usr/bin/env bash
# Makes the two base images of the Dockerfile without an image registry: Debian by debootstrap, Rust from this machine's own
# toolchain, and the crates of Cargo.lock, so that the image then builds with no network at all.
# Needs root, docker, debootstrap and cargo. Skips what is there already; --force makes it anew.
set -euo pipefail
cd "$(dirname "$0")/.."

builder=lagrange-local/builder
runtime=lagrange-local/runtime
lock=$(sha256sum Cargo.lock | cut -c1-16)

say() { printf 'bases: %s\n' "$*" >&2; }

label() { docker image inspect --format '{{index .Config.Labels "lagrange.lock"}}' "$1" 2>/dev/null || true; }

if [ "${1:-}" != --force ] && [ "$(label $builder)" = "$lock" ] && docker image inspect $runtime >/dev/null 2>&1; then
    say "$builder and $runtime are up to date"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/debian

say "debootstrap"
debootstrap --variant=minbase --include=ca-certificates,libopenblas0-pthread bookworm "$tree" >"$work/log" 2>&1 \
    || { tail -n 20 "$work/log" >&2; exit 1; }
rm -rf "$tree"/var/cache/apt/archives/*.deb
tar -C "$tree" -c . | docker import --change 'LABEL lagrange.base=runtime' - $runtime >/dev/null
say "made $runtime"

say "compiler and headers"
chroot "$tree" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends gcc libc6-dev libopenblas-pthread-dev pkg-config >"$work/log" 2>&1 \
    || { tail -n 20 "$work/log" >&2; exit 1; }
rm -rf "$tree"/var/cache/apt/archives/*.deb

say "Rust toolchain and crates"
mkdir -p "$tree/usr/local/rust/lib" "$tree/usr/local/cargo/registry"
sysroot=$(rustc --print sysroot)
cp -a "$sysroot/bin" "$tree/usr/local/rust/"
cp -a "$sysroot"/lib/*.so* "$tree/usr/local/rust/lib/"
mkdir -p "$tree/usr/local/rust/lib/rustlib"
host=$(rustc -vV | sed -n 's/^host: //p')
cp -a "$sysroot/lib/rustlib/$host" "$tree/usr/local/rust/lib/rustlib/"
cargo fetch --locked --quiet
home=${CARGO_HOME:-$HOME/.cargo}
cp -a "$home/registry/index" "$home/registry/cache" "$tree/usr/local/cargo/registry/"
tar -C "$tree" -c . | docker import \
    --change "LABEL lagrange.lock=$lock" \
    --change 'ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV CARGO_HOME=/usr/local/cargo' \
    --change 'ENV CARGO_NET_OFFLINE=true' \
    - $builder >/dev/null
say "made $builder"
