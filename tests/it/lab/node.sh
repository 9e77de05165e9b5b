#!/bin/sh
# A node for tests: this machine's own root below an overlay, with its own processes, mounts,
# network, host name and boot id. Nothing of it is mounted outside its own mount namespace,
# so that it is gone when its processes are.
#   node.sh outer DIR NAME INIT HOME_SIZE   prepares the root; starts process 1, and again
#                                           after each reboot; ends when standard input ends
#   node.sh inner DIR NAME INIT             becomes process 1
set -eu
part=$1 dir=$2 name=$3 init=$4

outer() {
  mount --make-rprivate /
  mount -t tmpfs -o size=4g,mode=755 lab "$dir/disk"
  mkdir "$dir/disk/upper" "$dir/disk/work" "$dir/disk/root"
  root=$dir/disk/root
  mount -t overlay lab -o "lowerdir=/,upperdir=$dir/disk/upper,workdir=$dir/disk/work" "$root"
  # Users, keys and configuration were written by the test.
  cp -R "$dir/etc/." "$root/etc/"
  for file in "$root"/etc/sudoers.d/*; do
    if [ "${file##*/}" != ops ]; then rm -rf "$file"; fi
  done
  chmod 600 "$root/etc/ssh/lab_host_key" "$root/etc/shadow"
  chmod 440 "$root/etc/sudoers.d/ops"
  mkdir -p "$root/home/ops"
  mount -t tmpfs -o size=64m,mode=700 root "$root/root"
  mount -t tmpfs -o "size=$1,mode=755" home "$root/home/ops"
  chown 4242:4242 "$root/home/ops"
  : >"$root/etc/machine-id"
  if [ "$init" = systemd ]; then
    ln -sf /dev/null "$root/etc/systemd/system/systemd-udevd.service"
    for cgroup in systemd unified .; do
      file=/sys/fs/cgroup/$cgroup/$name/cgroup.procs
      if [ -e "$file" ]; then echo $$ >"$file"; fi
    done
    separate=-C
  else
    separate=
  fi
  # Reads until the test ends, however it ends; then everything of the node is killed.
  exec 3<&0 </dev/null
  (cat <&3 >/dev/null || :; kill -s KILL 0) &
  exec 3<&-
  while :; do
    status=0
    # shellcheck disable=SC2086 # no word where it is empty
    unshare -m -p -u -i $separate -f --kill-child sh "$0" inner "$dir" "$name" "$init" 3<&- || status=$?
    echo "process 1 ended, $status"
    # reboot(2) in a process namespace ends its process 1 by SIGHUP; a crash is SIGKILL.
    if [ -e "$dir/restart" ]; then rm "$dir/restart"; elif [ $status != 129 ]; then exit $status; fi
    while [ -e "$dir/hold" ]; do sleep 0.05; done
  done
}

devices() {
  mount -t tmpfs -o mode=755,size=64k dev dev
  for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  ln -s fd/0 dev/stdin
  ln -s fd/1 dev/stdout
  ln -s fd/2 dev/stderr
  mount -t tmpfs -o mode=1777 shm dev/shm
  : >dev/console
}

# All that systemd asks for: a hierarchy of its own.
cgroups() {
  mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
  if mountpoint -q /sys/fs/cgroup/systemd; then
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
  else
    umount sys/fs/cgroup
    mount -t cgroup2 cgroup2 sys/fs/cgroup
  fi
}

# What a node must not reach: this machine's clock, modules, devices and kernel settings.
fence() {
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  if [ -e proc/sysrq-trigger ]; then mount --bind dev/null proc/sysrq-trigger; fi
  cat proc/sys/kernel/random/uuid >run/boot_id
  mount --bind run/boot_id proc/sys/kernel/random/boot_id
}

inner() {
  hostname "$name"
  cd "$dir/disk/root"
  mount --rbind . .
  cd "$dir/disk/root"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  devices
  mount -t tmpfs -o mode=755 run run
  mount -t tmpfs -o mode=1777 tmp tmp
  mkdir -p run/sshd run/lock
  if [ "$init" = systemd ]; then cgroups; fi
  fence
  mkdir -p .old
  pivot_root . .old
  umount -l /.old
  rmdir /.old
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  lacking=-sys_time,-sys_module,-sys_rawio,-mknod,-syslog,-mac_admin,-mac_override,-wake_alarm
  case $init in
    systemd)
      exec setpriv --bounding-set=$lacking env -i container=lxc PATH="$PATH" \
        /lib/systemd/systemd --show-status=0 --unit=lab.target ;;
    *)
      exec setpriv --bounding-set=$lacking env -i PATH="$PATH" /usr/sbin/sshd -D -e ;;
  esac
}

shift 4
$part "$@"
