#!/bin/sh
# Installs what building and testing Lagrange needs and this machine lacks: a C linker, OpenBLAS and pkg-config.
# Does nothing, quickly, where everything is there. Debian, Ubuntu and their kin through apt-get; macOS through Homebrew.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "this needs root and there is no sudo; run as root: $*"
        exit 1
    fi
}

installed() {
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

debian() {
    # Debian's build for one thread has no locks: products of two threads at once come out wrong. It may stay installed,
    # because the system prefers the other two.
    blas=libopenblas-pthread-dev
    if installed libopenblas-openmp-dev; then blas=libopenblas-openmp-dev; fi
    missing=''
    for package in gcc libc6-dev "$blas" pkg-config procps; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # one word per package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

macos() {
    if ! command -v brew >/dev/null 2>&1; then
        say "Homebrew is needed to install OpenBLAS: see https://brew.sh"
        exit 1
    fi
    for formula in openblas pkgconf; do
        brew list --formula "$formula" >/dev/null 2>&1 || brew install "$formula"
    done
    say "Homebrew keeps OpenBLAS out of the default path; before cargo, run:"
    say "  export PKG_CONFIG_PATH=$(brew --prefix openblas)/lib/pkgconfig LIBRARY_PATH=$(brew --prefix openblas)/lib"
}

case "$(uname -s)" in
Linux)
    if command -v apt-get >/dev/null 2>&1; then
        debian
    else
        say "unknown Linux: install gcc, pkg-config, procps and OpenBLAS with its headers yourself if the build asks for them"
    fi
    ;;
Darwin) macos ;;
*) say "unknown system $(uname -s): install a C linker, pkg-config and OpenBLAS yourself" ;;
esac

if ! command -v cargo >/dev/null 2>&1; then
    say "Rust is missing: install it from https://rustup.rs, open a new shell and repeat"
    exit 1
fi
