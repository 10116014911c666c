#!/usr/bin/env bash
# Installs the Debian packages that are missing for: build, image (examples/image.sh), test (the whole suite),
# vm (tests/vm),
# bench (what benches/ compare with).
set -euo pipefail
wanted=()
for what in "$@"; do
  case $what in
    build) wanted+=(gcc libc6-dev libseccomp-dev make pkg-config) ;;
    image) wanted+=(mmdebstrap curl ca-certificates) ;;
    test) wanted+=(busybox-static docker-registry skopeo umoci apache2-utils iproute2 nftables redis-server
      curl procps psmisc python3 python3-venv tar gzip zstd xz-utils) ;;
    vm) wanted+=(mmdebstrap qemu-system-x86 e2fsprogs) ;;
    bench) wanted+=(busybox-static skopeo docker.io podman containernetworking-plugins crun iptables iproute2 util-linux) ;;
    *) echo "packages.sh: unknown purpose $what" >&2; exit 2 ;;
  esac
done
missing=()
for package in "${wanted[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then echo "nothing to install"; exit 0; fi
echo "installing: ${missing[*]}"
# Services of packages are not started: the tests start what they need on ports of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
