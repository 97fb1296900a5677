#!/bin/sh
# The first program in the initrd, run by the kernel as process 1. It boots the slot that the kernel's command line
# names (bladeroot.slot=a), with neither Node nor network, or else brings up the network and lets the agent work out
# what this machine is to become. Whatever fails ends in a shell on the console; process 1 must never end.

export PATH=/bin:/sbin:/usr/bin:/usr/sbin
# By its path, as Debian's busybox sh prefers its own commands to all others of the same name.
MODPROBE=/sbin/modprobe
BLKID=/sbin/blkid
E2FSCK=/sbin/e2fsck
MDADM=/sbin/mdadm
NODE=/opt/bladeroot/bin/node
AGENT=/opt/bladeroot/lib/agent.mjs
ANSWER=/run/bladeroot/switch-root
DHCP_PID=/run/udhcpc.pid

say() {
  echo "bladeroot: $*"
}

# Keeps why a step failed for the rescue shell, and fails.
fail() {
  why=$*
  return 1
}

main() {
  say "starting"
  mount_kernel_filesystems
  [ -z "$(param bladeroot.rescue)" ] || rescue_system
  while :; do
    why="it ended without saying why"
    say "loading drivers"
    coldplug
    slot=$(param bladeroot.slot)
    if [ -n "$slot" ]; then
      boot_slot "$slot"
    else
      boot_network
    fi
    rescue "$why"
  done
}

mount_kernel_filesystems() {
  mount -t proc -o nosuid,nodev,noexec proc /proc
  mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
  mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev
  mkdir -p /dev/pts /run /tmp /sysroot
  mount -t devpts -o nosuid,noexec,mode=0620,gid=5 devpts /dev/pts
  mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run
  mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
  # Only errors of the kernel may come between our lines.
  echo 4 > /proc/sys/kernel/printk
}

# The value of a word NAME=VALUE of the kernel's command line, "yes" for a word NAME without one; the last one counts.
param() (
  set -f
  read -r words < /proc/cmdline
  value=
  for word in $words; do
    case $word in
      "$1") value=yes ;;
      "$1="*) value=${word#*=} ;;
    esac
  done
  echo "$value"
)

# Loads the drivers of all devices; those bring up further devices, hence the rounds.
coldplug() (
  set -f
  known=
  for _ in 1 2 3; do
    aliases=$(find /sys/devices -name modalias -exec cat {} + 2> /dev/null | sort -u)
    [ "$aliases" != "$known" ] || break
    known=$aliases
    load $aliases
  done
  # What no device asks for: disks found late by their controller, and file systems.
  load sd_mod ext4 vfat nls_cp437 nls_ascii nls_iso8859_1 nls_utf8
)

# Most devices have no driver here, and most drivers on this list are built in: modprobe's complaints say nothing.
load() {
  "$MODPROBE" -a -q -b "$@" > /dev/null 2>&1
}

uptime_seconds() {
  cut -d . -f 1 /proc/uptime
}

# Comes back only if neither the slot nor the other one of its disk can be started.
boot_slot() {
  say "booting slot $1 from the disk"
  device=
  mirror=$(param bladeroot.mirror)
  if wait_for_partition "bladeroot-$1" "$(param bladeroot.part)"; then
    start_slot "$device"
  else
    fail "no partition is called bladeroot-$1: the disk is gone, or its driver is not in the initrd"
  fi
  why="slot $1: $why"
  # GRUB has counted this start, and brings the other slot's own kernel along.
  [ -z "$(param bladeroot.try)" ] || restart "$why"
  say "$why"
  others=/sys/class/block
  [ -z "$device" ] || others=$(dirname "$(readlink -f "/sys/class/block/${device##*/}")")
  case $1 in a) other=b ;; *) other=a ;; esac
  find_partition "$others" "bladeroot-$other" || return
  why_not=$why
  say "booting slot $other instead, with the kernel of slot $1"
  start_slot "$device"
  fail "$why_not; slot $other: $why"
}

start_slot() {
  check_file_system "$1" || return
  switch_to "$1" /sbin/init
}

# Mends what can be mended without a question; a file system that was left in order costs no time.
check_file_system() {
  [ -x "$E2FSCK" ] || return 0
  "$E2FSCK" -p "$1" > /run/fsck.log 2>&1
  # e2fsck(8): 4, errors are left; 8, it could not work.
  [ $(($? & 12)) -eq 0 ] || fail "$1 is damaged: $(tail -n 1 /run/fsck.log)"
}

# Sets $device once the partition is there that has this GPT name, and this PARTUUID where one is given.
wait_for_partition() {
  deadline=$(($(uptime_seconds) + 30))
  polls=0
  while [ "$(uptime_seconds)" -lt "$deadline" ]; do
    [ -z "$mirror" ] || start_mirror "$mirror"
    find_partition /sys/class/block "$1" "$2" && return
    # A disk on USB takes its time, and only then asks for its driver.
    polls=$((polls + 1))
    [ $((polls % 10)) -ne 0 ] || coldplug
    sleep 0.1
  done
  # What was copied to another disk has the names, but not the PARTUUIDs.
  [ -n "$2" ] && find_partition /sys/class/block "$1"
}

