#!/bin/sh
# Many videos on a cluster: a job array over the shards of `gvhmr batch`, and a job that puts together what they did.
#
#   tools/slurm/batch.sh [-n SHARDS] [-r RETRIES] LIST DIR [options of gvhmr batch]
#
# prints the number of the last job; when that has ended all has, with status 0 if every video is done, and DIR/report.json
# says what became of each. 8 shards and one retry by default. LIST, DIR and the videos must have the same names on all
# nodes. Partition, time and the like come from sbatch's own variables (SBATCH_PARTITION, SBATCH_TIMELIMIT ...), the
# processors of a shard from GVHMR_CPUS (2), the program from GVHMR (gvhmr in the PATH). What the jobs say is in
# DIR/slurm-JOB.log.
#
# The shards of a node that fails are given to another one by Slurm. Shards that end otherwise before their time (memory,
# time limit) and videos that failed have their turn in the retry, which is cancelled where nothing is left to do. What
# is done stays done. A shard whose lost node may still be at work waits for it.
set -eu

# Inside a job: job KIND ROUND SHARDS LIST DIR [options]
job() {
    kind=$1 round=$2 shards=$3 list=$4 dir=$5
    shift 5
    if [ "$kind" = merge ]; then
        exec "${GVHMR:-gvhmr}" batch "$list" -o "$dir" --report "$@"
    fi
    retry=
    [ "$round" = 0 ] || retry=--retry
    status=75
    while [ $status = 75 ]; do # somebody else is at work on it
        status=0
        "${GVHMR:-gvhmr}" batch "$list" -o "$dir" --shard "$SLURM_ARRAY_TASK_ID/$shards" $retry --quiet \
            --threads "${SLURM_CPUS_PER_TASK:-2}" "$@" || status=$?
        [ $status != 75 ] || sleep 10
    done
    exit $status
}

if [ "${1:-}" = --job ]; then
    shift
    job "$@"
fi

shards=8 retries=1
while getopts n:r: option; do
    case $option in
    n) shards=$OPTARG ;;
    r) retries=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -lt 2 ]; then
    echo "usage: $0 [-n SHARDS] [-r RETRIES] LIST DIR [options of gvhmr batch]" >&2
    exit 2
fi
mkdir -p "$2"

submit() { # sbatch's options
    sbatch --parsable --requeue --open-mode=append --kill-on-invalid-dep=yes "$@" | cut -d';' -f1
}

after= round=0
while [ "$round" -le "$retries" ]; do
    array=$(submit $after --job-name=gvhmr --array=1-"$shards" --cpus-per-task="${GVHMR_CPUS:-2}" \
        --output="$2/slurm-%A-%a.log" "$0" --job shard $round "$shards" "$@")
    merge=$(submit --job-name=gvhmr-merge --dependency=afterany:"$array" --cpus-per-task=1 \
        --output="$2/slurm-%j.log" "$0" --job merge $round "$shards" "$@")
    after=--dependency=afternotok:$merge
    round=$((round + 1))
done
echo "$merge"
