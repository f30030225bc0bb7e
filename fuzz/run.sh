#!/bin/sh
# Runs fuzz targets one after another, at the lowest priority (or NICE), and keeps count.
#
#     fuzz/run.sh BUILD DIR SECONDS [TARGET...]     (default: all targets)
#
# BUILD has them (fuzz/meson.build). What they find new is kept in DIR/corpus/TARGET, so that the next run goes on from
# there; inputs that end a target in DIR/findings. DIR/log gets a line a run: target, executions, seconds of processor
# time, findings. The sums are printed at the end.
set -u
[ $# -ge 3 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
mkdir -p "$2" && cd "$2" || exit 1
seconds=$3
shift 3
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/fuzz_\(.*\)\.c/\1/')
for t; do
    mkdir -p "corpus/$t" findings
    seeds="$here/corpus/$t"
    [ -d "$seeds" ] || seeds=
    OMP_NUM_THREADS=1 nice -n "${NICE:-19}" sh -c 'n=$1; shift; "$@" >"last-$n" 2>&1; times >"times-$n"' sh "$t" \
        "$build/fuzz/fuzz_$t" -max_len=65536 -timeout=60 -rss_limit_mb=3000 -max_total_time="$seconds" \
        -print_final_stats=1 -artifact_prefix="findings/$t-" "corpus/$t" $seeds
    runs=$(awk '/number_of_executed_units/ {print $2}' "last-$t")
    used=$(awk 'NR == 2 {split($1, a, /[ms]/); split($2, b, /[ms]/); print (a[1] + b[1]) * 60 + a[2] + b[2]}' "times-$t")
    found=$(find findings -name "$t-*" | wc -l)
    echo "$t ${runs:-0} $used $found" >>log
    rm -f "times-$t"
done
awk '{n[$1] += $2; s[$1] += $3; f[$1] = $4} END {for (t in n) printf "| %s | %d | %.0f |%s\n", t, n[t], s[t],
    f[t] ? " findings: " f[t] : ""}' log | sort
