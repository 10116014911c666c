#!/usr/bin/env bash
# Fuzzes one target with libFuzzer, on the stable compiler: run.sh jobspec|api|unpack [SECONDS]
# The corpus is kept under target/fuzz; it begins with what lies beside the target's name here, if anything.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1 seconds=${2:-600}
dir=${STEAD_FUZZ_DIR:-target/fuzz}
mkdir -p "$dir/corpus/$target" "$dir/found/$target"
case $target in
  jobspec) find examples tests/it -name '*.hcl' -exec cp -t "$dir/corpus/$target" {} + ;;
esac
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
# A target of its own name keeps build scripts and macros without coverage.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$flags CARGO_TARGET_DIR=$dir/build cargo build --release --manifest-path tests/fuzz/Cargo.toml --target "$host" --bin "$target"
"$dir/build/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=65536 \
  -artifact_prefix="$dir/found/$target/" "$dir/corpus/$target"
