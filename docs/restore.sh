#!/bin/bash
# Restores a snapshot without bladeroot: restore.sh STORE MANIFEST-ID DIRECTORY PACK-ID...
# Needs root, bash, coreutils, zstd, jq and setfattr. It is the test of docs/format.md, and slow.
set -euo pipefail
export LC_ALL=C
store=$1 id=$2 directory=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

zstd -dcq "$store/manifests/$id.zst" > "$work/manifest"
echo "$id  $work/manifest" | sha256sum --check --quiet

for pack in "$@"; do
  index=$work/index file=$store/packs/$pack.pack
  zstd -dcq "$store/packs/$pack.json.zst" > "$index"
  echo "$pack  $index" | sha256sum --check --quiet
  split --bytes=1M --filter=sha256sum "$file" | cut -c 1-64 | cmp - <(jq -r '.pieces[]' "$index")
  while read -r bytes bases; do # a frame stands alone, or is a patch on the objects that are its bases
    head --bytes="$bytes" <&3 > "$work/frame"
    if [ "$bases" = - ]; then
      zstd -dcq "$work/frame"
    else
      for base in ${bases//,/ }; do cat "$work/$base"; done > "$work/base"
      zstd -dcq --long=27 --patch-from="$work/base" "$work/frame"
    fi
  done 3< "$file" < <(jq -r '.frames[] | "\(.bytes) \((.bases // []) | map(.digest) | join(",") | if . == "" then "-" else . end)"' "$index") \
    > "$work/content"
  while read -r digest size; do
    head --bytes="$size" <&3 > "$work/$digest"
    echo "$digest  $work/$digest" | sha256sum --check --quiet
  done 3< "$work/content" < <(jq -r '.objects[] | "\(.digest) \(.size)"' "$index")
done

# One line an entry, all names in base64, as they may hold anything; "-" for what is empty.
tail --lines=+2 "$work/manifest" | jq -r '
  def name($text; $base64): $base64 // (($text // "") | @base64) | if . == "" then "-" else . end;
  def value($base64): if $base64 == "" then "0x" else "0s" + $base64 end; # setfattr sets nothing for a bare 0s
  [ name(.path; .path64), .type, .mode // "-", .uid // 0, .gid // 0, .mtime // "-", .size // 0,
    (.objects // (if .object then [{digest: .object}] else [] end) | map(.digest) | join(",") | if . == "" then "-" else . end),
    (if .data then [.data[] | join(":")] | join(",") + "," else "-" end),
    name(.target; .target64), .major // 0, .minor // 0,
    ((.xattrs // []) | map(name(.name; .name64) + ":" + value(.value64))[]) ] | join(" ")' > "$work/entries"

decode() { # into $REPLY, with trailing newlines
  [ "$1" = - ] && REPLY= && return
  REPLY=$(printf %s "$1" | base64 -d; printf .)
  REPLY=${REPLY%.}
}

content() { # of a file: its objects one after the other, with the holes between them that a sparse file has
  : > "$4"
  [ "$2" = - ] || truncate --size="$3" "$4"
  [ "$1" != - ] || return 0
  for object in ${1//,/ }; do cat "$work/$object"; done > "$work/data"
  if [ "$2" = - ]; then cp "$work/data" "$4"; return; fi
  from=0
  for extent in ${2//,/ }; do
    dd if="$work/data" of="$4" bs=1M skip="$from" seek="${extent%:*}" count="${extent#*:}" conv=notrunc \
      iflag=skip_bytes,count_bytes oflag=seek_bytes status=none
    from=$((from + ${extent#*:}))
  done
}

make() { # the things themselves, of the given types
  while read -r path type mode uid gid mtime size objects data target major minor xattrs; do
    [[ " $* " = *" $type "* ]] || continue
    decode "$target"; to=$REPLY
    decode "$path"; at=$directory/$REPLY
    case $type in
      dir) mkdir -p "$at" ;;
      file) content "$objects" "$data" "$size" "$at" ;;
      symlink) ln -s "$to" "$at" ;;
      hardlink) ln "$directory/$to" "$at" ;;
      char) mknod "$at" c "$major" "$minor" ;;
      block) mknod "$at" b "$major" "$minor" ;;
      fifo) mkfifo "$at" ;;
    esac
  done < "$work/entries"
}

describe() { # what is said about them: owner first, as a change of owner clears the rest
  while read -r path type mode uid gid mtime size objects data target major minor xattrs; do
    [ "$type" != hardlink ] || continue
    decode "$path"; at=$directory/$REPLY
    chown -h "$uid:$gid" "$at"
    [ "$type" = symlink ] || chmod "$mode" "$at"
    for xattr in $xattrs; do
      decode "${xattr%%:*}"
      setfattr -h -n "$REPLY" -v "${xattr#*:}" "$at"
    done
    touch -h -d "@$mtime" "$at"
  done
}

make dir
make file symlink char block fifo
make hardlink
describe < "$work/entries"
