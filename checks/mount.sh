# mount: a mounted file system
#
# Where several file systems are mounted over each other, the last one is meant.
#
#: key mountpoint path -- absolute path
#: arg timeout milliseconds = 1000 -- a file system that does not answer is an error
#: fact exists bool gate = true -- something is mounted there
#: fact opts list -- options of the mount, as `ro` or `nosuid`
#: fact vfs-opts list -- options of the file system itself
#: fact source text -- device, or what stands for it
#: fact filesystem text -- its type, as `ext4`
#: fact usage int -- percent of its blocks in use
#: fact inodes int -- percent of its inodes in use
#: tools the kernel's `/proc/self/mountinfo`; for `usage` and `inodes` `stat` or `df`
#: waits for the file system
#: example /srv: {opts: [nosuid], filesystem: ext4, usage: {lt: 85}}
found_with 'findmnt {mountpoint}; df -P {mountpoint}'
[ -n "${ob_mounts-}" ] || ob_mounts=$(cat "$ob_root/proc/self/mountinfo" 2>/dev/null)
if [ -z "$ob_mounts" ]; then
  cannot_look 'no readable `/proc/self/mountinfo`'
  return
fi
# The kernel writes blanks and backslashes of a path as octal numbers.
ob_path='' ob_rest=$arg_mountpoint
while :; do
  ob_head=${ob_rest%%[\\\ \	]*}
  ob_path=$ob_path$ob_head
  if [ "$ob_head" = "$ob_rest" ]; then break; fi
  ob_rest=${ob_rest#"$ob_head"}
  case $ob_rest in
    ' '*) ob_path=$ob_path'\040' ;;
    \\*) ob_path=$ob_path'\134' ;;
    *) ob_path=$ob_path'\011' ;;
  esac
  ob_rest=${ob_rest#?}
done
ob_found=''
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_mounts; do
  case $ob_l in *" $ob_path "*) ;; *) continue ;; esac
  IFS=$ob_ifs
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_l
  if [ "$5" = "$ob_path" ]; then ob_found=$ob_l; fi
done
IFS=$ob_ifs
if [ -z "$ob_found" ]; then
  set +f
  fact exists false
  return
fi
fact exists true
ob_rest=${ob_found#* - }
# shellcheck disable=SC2086 # fields are wanted
set -- $ob_found
ob_opts=$6
# shellcheck disable=SC2086 # fields are wanted
set -- $ob_rest
fact filesystem "$1"
fact source "$2"
IFS=,
for ob_l in $ob_opts; do fact opts "$ob_l"; done
for ob_l in ${3-}; do fact vfs-opts "$ob_l"; done
IFS=$ob_ifs
set +f
wants usage inodes || return 0
if ob_stat=$(stat -f -c '%b %f %c %d' -- "$arg_mountpoint" 2>/dev/null); then
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_stat
elif ob_stat=$(df -P -- "$arg_mountpoint" 2>/dev/null); then
  # shellcheck disable=SC2086 # fields are wanted
  set -- ${ob_stat#*"$ob_lf"}
  set -- "$2" "$(($2 - $3))" '' ''
else
  cannot_look 'neither `stat -f` nor `df` can look at it'
  return
fi
if [ "$1" -gt 0 ]; then
  fact usage "$((((($1 - $2) * 200) + $1) / ($1 * 2)))"
else
  fact usage 0
fi
if [ -n "$3" ]; then
  if [ "$3" -gt 0 ]; then
    fact inodes "$((((($3 - $4) * 200) + $3) / ($3 * 2)))"
  else
    fact inodes 0
  fi
fi
