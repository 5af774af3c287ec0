# shellcheck shell=bash
# Shared by the scripts of this folder: source it, do not run it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit
tools=$root/.tools

note() { echo "${0##*/}: $*" >&2; }
die() {
    note "$@"
    exit 1
}

# A folder for half-done work. It is inside .tools, so that mv from there is a rename.
make_scratch() {
    mkdir -p "$tools"
    scratch=$(mktemp -d "$tools/scratch.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
}

# Runs a command silently; shows what it printed only if it fails.
quietly() {
    local output
    output=$("$@" 2>&1 </dev/null) || {
        local status=$?
        printf '%s\n' "$output" >&2
        return "$status"
    }
}

# limited SECONDS COMMAND...: macOS has no `timeout`; there the command has no limit.
limited() {
    if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}

# Installs Debian packages; fails where there is no apt-get, or no right to use it.
apt_install() {
    command -v apt-get >/dev/null || return 1
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -q)
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        apt=(sudo -n "${apt[@]}")
    fi
    note "installing the Debian packages $*"
    # Without package lists of today the download may ask for a version that is gone.
    quietly "${apt[@]}" update || note "apt-get update failed; going on with the lists that are here"
    quietly "${apt[@]}" install -y --no-install-recommends "$@"
}

# cargo_tool CRATE VERSION BINARY: makes .tools/bin/BINARY that version's.
cargo_tool() {
    local crate=$1 version=$2 binary=$3
    local folder=$tools/$crate-$version
    if [ ! -x "$folder/bin/$binary" ]; then
        note "installing $crate $version (takes some minutes)"
        make_scratch
        # Optimising would take longer than all the runs of the tool together save.
        quietly env CARGO_TARGET_DIR="$scratch/target" CARGO_PROFILE_DEV_DEBUG=0 \
            cargo install "$crate" --version "=$version" --locked --debug \
            --bin "$binary" --root "$scratch/root" ||
            die "cargo install $crate failed"
        mkdir -p "$folder/bin"
        mv "$scratch/root/bin/$binary" "$folder/bin/$binary"
    fi
    local link=$tools/bin/$binary target=../$crate-$version/bin/$binary
    if [ "$(readlink "$link" || true)" != "$target" ]; then
        mkdir -p "$tools/bin"
        ln -sf "$target" "$link"
    fi
}
