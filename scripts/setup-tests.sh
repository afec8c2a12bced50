#!/usr/bin/env bash
# Installs what some tests need, which are skipped without, and says so. In a container: sshd (openssh-server; it starts no server) and
# iproute2. Everywhere, where there is python3: a server of S3 for the tests of object stores, the package moto with flask from PyPI, in
# target/s3-server (21 s and 140 MB). Does nothing where they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
[ -x /usr/sbin/sshd ] && command -v ssh-keygen >/dev/null || missing+=(openssh-server openssh-client)
command -v ip >/dev/null || missing+=(iproute2)
if [ ${#missing[@]} -gt 0 ]; then
    # Where systemd runs, the package would open port 22 of a machine that somebody works at.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ ! -d /run/systemd/system ]; then
        echo "setup: installing what tests need (apt-get install ${missing[*]})" >&2
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2; } ||
            echo "setup: that failed; the tests that need it are skipped" >&2
    else
        echo "setup: some tests are skipped for want of ${missing[*]}; install it if you want them" >&2
    fi
fi
if [ ! -x target/s3-server/bin/moto_server ]; then
    echo "setup: installing what tests need (pip install moto[s3] flask flask-cors, in target/s3-server)" >&2
    { python3 -m venv target/s3-server && target/s3-server/bin/pip install -q --disable-pip-version-check 'moto[s3]==5.*' flask flask-cors >&2; } || {
        echo "setup: that failed; the tests that need it are skipped" >&2
        rm -rf target/s3-server
    }
fi
