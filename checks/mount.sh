# mount: a mounted file system
#
# If several file systems are mounted over each other, the check looks at the visible one. To look
# at an automount, it lets the system mount it.
#
#: key mountpoint path -- absolute path
#: arg timeout milliseconds = 1000 -- a file system that does not answer is an error
#: fact exists bool gate = true -- something is mounted there
#: fact opts list -- options of the mount, such as `ro` or `nosuid`
#: fact vfs-opts list -- options of the file system itself
#: fact source text -- device, or what is used instead of one
#: fact filesystem text -- its type, such as `ext4`
#: fact usage int -- percent of its blocks in use
#: fact inodes int -- percent of its inodes in use
#: tools the kernel's `/proc/self/mountinfo`; for `usage` and `inodes` `stat` or `df`
#: waits for the file system
#: example /srv: {opts: [nosuid], filesystem: ext4, usage: {lt: 85}}
# mount_path PATH: sets ob_path to it as the kernel writes it, blanks and backslashes as octal
# numbers
mount_path() {
  ob_path='' ob_rest=$1
  while :; do
    case $ob_rest in ?*/) ob_rest=${ob_rest%/} ;; *) break ;; esac
  done
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
}
# mount_there: sets ob_found to the line of what the path leads to, where that is mounted at it.
# As the kernel follows a path: from what is mounted at `/` to what is mounted on that, at the
# first folder on the way. What another one is mounted over is not on the way.
mount_there() {
  ob_found='' ob_at=none ob_listed=''
  ob_ifs=$IFS
  set -f
  while :; do
    ob_next='' ob_best=''
    IFS=$ob_lf
    for ob_l in $ob_mounts; do
      IFS=$ob_ifs
      # shellcheck disable=SC2086 # fields are wanted
      set -- $ob_l
      case $5 in "$ob_path") ob_listed=$ob_l ;; esac
      case $ob_at in
        none) case $5 in /) if [ -n "$ob_best" ]; then continue; fi ;; *) continue ;; esac ;;
        *)
          if [ "$2" != "$ob_at" ]; then continue; fi
          case ${ob_path%/}/ in "${5%/}/"*) ;; *) continue ;; esac
          case $ob_best in
            '') ;;
            *) if [ ${#5} -gt ${#ob_best} ]; then continue; fi ;;
          esac
          ;;
      esac
      ob_next=$1 ob_best=$5 ob_found=$ob_l
    done
    if [ -z "$ob_next" ] || [ "$ob_next" = "$ob_at" ]; then break; fi
    ob_at=$ob_next
  done
  IFS=$ob_ifs
  # As in a folder that was made the root, and is none itself.
  case $ob_at in none) ob_found=$ob_listed ;; esac
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_found
  set +f
  [ "${5-}" = "$ob_path" ]
}
found_with 'findmnt --mountpoint {mountpoint}'
if wants usage inodes; then found_with 'findmnt --mountpoint {mountpoint} && df -P {mountpoint} && df -Pi {mountpoint}'; fi
[ -n "${ob_mounts-}" ] || ob_mounts=$(cat "$ob_root/proc/self/mountinfo" 2>/dev/null)
if [ -z "$ob_mounts" ]; then
  cannot_look 'no readable `/proc/self/mountinfo`'
  return
fi
mount_path "$arg_mountpoint"
if ! mount_there; then
  # The kernel knows no links on the way.
  ob_real=$(cd -P -- "$arg_mountpoint" 2>/dev/null && pwd -P)
  case ${ob_real:-"$arg_mountpoint"} in
    "$arg_mountpoint" | "${arg_mountpoint%/}") ob_found='' ;;
    *)
      mount_path "$ob_real"
      mount_there || ob_found=''
      ;;
  esac
fi
if [ -z "$ob_found" ]; then
  if [ -n "$ob_listed" ]; then note 'something else is mounted over it'; fi
  fact exists false
  return
fi
case $ob_found in
  *' - autofs '*)
    # What waits there mounts it when somebody looks.
    ls -d -- "$arg_mountpoint/." >/dev/null 2>&1
    ob_mounts=$(cat "$ob_root/proc/self/mountinfo" 2>/dev/null)
    if ! mount_there; then
      cannot_look 'the mounted file system is gone'
      return
    fi
    case $ob_found in
      *' - autofs '*)
        neither exists 'an automount that mounts nothing'
        return
        ;;
    esac
    ;;
esac
fact exists true
ob_rest=${ob_found#* - }
ob_ifs=$IFS
set -f
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
  cannot_look 'neither `stat -f` nor `df` can read it'
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