# find_partition DIRECTORY NAME [PARTUUID]: sets $device to a partition of those that sysfs has in that directory.
find_partition() {
  for uevent in $(grep -lx "PARTNAME=$2" "$1"/*/uevent 2> /dev/null); do
    device=/dev/$(sed -n 's/^DEVNAME=//p' "$uevent")
    [ -n "${3-}" ] || return 0
    [ "$("$BLKID" -p -s PART_ENTRY_UUID -o value "$device")" != "$3" ] || return 0
  done
  device=
  return 1
}

# start_mirror UUID: with both halves, or with one when the other has not come within 2 s, or was gone before.
start_mirror() {
  [ ! -e /sys/block/md127/md ] || return 0
  halves=
  for uevent in $(grep -lx "PARTNAME=bladeroot-raid" /sys/class/block/*/uevent 2> /dev/null); do
    half=/dev/$(sed -n 's/^DEVNAME=//p' "$uevent")
    [ "$("$BLKID" -p -s UUID -o value "$half")" != "$1" ] || halves="$halves $half"
  done
  case $halves in
    '') return 1 ;;
    *' '*' '*) ;;
    *)
      first_half=${first_half:-$(uptime_seconds)}
      # As the half itself has it: A is a half that works, a dot one that does not.
      [ $(($(uptime_seconds) - first_half)) -ge 2 ] ||
        "$MDADM" --examine $halves | grep -q 'Array State : \(A\.\|\.A\) ' || return 1
      say "the mirror lacks a half: starting it with$halves alone"
      ;;
  esac
  load raid1
  # What it says is for whoever looks why there is no partition.
  "$MDADM" --quiet --assemble --run /dev/md127 $halves || "$MDADM" --quiet --stop /dev/md127
}

restart() {
  say "STOPPED: $1"
  say "the machine restarts in 5 s, as this slot was only on trial"
  sleep 5
  reboot -f
}

boot_network() {
  bring_up_network
  say "starting the agent"
  rm -f "$ANSWER"
  # Buffers go back to the system when they are freed, instead of staying with the process (mallopt(3)).
  MALLOC_MMAP_THRESHOLD_=262144 MALLOC_ARENA_MAX=2 "$NODE" "$AGENT"
  status=$?
  [ "$status" -eq 0 ] || fail "the agent ended with status $status, and says why above" || return
  device=$(sed -n 's/^DEVICE=//p' "$ANSWER")
  init=$(sed -n 's/^INIT=//p' "$ANSWER")
  [ -n "$device" ] || fail "the agent did not say what to boot, in $ANSWER" || return
  switch_to "$device" "${init:-/sbin/init}"
}

# Goes on until there is an address: a rack of blades may well be up before its switch.
bring_up_network() {
  stop_dhcp
  ip link set lo up
  pause=1
  until find_nic && get_address; do
    say "no network yet: $why; next try in $pause s"
    sleep "$pause"
    [ "$pause" -ge 30 ] || pause=$((pause * 2))
    coldplug
  done
  say "network: $nic has $(ip -4 -o address show dev "$nic" | sed -n 's/.* inet \([^ ]*\).*/\1/p')"
}

# Sets $nic: the firmware's own (pxelinux's BOOTIF=01-52-54-00-12-34-56), or else the first with a carrier.
find_nic() {
  mac=$(param BOOTIF | tr 'A-F-' 'a-f:')
  mac=${mac#??:}
  for path in /sys/class/net/*; do
    # lo and the like have no device.
    [ -e "$path/device" ] || continue
    nic=${path##*/}
    if [ -n "$mac" ]; then
      [ "$(cat "$path/address")" != "$mac" ] || return 0
    else
      ip link set "$nic" up
      [ "$(cat "$path/carrier" 2> /dev/null)" != 1 ] || return 0
    fi
  done
  fail "no network card has ${mac:-a carrier}"
}

get_address() {
  say "asking for an address on $nic"
  # It stays in the background, and renews the lease for as long as the agent needs the network.
  udhcpc -i "$nic" -n -t 5 -T 2 -p "$DHCP_PID" -s /etc/udhcpc.script > /dev/null 2>&1 ||
    fail "nobody answers DHCP on $nic"
}

stop_dhcp() {
  [ ! -r "$DHCP_PID" ] || kill "$(cat "$DHCP_PID")" 2> /dev/null
  rm -f "$DHCP_PID"
}

# switch_to DEVICE INIT: leaves the initrd for good; comes back only if it cannot.
switch_to() {
  say "starting $2 on $1"
  mode=rw
  [ -z "$(param ro)" ] || mode=ro
  grep -q ' /sysroot ' /proc/mounts || mount -t ext4 -o "$mode" "$1" /sysroot ||
    fail "$1 cannot be mounted; try: e2fsck -f $1" || return
  if ! chroot /sysroot /bin/sh -c "test -x '$2'"; then
    fail "there is no program $2 on $1"
    umount /sysroot
    return
  fi
  stop_dhcp
  [ -z "$(param bladeroot.try)" ] || set_deadline
  umount /tmp
  for point in dev proc sys run; do
    mount --move "/$point" "/sysroot/$point"
  done
  exec switch_root -c /dev/console /sysroot "$2"
}

# The console has its shell at once, SSH comes with the network. It does not end but by a restart: a machine whose console
# nobody can type on must wait for who comes by SSH.
rescue_system() {
  say "this is the rescue system; \`reboot -f\` leaves it"
  say "loading drivers"
  coldplug
  { bring_up_network && "$NODE" "$AGENT" rescue; } &
  while :; do
    setsid cttyhack sh
    sleep 5
  done
}

# A slot on trial in which bladeroot's service never starts is left by itself: that calls it off (blade/deadline.ts).
set_deadline() {
  mkdir -p /run/bladeroot
  reboot -d 900 -f &
  echo $! > /run/bladeroot/deadline
}

rescue() {
  say "STOPPED: $1"
  say "this is a rescue shell; \`dmesg\` and \`ip addr\` tell more, \`exit\` tries again, \`reboot -f\` restarts"
  setsid cttyhack sh
  # A console that nobody can type on ends the shell at once: then at least the disk and the network have peace.
  sleep 5
}

main
