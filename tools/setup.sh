#!/bin/sh
# Installs what a fresh Debian 12 lacks: build tools, libraries, the pinned models, the viewer's modules.
# Slurm and GNU parallel are for tests/spread.sh, which skips what is not there: without them it goes on.
# With --browser also Chromium (300 MB), which the viewer's test needs and otherwise skips.
# Does nothing, and needs no network, where everything is there already.
set -eu
cd "$(dirname "$0")/.."

packages="gcc g++ make meson ninja-build pkg-config ffmpeg
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
  libdnnl-dev libzip-dev libjansson-dev libexpat1-dev libavdevice-dev libwebsockets-dev libcmocka-dev nodejs npm opencv-doc ca-certificates"

[ "${1:-}" != --browser ] || packages="$packages chromium"
for_tests="slurmctld slurmd slurm-client munge parallel procps"
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
lacking() {
    for p in "$@"; do
        case $p in
        nodejs | npm) command -v "${p%js}" >/dev/null 2>&1 || echo "$p" ;;
        *) dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p" ;;
        esac
    done
}
add() {
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "$@"
}
missing=$(lacking $packages)
optional=$(lacking $for_tests)
[ -z "$missing" ] || add $missing
[ -z "$optional" ] || add $optional || echo "tools/setup.sh: without $optional; a test will be skipped"
# npm brings its own list of authorities; the system's may know one more (a company's proxy, say)
export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}"
if [ ! -f models/node_modules/@mediapipe/pose/pose_landmark_full.tflite ]; then
    (cd models && npm ci --ignore-scripts --no-audit --no-fund)
fi
if [ ! -d tests/node_modules/gltf-validator ]; then
    (cd tests && npm ci --ignore-scripts --no-audit --no-fund)
fi
if [ ! -d viewer/node_modules/three ] || [ ! -d viewer/node_modules/esbuild ]; then
    (cd viewer && npm ci --ignore-scripts --no-audit --no-fund)
fi
