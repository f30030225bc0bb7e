#!/bin/sh
# The demonstration: a public surveillance clip to world-grounded motion, with the time it took.
# usage: tools/demo.sh [BUILD_FOLDER] [VIDEO]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
video=${2:-/usr/share/doc/opencv-doc/examples/data/vtest.avi}
if [ ! -f "$video" ] && [ -f "$video.gz" ]; then
    mkdir -p out && gunzip -c "$video.gz" >"out/$(basename "$video")"
    video=out/$(basename "$video")
fi
out=out/$(basename "$video" | sed 's/\.[^.]*$//')
start=$(date +%s)
"$build/gvhmr" run "$video" -o "$out" --side-by-side
echo "wrote $out in $(($(date +%s) - start)) s:"
ls -l "$out"
