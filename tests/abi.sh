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

# Whatever allocates goes through src/api/allocator.c: neither other functions of the C library that return memory to be
# freed, nor Jansson's texts, which are freed by what Jansson was told to use.
nm -D --undefined-only "$1" | sed 's/.* U //; s/@.*//' >"$dir/needed"
grep -q '^malloc$' "$dir/needed"
if grep -xE '(__)?(str|strn|wcs)dup|(__)?get(line|delim)|open_w?memstream|(__)?v?asprintf(_chk)?|posix_memalign|memalign|p?valloc|reallocarray|scandir(at)?(64)?|canonicalize_file_name|get_current_dir_name|tempnam|json_dumps' "$dir/needed"; then
    echo "the library calls these, whose memory does not come from its allocator"
    exit 1
fi
! grep -rnE '(realpath|getcwd) *\([^;]*NULL' "$2/src" --include='*.c'
