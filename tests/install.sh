#!/bin/sh
# What is installed works from where it is: the program, the C example of README.md by pkg-config and against the static
# library, examples/people.c, the Python module and its examples, manual and completions.
# usage: install.sh BUILD SOURCE, or install.sh FOLDER_OF_DEBS SOURCE
set -eu
build=$1 source=$2
clip=/usr/share/doc/opencv-doc/examples/data/vtest.avi
for program in pkg-config cc ffmpeg meson; do
    command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
[ -f $clip ] || { echo "skipped: no $clip"; exit 77; }
[ -f "$source/models/node_modules/@mediapipe/pose/pose_landmark_full.tflite" ] || { echo "skipped: no models"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset GVHMR_DATA GVHMR_LIBRARY PYTHONPATH # only what was installed

if [ -d "$build/meson-private" ]; then
    meson install -C "$build" --no-rebuild --quiet --destdir "$dir/stage" >/dev/null
    prefix=$(sed -n 's/^prefix=//p' "$build/meson-private/gvhmr.pc")
else
    for package in gvhmr gvhmr-data libgvhmr0 libgvhmr-dev python3-gvhmr; do
        dpkg-deb -x "$build/${package}"_*.deb "$dir/stage"
    done
    prefix=/usr
fi
mv "$dir/stage$prefix" "$dir/moved" # found by where it is, not by where it should have been
root=$dir/moved
lib=$(dirname "$(find "$root" -name libgvhmr.so.0)")
export PKG_CONFIG_PATH="$lib/pkgconfig" LD_LIBRARY_PATH="$lib"
cd "$dir"
ffmpeg -v error -i $clip -frames:v 20 walk.mp4

echo "== the program"
"$root/bin/gvhmr" run walk.mp4 -o walk --quiet --no-video --export none --landmarks lite
[ -f walk/person-1.npz ]

echo "== C"
flags=$(pkg-config --define-variable=prefix="$root" --cflags --libs gvhmr)
block() { # the first block of a language under a heading of README.md
    sed -n "/^## In your own programs/,/^## /{/^\`\`\`$1\$/,/^\`\`\`\$/p}" "$source/README.md" | sed -e '/^```/d'
}
block c >readme.c
[ -s readme.c ]
cc -std=c99 -pedantic -Wall -Wextra -Werror readme.c $flags -o readme
./readme >readme.txt
grep -q 'person 1' readme.txt
cc -std=c99 -pedantic -Wall -Wextra -Werror "$source/examples/people.c" $flags -o people
./people walk.mp4 >people.txt
grep -q 'person 1' people.txt
if ./people absent.mp4 2>message; then exit 1; fi
grep -q absent.mp4 message
cc -std=c99 readme.c $(pkg-config --define-variable=prefix="$root" --static --cflags --libs gvhmr | sed "s|-lgvhmr|$lib/libgvhmr.a|") \
    -o static
if ldd ./static | grep -q libgvhmr; then exit 1; fi
GVHMR_DATA=$root/share/gvhmr ./static | cmp - readme.txt # of a moved tree; installed for good it is found
if command -v c++ >/dev/null; then echo '#include <gvhmr.h>' | c++ -x c++ -Wall -Werror $flags -fsyntax-only -; fi

echo "== manual and completions"
zcat -f "$(find "$root" -name 'gvhmr.1*')" >gvhmr.1
zsh=$(find "$root" -name _gvhmr)
for command in $("$root/bin/gvhmr" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    for page in gvhmr.1 "$root/share/bash-completion/completions/gvhmr.bash" "$zsh" \
        "$root/share/fish/vendor_completions.d/gvhmr.fish"; do
        grep -q "$command" "$page"
    done
done
if command -v groff >/dev/null; then [ -z "$(groff -man -ww -Tutf8 gvhmr.1 2>&1 >/dev/null)" ]; fi
if command -v bash >/dev/null; then
    got=$(bash -c '. "$1"; COMP_WORDS=(gvhmr run --sta) COMP_CWORD=2; _gvhmr; echo "${COMPREPLY[@]}"' - \
        "$root/share/bash-completion/completions/gvhmr.bash")
    [ "$got" = --static-camera ]
fi
if command -v zsh >/dev/null; then zsh -n "$zsh"; fi
if command -v fish >/dev/null; then fish -n "$root/share/fish/vendor_completions.d/gvhmr.fish"; fi

echo "== Python"
module=$(find "$root" -path '*/gvhmr/__init__.py')
python=
for p in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! $p -c 'import numpy' 2>/dev/null || python=$p
done
[ -n "$python" ] && [ -n "$module" ] || { echo "no Python with NumPy, or not installed"; exit 0; }
unset LD_LIBRARY_PATH
PYTHONPATH=$(dirname "$(dirname "$module")")
export PYTHONPATH
version=$($python -c 'import gvhmr; print(gvhmr.__version__)')
grep -q "^version = \"$version\"" "$source/python/pyproject.toml"
$python -W error "$source/tests/python_check.py" walk.mp4
block python >readme.py
[ -s readme.py ]
$python -W error readme.py >readme.txt
grep -q 'person 1' readme.txt
$python -W error "$source/examples/people.py" walk.mp4 >people.txt 2>/dev/null
grep -q 'person 1' people.txt
$python -W error "$source/examples/steps.py" walk >steps.txt
grep -q 'person 1 left' steps.txt
