#!/bin/sh
# Many short clips with broken ones among them, done undisturbed; by a batch that is killed again and again at random; by
# GNU parallel; and by Slurm with two nodes' daemons on this machine, one of them killed with its job in the middle. The
# results must be the same, each broken clip with its reason, and nothing half-written.
#
#   spread.sh PROGRAM SOURCE [CLIPS [BROKEN [KILLS [VIDEO]]]]      status 77: skipped
#
# The clips are cut from seconds 22 to 70 of VIDEO, where somebody must be in view, and be seen, all the time.
set -eu
program=$1 source=$2 clips=${3:-6} broken=${4:-2} kills=${5:-1}
video=${6:-/usr/share/doc/opencv-doc/examples/data/vtest.avi} crop=null
[ $# -ge 6 ] || crop=crop=520:432:128:100
command -v ffmpeg >/dev/null || { echo "skipped: no ffmpeg"; exit 77; }
[ -f $video ] || { echo "skipped: no $video"; exit 77; }
dir=$(mktemp -d)
chmod 755 "$dir" # munged looks whether others could write
name=$dir/slurm

stop_daemons() {
    for pid in $(cat "$name"/*.pid 2>/dev/null); do kill "$pid" 2>/dev/null || :; done
    kill_node one
    kill_node two
}
descendants() {
    for p in $(pgrep -P "$1"); do
        descendants "$p"
        echo "$p"
    done
}
kill_node() { # the daemon, the step, the script, the program
    steps=$(pgrep -f "^/bin/sh $name/spool-$1/" || :)
    for p in $(cat "$name/slurmd-$1.pid" 2>/dev/null) $steps; do
        kill -9 $(ps -o ppid= "$p" | grep -vw 1) $(descendants "$p") "$p" 2>/dev/null || :
    done
    rm -f "$name/slurmd-$1.pid"
}
trap 'stop_daemons; rm -rf "$dir" 2>/dev/null || { sleep 2; rm -rf "$dir"; }' EXIT
trap 'exit 1' INT TERM HUP
fail() {
    echo "failed: $*"
    exit 1
}

cd "$dir"
i=0
while [ $i -lt "$clips" ]; do
    clip=clip-$i.mp4
    kind=$((i * broken / clips)) # spread evenly
    if [ $(((i + 1) * broken / clips)) -gt $kind ]; then
        case $((kind % 5)) in
        0) echo "not a video" >$clip ;;
        1) : >$clip ;;
        2) head -c 3000 /dev/urandom >$clip ;;
        3) ;; # missing
        4) tail -c 4000 clip-$((i - 1)).mp4 >$clip ;;
        esac
    else
        ms=$((22000 + i * 48000 / clips))
        ffmpeg -v error -ss ${ms}ms -i $video -an -frames:v 11 \
            -vf $crop -c:v libx264 -preset ultrafast -pix_fmt yuv420p $clip </dev/null
    fi
    echo $clip
    i=$((i + 1))
done >list.txt
options="--no-video --export none --landmarks lite"
good=$((clips - broken))

check() { # FOLDER: whole, and as undisturbed
    for item in "\"count\": $clips" "\"done\": $good" "\"failed\": $broken" '"open": 0'; do
        grep -q "^ $item,\$" "$1/report.json" || fail "$1/report.json: expected $item: $(head -5 "$1/report.json"
                grep -o '"reason": ".*"' "$1/report.json")"
    done
    [ "$(grep -c '"reason": ".\{10\}' "$1/report.json")" = "$broken" ] || fail "$1/report.json: reasons are missing"
    [ -z "$(find "$1" -name '.tmp*')" ] || fail "$1: $(find "$1" -name '.tmp*')"
    files=$(cd calm && find . -name '*.npz' | sort)
    [ "$files" = "$(cd "$1" && find . -name '*.npz' | sort)" ] || fail "$1 has other files than calm"
    for f in $files; do cmp "calm/$f" "$1/$f" || fail "$1/$f differs"; done
    echo "  $(grep -c '"state": "done"' "$1/report.json") done, $(grep -c '"reason": "' "$1/report.json") with a reason," \
        "$(echo "$files" | wc -l) motions identical, no temporary file"
}

seconds() { date +%s.%N; }
since() { awk "BEGIN { print $(seconds) - $1 }"; }

start=$(seconds)
"$program" batch list.txt -o calm $options --quiet && fail "broken clips, and status 0"
calm=$(since "$start")
echo "undisturbed: $calm s"
check calm

# a killed batch goes on; the naps are such that most of them end before the batch does
done=0 seed=$$
while :; do
    "$program" batch list.txt -o wild $options --quiet 2>/dev/null &
    pid=$!
    seed=$((seed + 1))
    [ $done -lt "$kills" ] || break
    sleep "$(awk "BEGIN { srand($seed); print (0.2 + 1.2 * rand()) * $calm / ($kills + 1) }")"
    kill -9 $pid 2>/dev/null || break # it has got through
    wait $pid 2>/dev/null || :
    done=$((done + 1))
done
wait $pid || :
echo "killed $done times by SIGKILL:"
[ $done -gt 0 ] || fail "it was not killed"
check wild

# ---- GNU parallel

if command -v parallel >/dev/null && [ -z "${GVHMR_NO_PARALLEL:-}" ]; then
    seq 3 | PARALLEL_HOME="$dir" OMP_NUM_THREADS=1 parallel -j 2 --will-cite "$program" batch list.txt -o parallel \
        --shard '{}/3' $options --quiet 2>/dev/null || :
    "$program" batch list.txt -o parallel $options --report --quiet || :
    echo "3 shards by GNU parallel:"
    check parallel
else
    echo "GNU parallel is not there: left out"
fi

# ---- Slurm

PATH=$PATH:/usr/sbin:/sbin
for p in munged slurmctld slurmd sbatch squeue pgrep; do
    command -v $p >/dev/null || { echo "skipped: no $p (tools/setup.sh --slurm)"; exit 77; }
done
me=$(id -un) host=$(hostname) port=$((20000 + $$ % 10000))
mkdir -p "$name/state" "$name/spool-one" "$name/spool-two"
(umask 077 && head -c 64 /dev/urandom >"$name/key")
munged --force --socket="$name/munge.sock" --key-file="$name/key" --pid-file="$name/munge.pid" \
    --log-file="$name/munge.log" --seed-file="$name/munge.seed" --num-threads=2 2>/dev/null
cat >"$name/slurm.conf" <<EOF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$name/munge.sock,cred_expire=5
SlurmUser=$me
SlurmdUser=$me
StateSaveLocation=$name/state
SlurmdSpoolDir=$name/spool-%n
SlurmctldPidFile=$name/slurmctld.pid
SlurmdPidFile=$name/slurmd-%n.pid
SlurmctldLogFile=$name/slurmctld.log
SlurmdLogFile=$name/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=4
MessageTimeout=2
TCPTimeout=1
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 RealMemory=500
NodeName=two NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 RealMemory=500
PartitionName=all Nodes=one,two Default=YES MaxTime=INFINITE State=UP
EOF
export SLURM_CONF="$name/slurm.conf"
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF" -N one
slurmd -f "$SLURM_CONF" -N two

# node two is lost while it works, after a part of what there is to do: there the program stands still from then on, so that
# its job cannot end before, however fast the machine is
cat >"$name/gvhmr" <<EOF
#!/bin/sh
[ "\$SLURMD_NODENAME" = two ] || exec "$program" "\$@"
"$program" "\$@" &
while kill -0 \$! 2>/dev/null && [ "\$(find spread -name BATCH.json | wc -l)" -le $((clips / 4)) ]; do sleep 0.05; done
kill -STOP \$! 2>/dev/null
touch "$name/caught"
exec sleep 1000
EOF
chmod 755 "$name/gvhmr"

start=$(seconds)
last=$(GVHMR=$name/gvhmr "$source/tools/slurm/batch.sh" -n 4 -r 1 list.txt spread $options)
waits() { squeue --noheader --job "$last" 2>/dev/null | grep -q .; }
patience=$(awk "BEGIN { print int(120 + 10 * $calm) }")
tick() { # REASON
    sleep 0.2
    [ "$(awk "BEGIN { print ($(since "$start") > $patience) }")" = 0 ] || fail "$1: $(squeue; tail -n 20 "$name"/*.log)"
}
while ! [ -e "$name/caught" ]; do tick "node two does not work"; done
kill_node two
echo "node two killed with its job after $(find spread -name BATCH.json | wc -l) of $clips clips;" \
    "$(find spread -name '.tmp*' | wc -l) half-written files"
while waits; do tick "the jobs do not end"; done
grep -q 'requeue job .* due to failure of node two' "$name/slurmctld.log" || fail "no job was started again"
echo "4 shards by Slurm, a node lost: $(since "$start") s"
check spread
