#!/bin/sh
# Installs what the throw-away SLURM cluster of tests/slurm needs, where that can be done: as root, with Debian's or
# Ubuntu's apt. No service is started or enabled. Where it cannot be done it says why, and the tests are skipped.
set -eu

packages="slurm-wlm slurmdbd munge mariadb-server"
policy=/usr/sbin/policy-rc.d
made_policy=

skip() {
    echo "tests of SLURM will be skipped: $1"
    exit 0
}

installed() {
    dpkg-query --show --showformat '${Status}' "$1" 2> /dev/null | grep -q '^install ok installed$'
}

# Packages start their services unless this file forbids it.
forbid_services() {
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
        made_policy=yes
    fi
}

allow_services() {
    if [ -n "$made_policy" ]; then
        rm -f "$policy"
    fi
}

if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
    if command -v slurmctld > /dev/null || [ -x /usr/sbin/slurmctld ]; then
        exit 0 # SLURM came another way; the tests see for themselves whether it is all there
    fi
    skip "no apt-get here to install $packages"
fi

wanted=
for package in $packages; do
    installed "$package" || wanted="$wanted $package"
done
if [ -z "$wanted" ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    skip "packages are missing and only root can install them:$wanted"
fi

if [ -e /etc/slurm/slurm.conf ]; then
    skip "this machine belongs to a SLURM cluster (/etc/slurm/slurm.conf), where nothing is installed:$wanted"
fi

echo "installing for the tests of SLURM:$wanted"
export DEBIAN_FRONTEND=noninteractive
trap allow_services EXIT
trap 'exit 130' INT TERM
forbid_services
log=$(mktemp)
# a fresh machine has no lists of packages yet, or old ones that name files which are gone
if ! { apt-get update && apt-get install --yes --no-install-recommends $wanted; } > "$log" 2>&1; then
    tail -n 5 "$log"
    rm -f "$log"
    skip "apt-get could not install$wanted"
fi
rm -f "$log"
if [ -d /run/systemd/system ]; then # nor shall they start at the next boot
    # shellcheck disable=SC2046 # one word each
    systemctl disable --quiet $(echo "$wanted" | sed 's/slurm-wlm/slurmd slurmctld/; s/mariadb-server/mariadb/') || true
fi
