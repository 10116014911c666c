#!/usr/bin/env bash
# Boots a real Debian 12 (systemd, cgroup v2) and tries stead in it: tests/vm/inside.sh runs as root within.
#
#   run.sh [STEAD_BINARY]     without one, `cargo build --release` makes it
#
# Needs root (to make the disk), mmdebstrap, qemu-system-x86_64 and about 2 GiB of disk. Nothing is kept but the
# disk's base, under target/vm. No network: the machine has only its loopback.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "run this as root: it makes a disk with device nodes and owners" >&2; exit 1; }
bash tests/packages.sh build image vm
stead=${1:-}
if [ -z "$stead" ]; then
  cargo build --release --bin stead
  stead=${CARGO_TARGET_DIR:-target}/release/stead
fi
keep=${STEAD_VM_DIR:-target/vm}
mkdir -p "$keep"
base=$keep/debian-12.tar
packages=systemd-sysv,dbus,linux-image-cloud-amd64,nftables,iproute2,curl,procps,busybox-static
if [ ! -s "$base" ] || [ "$(cat "$base.packages" 2>/dev/null)" != "$packages" ]; then
  echo "making a Debian 12 (once)"
  sources=()
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
    if [ -s "$list" ]; then sources+=("$list"); fi
  done
  mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$keep/new.tar" "${sources[@]}"
  mv "$keep/new.tar" "$base"
  echo "$packages" >"$base.packages"
fi

work=$(mktemp -d)
qemu=
finish() {
  if [ -n "$qemu" ] && kill -0 "$qemu" 2>/dev/null; then kill "$qemu"; fi
  rm -rf "$work"
}
trap finish EXIT
root=$work/root
mkdir "$root"
tar --extract --numeric-owner --xattrs --file "$base" --directory "$root"
install -m 755 "$stead" "$root/usr/local/bin/stead"
install -m 755 tests/vm/inside.sh "$root/usr/local/bin/inside.sh"
install -D -m 644 tests/vm/jobs.hcl "$root/srv/jobs.hcl"
install -m 644 tests/vm/agent.hcl "$root/srv/agent.hcl"
install -m 644 tests/vm/stead.service tests/vm/inside.service "$root/etc/systemd/system/"
ln -s /etc/systemd/system/inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
ln -s /dev/null "$root/etc/systemd/system/serial-getty@ttyS0.service"
mkdir -p "$work/files/bin" "$work/files/www"
for name in sh httpd sleep cat mknod dd id head; do ln -s busybox "$work/files/bin/$name"; done
echo "served inside the machine" >"$work/files/www/index.html"
chmod -R go+rX "$work/files"
bash examples/image.sh "$root/srv/image" web "$work/files" '["/bin/sh"]' busybox-static

kernel=$(ls "$root"/boot/vmlinuz-*)
initrd=$(ls "$root"/boot/initrd.img-*)
cp "$kernel" "$work/vmlinuz"
cp "$initrd" "$work/initrd"
truncate --size=2G "$work/disk"
mkfs.ext4 -q -d "$root" "$work/disk"
rm -rf "$root"
echo "booting"
qemu-system-x86_64 -machine accel=tcg -cpu max -smp 2 -m 2048 -nographic -no-reboot -nic none \
  -kernel "$work/vmlinuz" -initrd "$work/initrd" -drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" \
  -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 systemd.show_status=0" \
  </dev/null >"$work/console" 2>&1 &
qemu=$!
# The machine turns itself off; one that hangs is turned off.
if ! timeout 600 tail --pid="$qemu" -f /dev/null; then echo "the machine did not end within ten minutes" >&2; fi
sed -n '/^== /,$p' "$work/console" | tr -d '\r'
grep -q '^== passed' "$work/console" || { tail -n 60 "$work/console" >&2; exit 1; }
