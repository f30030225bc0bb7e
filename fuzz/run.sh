#!/bin/sh
# Runs fuzz targets in turns, at the lowest priority (or NICE), and keeps count.
#
#     fuzz/run.sh BUILD DIR SECONDS [TARGET...]     (default: all targets)
#
# BUILD has them (fuzz/meson.build). SECONDS of processor time are for each target, those of earlier runs counted, in
# turns of a minute by the clock (or TURN seconds); a finding ends its target. What they find new is kept in
# DIR/corpus/TARGET, so that the next run goes on from there; inputs that end a target in DIR/findings. DIR/log gets a
# line a turn: target, executions, seconds of processor time, findings. The sums are printed at the end, also where it
# is ended by a signal.
set -u
[ $# -ge 3 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
mkdir -p "$2" && cd "$2" || exit 1
seconds=$3
shift 3
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/fuzz_\(.*\)\.c/\1/')
turn=${TURN:-60}
left() { # whole seconds that the target has yet to run, at most a turn; 0 after a finding
    awk -v t="$1" -v all="$seconds" -v turn="$turn" '$1 == t {s += $3; f = $4} END {n = all - s; n = n > turn ? turn : n
        print (n < 1 || f) ? 0 : int(n)}' log
}
sums() {
    awk '{n[$1] += $2; s[$1] += $3; f[$1] = $4} END {for (t in n) printf "| %s | %d | %.0f |%s\n", t, n[t], s[t],
        f[t] ? " findings: " f[t] : ""}' log | sort
}
trap 'exit 1' INT TERM
trap sums EXIT
touch log
more=1
while [ "$more" = 1 ]; do
    more=0
    for t; do
        n=$(left "$t")
        [ "$n" -gt 0 ] || continue
        mkdir -p "corpus/$t" findings
        seeds="$here/corpus/$t"
        [ -d "$seeds" ] || seeds=
        OMP_NUM_THREADS=1 nice -n "${NICE:-19}" sh -c 'n=$1; shift; "$@" >"last-$n" 2>&1; times >"times-$n"' sh "$t" \
            "$build/fuzz/fuzz_$t" -max_len=65536 -timeout=60 -report_slow_units=60 -rss_limit_mb=3000 \
            -max_total_time="$n" -print_final_stats=1 -artifact_prefix="findings/$t-" "corpus/$t" $seeds
        runs=$(awk '/number_of_executed_units/ {print $2}' "last-$t")
        used=$(awk 'NR == 2 {split($1, a, /[ms]/); split($2, b, /[ms]/); print (a[1] + b[1]) * 60 + a[2] + b[2]}' \
            "times-$t")
        found=$(find findings -name "$t-*" | wc -l)
        echo "$t ${runs:-0} $used $found" >>log
        rm -f "times-$t"
        [ "${runs:-0}" -gt 0 ] && more=1 # else it could not be started
    done
done
