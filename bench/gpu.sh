#!/bin/sh
# bench/gpu.sh [BUILD]: every figure of the GPU beside PyTorch's on the same card, in one run (bench/README.md).
#
# Needs a build with CUDA, a GPU, and a Python with PyTorch 2 as PYTHON (default python3); people are those of VIDEO.
#   WEIGHTS=DIR     GVHMR's inputs/checkpoints: the whole released pipeline on VIDEO, decoded beforehand
#   MOTIONS=FILE    a motion store: making sequences, and whole steps of training at the released size
#   SEQUENCES=N     of a whole training (GVHMR: 500 epochs): the hours it would take
# What these do not give is named. What fails is named and the rest goes on; ends with 1 then, and with 77 and one line
# where there is nothing to measure on.
build=${1:-build} python=${PYTHON:-python3} video=${VIDEO:-../shared/data/videos/tennis.mp4} failed=
cd "$(dirname "$0")/.." || exit 1
why=$("$build/bench/bench_train" 8 1 1 1 1 0 cuda 2>&1 >/dev/null) || {
    echo "bench/gpu.sh: nothing was measured: ${why#bench_train: }"
    exit 77
}
models=$(mktemp -d) || exit 1
trap 'rm -rf "$models"' EXIT

try() {
    printf '\n== %s\n' "$*"
    "$@" || failed="$failed
  $*"
}
without() { printf '\n== not measured: %s\n' "$*"; }

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
try $python bench/peer_vit.py --make "$models"
try $python bench/peer_vit.py --run "$models" --binary "$build/bench/bench_vit" --device cuda --bf16 --batch 32 --runs 5
try $python bench/peer_vit.py --run "$models" --binary "$build/bench/bench_vit" --device cuda --batch 32
try "$build/bench/bench_vit" --device cuda --bf16 --batch 64 --runs 5 "$models/vitpose.pth" # with the share of the peak
try "$build/bench/bench_vit" --network hmr2 --device cuda --bf16 --batch 64 --runs 5 "$models/hmr2.ckpt"
try $python bench/peer_network.py --binary "$build/bench/bench_network" --device cuda --lengths 120,300,1430,5000
try $python bench/peer_network.py --binary "$build/bench/bench_network" --device cuda --lengths 36000 --runs 1
try "$build/bench/bench_network" --device cuda --bf16 --frames 120,1430,36000 # with the solver and the share of the peak
try $python bench/peer_train.py --binary "$build/bench/bench_train" --device cuda --batch 256 --runs 5
try env PYTHON="$python" "$build/bench/bench_yolo" --device cuda --runs 20

# Decoding alone; then the video decoded beforehand, so that reading it is copying, through the pipeline.
try "$build/bench/bench_video" "$video"
try ffmpeg -v error -i "$video" -an -c:v rawvideo -pix_fmt yuv420p "$models/decoded.avi"
if [ -n "$WEIGHTS" ]; then
    try "$build/bench/bench_run" "$models/decoded.avi" 3 weights "$WEIGHTS" device cuda bf16 yes no-video yes
else
    without "the whole released pipeline (WEIGHTS=inputs/checkpoints); ViT-H twice with random weights instead, on BlazePose's people"
    try "$build/bench/bench_run" "$models/decoded.avi" 3 device cuda bf16 yes no-video yes \
        keypoints "$models/vitpose.pth" features "$models/hmr2.ckpt"
fi

if [ -n "$MOTIONS" ]; then
    try "$build/bench/bench_sequences" "$MOTIONS" 256 20 cuda # made there, no network beside it
    try "$build/bench/bench_sequences" "$MOTIONS" 256 20
    try "$build/gvhmr" train --data "$MOTIONS" -o "$models/training" --device cuda --width 512 --layers 12 --heads 8 \
        --batch 256 --steps 200 --log-every 50 --validate-every 1000 --save-every 1000
    rate=$(sed -n 's/.*"sequences_per_second":\([0-9.]*\).*/\1/p' "$models/training/log.jsonl" | tail -n 1)
    echo "whole steps: ${rate:-?} sequences/s, the sequences made on the GPU"
    [ -n "$rate" ] && [ -n "$SEQUENCES" ] &&
        awk -v r="$rate" -v n="$SEQUENCES" 'BEGIN { printf "%.0f sequences: %.2f h\n", n, n / r / 3600 }'
else
    without "making sequences and whole steps of training (MOTIONS=motions.gvs, docs/training.md)"
fi
[ -z "$failed" ] || { printf '\nfailed:%s\n' "$failed"; exit 1; }
