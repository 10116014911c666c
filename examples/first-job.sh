#!/usr/bin/env bash
# Builds stead, runs examples/first-job.hcl on an agent of its own, shows what it does, and leaves the machine
# as it was. Needs root (containers and networks are made) and a Rust toolchain; installs what else is missing.
# STEAD=/path/to/stead uses a binary that is there instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
pause() { read -rt 0.05 <> <(:) || true; }
[ "$(id -u)" = 0 ] || { echo "run this as root: it makes containers and networks" >&2; exit 1; }

say "what is missing"
bash tests/packages.sh build image

if [ -z "${STEAD:-}" ]; then
  say "build (the first time takes some minutes)"
  cargo build --release --bin stead
  STEAD=${CARGO_TARGET_DIR:-target}/release/stead
fi

work=$(mktemp -d)
agent=
finish() {
  code=$?
  if [ -n "$agent" ] && kill -0 "$agent" 2>/dev/null; then
    "$STEAD" job stop -purge first-job >/dev/null 2>&1 || true
    kill -TERM "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
  fi
  if [ "$code" != 0 ] && [ -s "$work/agent.log" ]; then tail -n 40 "$work/agent.log" >&2; fi
  rm -rf "$work"
}
trap finish EXIT

say "an image from Debian packages: nginx with one page"
mkdir -p "$work/files/etc/nginx" "$work/files/srv" "$work/files/var/log/nginx" \
  "$work/files/var/lib/nginx" "$work/files/run"
echo "Served by nginx in a container that stead runs." >"$work/files/srv/index.html"
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$work/files/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$work/files/etc/group"
cat >"$work/files/etc/nginx/nginx.conf" <<'NGINX'
user nobody nogroup;
worker_processes 1;
error_log /dev/stderr;
events {}
http {
  access_log /dev/stdout;
  server { listen 80; listen [::]:80; root /srv; }
}
NGINX
chmod -R go+rX "$work/files"
bash examples/image.sh "$work/image" web "$work/files" '["/usr/sbin/nginx","-g","daemon off;"]' nginx-light

say "an agent: server and client in one"
cat >"$work/agent.hcl" <<CONFIG
data_dir = "$work/data"
server { enabled = true }
client { enabled = true }
CONFIG
"$STEAD" agent -config "$work/agent.hcl" >"$work/agent.log" 2>&1 &
agent=$!
until [ -n "$("$STEAD" node status -quiet -filter 'Status == "ready"' 2>/dev/null)" ]; do
  kill -0 "$agent" 2>/dev/null || { echo "the agent ended" >&2; exit 1; }
  pause
done

say "stead job run"
"$STEAD" job run -var "image=oci:$work/image:web" examples/first-job.hcl
allocation() { # GROUP: the id of its allocation
  "$STEAD" job status -verbose first-job | awk -v group="$1" 'length($1) == 36 && $5 == group { print $1; exit }'
}
web=$(allocation web)
greeting=$(allocation greeting)
until "$STEAD" alloc status "$greeting" | grep -q '^Client Status *= complete'; do pause; done
until curl -sf -o /dev/null http://127.0.0.1:8080/; do pause; done

say "curl http://127.0.0.1:8080/"
curl -sS http://127.0.0.1:8080/

say "stead job status first-job"
"$STEAD" job status first-job

say "stead alloc status ${web:0:8}"
"$STEAD" alloc status "$web"

say "stead alloc logs ${greeting:0:8}"
"$STEAD" alloc logs "$greeting"

say "stead alloc logs ${web:0:8}"
"$STEAD" alloc logs "$web"

say "stead job stop -purge first-job"
"$STEAD" job stop -purge first-job
until ! "$STEAD" operator api /v1/allocations | grep -qE '"ClientStatus":"(running|pending)"'; do pause; done
"$STEAD" system gc
kill -TERM "$agent"
wait "$agent" || true
agent=

say "done: the agent has ended and nothing is left"
