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
