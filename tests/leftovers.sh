#!/usr/bin/env bash
# Prints what stead could have left on this machine, one thing a line. The suite compares before and after.
set -u
grep -E 'stead|overlay .*(alloc|layers)' /proc/mounts | cut -d' ' -f2 | sed 's/^/mount /'
ls /run/netns /run/stead/netns 2>/dev/null | grep -v ':$' | grep . | sed 's/^/netns /'
ip -o link 2>/dev/null | awk -F': ' '{print $2}' | cut -d@ -f1 | grep -E '^(veth|stead|vs)' | sed 's/^/link /'
find /sys/fs/cgroup -maxdepth 4 -type d -name '*stead*' 2>/dev/null | sed 's/^/cgroup /'
nft list tables 2>/dev/null | grep -E 'stead' | sed 's/^/nft /'
for dir in /proc/[0-9]*; do
  { exe=$(readlink "$dir/exe") && [ "${exe##*/}" = stead ] && echo "process ${dir#/proc/} $(tr '\0' ' ' <"$dir/cmdline")"; } 2>/dev/null
done
find /var/lib/stead /run/stead -mindepth 1 2>/dev/null | sed 's/^/file /'
exit 0
