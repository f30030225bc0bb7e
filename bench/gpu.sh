#!/bin/sh
# bench/gpu.sh [BUILD]: every figure of the GPU beside PyTorch's on the same card, in one run (bench/README.md).
#
# Needs a build with CUDA, a GPU, and a Python with PyTorch 2 as PYTHON (default python3); people are those of VIDEO.
# What fails is named and the rest goes on; ends with 1 then.
build=${1:-build} python=${PYTHON:-python3} video=${VIDEO:-../shared/data/videos/tennis.mp4} failed=
cd "$(dirname "$0")/.." || exit 1
models=$(mktemp -d) || exit 1
trap 'rm -rf "$models"' EXIT

try() {
    printf '\n== %s\n' "$*"
    "$@" || failed="$failed
  $*"
}
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || exit 1
try $python bench/peer_vit.py --make "$models"
try $python bench/peer_vit.py --run "$models" --binary "$build/bench/bench_vit" --device cuda --bf16 --batch 32 --runs 5
try $python bench/peer_vit.py --run "$models" --binary "$build/bench/bench_vit" --device cuda --batch 32
try $python bench/peer_network.py --binary "$build/bench/bench_network" --device cuda --lengths 120,300,1430,5000
try $python bench/peer_train.py --binary "$build/bench/bench_train" --device cuda --batch 256 --runs 5
try "$build/bench/bench_network" --device cuda --bf16 --frames 120,1430,36000
try env PYTHON="$python" "$build/bench/bench_yolo" --device cuda --runs 20
# Perception per frame, ViT-H twice with random weights on the people that BlazePose finds: "keypoints", "features";
# "observe" holds the decoder and the camera, too.
try "$build/bench/bench_run" "$video" 3 device cuda bf16 yes no-video yes \
    keypoints "$models/vitpose.pth" features "$models/hmr2.ckpt"
[ -z "$failed" ] || { printf '\nfailed:%s\n' "$failed"; exit 1; }
