#!/usr/bin/env bash
# Makes an OCI image layout from Debian packages, without a registry and without internet beyond Debian's mirror.
#
#   image.sh OUT_DIR TAG FILES_DIR ENTRYPOINT_JSON PACKAGE…
#
# The layers: the packages with all they need, unpacked; and the tree under FILES_DIR on top of it.
set -euo pipefail
out=$1 tag=$2 files=$3 entrypoint=$4
shift 4
mkdir -p "$out/blobs/sha256"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sources=()
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
  if [ -s "$list" ]; then sources+=("$list"); fi
done
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mmdebstrap --quiet --variant=extract --include="$(IFS=,; echo "$*")" "$suite" "$work/packages.tar" "${sources[@]}"
tar --create --file "$work/files.tar" --directory "$files" --owner=0 --group=0 --numeric-owner .

# Puts a file among the blobs and prints its descriptor.
blob() { # FILE MEDIA_TYPE
  local digest size
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  size=$(stat --format=%s "$1")
  cp "$1" "$out/blobs/sha256/$digest"
  printf '{"mediaType":"%s","digest":"sha256:%s","size":%s}' "$2" "$digest" "$size"
}

layer=application/vnd.oci.image.layer.v1.tar
packages=$(blob "$work/packages.tar" $layer)
tree=$(blob "$work/files.tar" $layer)
diff_ids=$(printf '"sha256:%s","sha256:%s"' \
  "$(sha256sum "$work/packages.tar" | cut -d' ' -f1)" "$(sha256sum "$work/files.tar" | cut -d' ' -f1)")
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=%s"],"Entrypoint":%s},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
  "$arch" "$path" "$entrypoint" "$diff_ids" >"$work/config.json"
config=$(blob "$work/config.json" application/vnd.oci.image.config.v1+json)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s,%s]}' \
  "$config" "$packages" "$tree" >"$work/manifest.json"
manifest=$(blob "$work/manifest.json" application/vnd.oci.image.manifest.v1+json)
printf '{"schemaVersion":2,"manifests":[%s]}' \
  "${manifest%\}},\"annotations\":{\"org.opencontainers.image.ref.name\":\"$tag\"}}" >"$out/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$out/oci-layout"
