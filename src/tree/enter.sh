#!/bin/sh
# Runs a command in a tree, in the mount and PID namespace that src/tree/enter.ts has made for it.
# All that is mounted here goes with the namespace, whatever the command does and however it ends.
#   enter.sh TREE COMMAND [ARGUMENT...]
set -eu
tree=$1
shift

mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"

mount -t tmpfs -o mode=755,size=64k dev "$tree/dev"
for device in null zero full random urandom tty; do
  : > "$tree/dev/$device"
  mount --bind "/dev/$device" "$tree/dev/$device"
done
mkdir "$tree/dev/pts" "$tree/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$tree/dev/pts"
mount -t tmpfs -o mode=1777 shm "$tree/dev/shm"
ln -s pts/ptmx "$tree/dev/ptmx"
ln -s /proc/self/fd "$tree/dev/fd"
ln -s fd/0 "$tree/dev/stdin"
ln -s fd/1 "$tree/dev/stdout"
ln -s fd/2 "$tree/dev/stderr"

# No /run/systemd/system in here: packages that are installed start no services.
mount -t tmpfs -o mode=755 run "$tree/run"
mkdir "$tree/run/lock"

# The machine's resolver, for as long as the command runs; the tree keeps its own.
if [ -e "$tree/etc/resolv.conf" ] && [ ! -L "$tree/etc/resolv.conf" ] && [ -e /etc/resolv.conf ]; then
  mount --bind /etc/resolv.conf "$tree/etc/resolv.conf"
elif [ -L "$tree/etc/resolv.conf" ] && [ -e /etc/resolv.conf ]; then
  target=$(readlink "$tree/etc/resolv.conf")
  case $target in
    /run/* | ../run/*)
      target=$tree/run/${target#*run/}
      mkdir -p "${target%/*}"
      cp /etc/resolv.conf "$target"
      ;;
  esac
fi

# Not exec: the kernel keeps Ctrl-C from the first process of a PID namespace.
chroot "$tree" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 "$@"
