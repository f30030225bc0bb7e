#!/bin/sh
# The shared library's symbols are those that were promised (debian/libgvhmr0.symbols), and those of the header.
# usage: abi.sh LIBRARY SOURCE
set -eu
command -v nm >/dev/null || { echo "skipped: no nm"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
nm -D --defined-only "$1" | sed -n 's/.* [A-Z] \([a-z_]*\)@@*\(GVHMR_.*\)/\1@\2/p' | sort >"$dir/there"
nm -D --defined-only "$1" | grep -v ' A ' | wc -l >"$dir/number"
sed -n 's/^ \([a-z_]*@GVHMR_[^ ]*\) .*/\1/p' "$2/debian/libgvhmr0.symbols" | sort >"$dir/promised"
sed -n 's/^GVHMR_API.*[ *]\(gvhmr_[a-z_]*\)(.*/\1/p' "$2/include/gvhmr.h" | sort >"$dir/declared"
diff -u "$dir/promised" "$dir/there"
sed 's/@.*//' "$dir/there" | diff -u "$dir/declared" -
[ "$(cat "$dir/number")" -eq "$(wc -l <"$dir/there")" ] # and nothing else
readelf -d "$1" | grep -q 'SONAME.*\[libgvhmr\.so\.0\]'
