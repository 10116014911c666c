#!/usr/bin/env bash
# Runs as root in the machine that run.sh boots. Ends with "== passed" or says what failed.
set -uo pipefail
failed=0
say() { printf '== %s\n' "$*"; }
ok() { # WHAT COMMAND…
  local what=$1
  shift
  if "$@" >/tmp/out 2>&1; then say "ok: $what"; else
    say "FAILED: $what"
    cat /tmp/out
    failed=1
  fi
}
until_ok() { # WHAT COMMAND… : tried until it succeeds, for a minute
  local what=$1 n
  shift
  for n in $(seq 300); do
    if "$@" >/tmp/out 2>&1; then say "ok: $what"; return; fi
    read -rt 0.2 <> <(:)
  done
  say "FAILED: $what"
  cat /tmp/out
  failed=1
}
alloc() { stead job status -verbose machine | awk -v group="$1" 'length($1) == 36 && $5 == group { print $1; exit }'; }
pid_of() { pgrep -f "$1" | head -1; }
cgroup_of() { echo "/sys/fs/cgroup$(sed 's/^0:://' "/proc/$1/cgroup")"; }

say "$(uname -r), $(stat -f -c %T /sys/fs/cgroup) at /sys/fs/cgroup"
ok "the machine has cgroup v2" test "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs
ip link set lo up
ok "systemd starts the agent and hears that it is ready" systemctl start stead
until_ok "the node is ready" sh -c 'test -n "$(stead node status -quiet -filter "Status == \"ready\"")"'
ok "stead job run" stead job run -detach /srv/jobs.hcl
until_ok "the container answers on its published port" curl -sf http://127.0.0.1:8080/
grep -q "served inside the machine" /tmp/out || { say "FAILED: another page"; failed=1; }
web=$(alloc web)
until_ok "all that should run runs" sh -c '[ "$(stead operator api /v1/allocations | grep -o "\"ClientStatus\":\"running\"" | wc -l)" = 3 ]'

httpd=$(pid_of 'httpd -f -p 80')
cgroup=$(cgroup_of "$httpd")
say "the web server is process $httpd in $cgroup"
ok "its memory is limited" test "$(cat "$cgroup/memory.max")" = $((48 * 1024 * 1024))
ok "its processor share is set" test "$(cat "$cgroup/cpu.weight")" -ge 1
ok "its processes are limited" test "$(cat "$cgroup/pids.max")" != max
ok "a device of the list can be read" stead alloc exec "$web" /bin/head -c 1 /dev/urandom
ok "another can be made but not opened" sh -c "! stead alloc exec $web /bin/sh -c '/bin/mknod /tmp/disk b 254 0 && /bin/cat /tmp/disk'"
until_ok "a task that eats too much is ended, and people are told why" sh -c "stead alloc status $(alloc hungry) | grep -i 'OOM'"

raw=$(pid_of 'sleep 100000')
ok "tasks do not have the agent's protection" sh -c "[ \"\$(cat /proc/$httpd/oom_score_adj /proc/$raw/oom_score_adj | sort -u)\" = 0 ]"
ok "systemd restarts the agent" systemctl restart stead
until_ok "it answers again" stead node status
ok "the tasks did not notice" sh -c "[ -d /proc/$httpd ] && [ -d /proc/$raw ] && curl -sf http://127.0.0.1:8080/"
until_ok "it still counts them as running" sh -c '[ "$(stead operator api /v1/allocations | grep -o "\"ClientStatus\":\"running\"" | wc -l)" = 3 ]'
ok "logs of before" sh -c "stead alloc logs $(alloc isolated) | grep isolated"
ok "stead job stop -purge" stead job stop -detach -purge machine
until_ok "nothing runs any more" sh -c '! pgrep -f "[s]leep 100000|[h]ttpd -f"'
until_ok "it is collected" sh -c 'stead system gc && [ "$(stead operator api /v1/allocations)" = "[]" ]'
until_ok "no mount is left" sh -c '! grep -E " /(var/lib|run)/stead/" /proc/mounts'
until_ok "no network namespace is left" sh -c '[ -z "$(ls /run/stead/netns 2>/dev/null)" ]'
until_ok "no cgroup of a task is left" sh -c '[ -z "$(find /sys/fs/cgroup -type d -path "*stead*" -name "*.*-*")" ] || { find /sys/fs/cgroup -type d -path "*stead*"; false; }'
systemctl stop stead
if [ $failed = 0 ]; then say passed; else
  journalctl -u stead --no-pager | tail -n 40
  say "not passed"
fi
sync
exit 0
