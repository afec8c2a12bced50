#!/usr/bin/env bash
# Makes `cargo build --target wasm32-wasip2` work with the rustc in use.
#
# 1. Already there: nothing to do. 2. `rustup target add`. 3. Where rustup cannot fetch it: builds the standard library from the
# sources of the same rustc, which Debian packages, with Debian's wasi-libc, and installs it into rustc's sysroot (about a minute).
#
#   GUEST_TARGET_MODE=auto|check|rustup|source   one step only (default: auto, all of them)
#   GUEST_TARGET_CACHE=DIR                       a folder that may already hold the two packages; nothing is written there
set -euo pipefail

target=wasm32-wasip2
mode=${GUEST_TARGET_MODE:-auto}
patience=${GUEST_RUSTUP_TIMEOUT:-90}

# What step 3 knows: a line for each rustc release, with its commit, the Debian package of its sources and that package's sha256.
releases='
1.95.0 59807616e1fa2540724bfbac14d7976d7e4a3860 pool/main/r/rustc/rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb 7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b
'
# The folder library/ of those sources alone, repacked: used where the cache holds it.
archives='
1.95.0 25fd5df3d485f2066466fc3ba729861c4ce264428755ec91b11ff39379d0aaf5
'
libc=pool/main/w/wasi-libc/wasi-libc_0.0~git20260129.ec0effd-3~bpo13+1_all.deb
libc_sha=45eb80a2d4dcf7fe54c8e5c5d6a3cd165a3682fccc124c46f7abc6255c9b1bce

say() { printf 'guest target: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

command -v rustc >/dev/null || die "there is no rustc; install Rust with rustup"
sysroot=$(rustc --print sysroot)
rustc=$sysroot/bin/rustc cargo=$sysroot/bin/cargo # not rustup's proxies: no toolchain file interferes
release=$("$rustc" -vV | sed -n 's/^release: //p')
commit=$("$rustc" -vV | sed -n 's/^commit-hash: //p')
installed=$sysroot/lib/rustlib/$target
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The only test that counts: does a program with the standard library link?
works() {
    echo 'fn main() { println!("{:?}", std::collections::HashMap::<String, u8>::new()) }' >"$scratch/probe.rs"
    "$rustc" --edition 2024 --target $target -o "$scratch/probe.wasm" "$scratch/probe.rs" >"$scratch/probe.log" 2>&1
}

if works; then exit 0; fi
if [ "$mode" = check ]; then
    cat "$scratch/probe.log" >&2
    die "$target is not installed for rustc $release; try: rustup target add $target"
fi
if [ -e "$installed/built-from-source" ]; then
    say "removing a $target built from source that works no longer"
    rm -rf "$installed"
fi

if [ "$mode" != source ]; then
    say "rustup target add $target (at most ${patience} s)"
    if RUSTUP_MAX_RETRIES=1 timeout "$patience" rustup target add $target >"$scratch/rustup.log" 2>&1 && works; then exit 0; fi
    say "rustup could not: $(tail -n 1 "$scratch/rustup.log")"
    [ "$mode" != rustup ] || die "$target is not installed"
fi

# ---- From the sources.
read -r _ _ source source_sha < <(awk -v r="$release" -v c="$commit" '$1 == r && $2 == c' <<<"$releases") ||
    die "no sources are known for rustc $release ($commit); install the target with: rustup target add $target"
for tool in dpkg-deb apt-get tar sha256sum flock; do
    command -v $tool >/dev/null || die "$tool is missing, and building from source needs Debian; else: rustup target add $target"
done
[ -w "$sysroot/lib/rustlib" ] || die "$sysroot/lib/rustlib is not writable for this user"

store=${XDG_CACHE_HOME:-$HOME/.cache}/placehost-guest-target
mkdir -p "$store"
exec 9>"$store/lock"
flock -w 1800 9 || die "another run holds $store/lock"
if works; then exit 0; fi

# Prints the path of a file with this name and sha256, if a cache has it.
cached() {
    local folder
    for folder in "${GUEST_TARGET_CACHE:-$store}" "$store"; do
        if [ -f "$folder/$1" ] && echo "$2  $folder/$1" | sha256sum -c --status; then
            echo "$folder/$1"
            return
        fi
    done
    return 1
}

# The mirrors that apt is set up with.
mirrors() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -- '-security' | sort -u
}

# Fetches a package into the store by apt's own downloader, and prints its path.
package() {
    local name=${1##*/} mirror
    if cached "$name" "$2"; then return; fi
    if [ -z "$(mirrors)" ]; then
        say "apt-get update (apt has no package lists yet)"
        apt-get update >"$scratch/apt.log" 2>&1 || say "apt-get update failed: $(tail -n 1 "$scratch/apt.log")"
    fi
    for mirror in $(mirrors); do
        say "fetching $name"
        rm -f "$store/$name.part"
        if /usr/lib/apt/apt-helper -o Acquire::Retries=2 download-file "${mirror%/}/$1" "$store/$name.part" "SHA256:$2" >"$scratch/get.log" 2>&1; then
            mv "$store/$name.part" "$store/$name"
            echo "$store/$name"
            return
        fi
    done
    die "could not fetch $name: gone from the mirror? Put it into a folder and name that in GUEST_TARGET_CACHE, or: rustup target add $target"
}

work=$(mktemp -d "${TMPDIR:-/var/tmp}/guest-target.XXXXXX")
trap 'rm -rf "$scratch" "$work"' EXIT
archive=rust-library-$release.tar.xz
if archive=$(cached "$archive" "$(awk -v r="$release" '$1 == r {print $2}' <<<"$archives")"); then
    tar -xJf "$archive" -C "$work" --strip-components=1 "rustc-$release/library"
else
    deb=$(package "$source" "$source_sha")
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --strip-components=4 --exclude='*/library/vendor' "./usr/src/rustc-$release/library"
fi
deb=$(package "$libc" "$libc_sha")
dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --strip-components=3 "./usr/lib/$target"

say "building the standard library for $target (about a minute)"
library=$work/library
cd "$library" # so that no configuration of cargo's applies
# What rustc's own build does: package `sysroot`, profile `dist`, the library's own lock file.
env -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER -u CARGO_BUILD_TARGET \
    RUSTC="$rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0 __CARGO_DEFAULT_LIB_METADATA=guest \
    RUSTFLAGS="-Zforce-unstable-if-unmarked --remap-path-prefix=$library=/rustc/$commit/library" \
    "$cargo" build --quiet --locked --profile dist --config profile.dist.debug=0 --target $target \
    --manifest-path "$library/sysroot/Cargo.toml" -p sysroot --features 'panic-unwind backtrace' >"$work/build.log" 2>&1 || {
    tail -n 30 "$work/build.log" >&2
    die "the standard library did not build (the end of its log is above)"
}

# Put into place whole, by a rename.
new=$sysroot/lib/rustlib/.$target.$$
mkdir -p "$new/lib/self-contained"
cp "$work/target/$target/dist/deps/"*.rlib "$new/lib/"
cp "$work/$target/"{crt1-command.o,crt1-reactor.o,libc.a} "$new/lib/self-contained/"
printf 'rustc %s %s\n' "$release" "$commit" >"$new/built-from-source"
rm -rf "$installed"
mv "$new" "$installed"
works || {
    cat "$scratch/probe.log" >&2
    die "$target was built, but a program does not link"
}
say "installed in $installed; to undo: rm -r $installed"
