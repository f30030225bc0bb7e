#!/bin/sh
# The viewer of a real two-person result in headless Chromium: tests/viewer.sh PROGRAM SHARED_FOLDER [PICTURES]
# Exit status 77 (skipped) where the clip, Node, Chromium, Playwright or the built viewer is not there.
set -eu
program=$1
clip=$2/data/videos/two-people.mp4
here=$(dirname "$0")
skip() {
    echo "skipped: no $1"
    exit 77
}
[ -r "$clip" ] || skip "$clip"
command -v node >/dev/null || skip node
[ -x "${GVHMR_CHROMIUM:-/usr/bin/chromium}" ] || skip "chromium (tools/setup.sh --browser installs it)"
[ -d "$here/../viewer/node_modules/playwright-core" ] || skip playwright-core
[ -r "$(dirname "$program")/viewer-template.html" ] || skip "built viewer"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" run "$clip" -o "$folder" --quiet
GVHMR_PROGRAM=$program node "$here/../viewer/test/page.mjs" "$folder" ${3:+"$3"}

# the camera's view through a lens that bends: the same people, told to have been filmed with one
bent=$folder/bent
echo '{"fx": 1600, "fy": 1600, "cx": 540, "cy": 960, "distortion": [-0.35, 0.08, 0.004, -0.003, 0.01], "width": 1080, "height": 1920}' >"$folder/lens.json"
"$program" run "$clip" -o "$bent" --quiet --no-video --export none --cache "$folder/cache" --intrinsics "$folder/lens.json"
"$program" view "$bent" --no-video --quiet
GVHMR_LENS=1 node "$here/../viewer/test/page.mjs" "$bent" ${3:+"$3"}
