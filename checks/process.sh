# process: a running process, by the name of its program
#
# The kernel keeps fifteen characters of the name; of a longer name, only these are compared. A
# zombie (a process that has ended and still has an entry) does not count as running.
#
#: key comm text -- name of the program, as in `/proc/PID/comm`
#: fact running bool = true -- at least one process has this name
#: fact count int -- how many processes have it
#: tools the kernel's `/proc` with `sed`, or else `ps`
#: example nginx: {running: true, count: {ge: 2}}
ob_name=$arg_comm
while :; do
  case $ob_name in ????????????????*) ob_name=${ob_name%?} ;; *) break ;; esac
done
words "$ob_name"
found_with "ps -A -o comm= | grep -Fxc -- $ob_words"
if [ -z "${ob_comms-}" ]; then
  if [ -r "$ob_root/proc/self/stat" ] || [ -r "$ob_root/proc/1/stat" ]; then
    # a process may end between the listing and the reading
    ob_comms=$(sed -n 's/^[0-9]* (\(.*\)) [^ZX] .*/\1/p' "$ob_root"/proc/[0-9]*/stat 2>/dev/null)
  elif has ps; then
    ob_comms=$(ps -A -o stat= -o comm= 2>/dev/null | sed -n 's/^[^ZX][^ ]* *//p')
  fi
fi
if [ -z "${ob_comms-}" ]; then
  cannot_look 'no `/proc` with `sed`, and no `ps`'
  return
fi
ob_hidden=''
if [ -d "$ob_root/proc/self" ] && ! [ -r "$ob_root/proc/1/stat" ]; then
  ob_hidden='the kernel hides the processes of others'
fi
case $ob_lf$ob_comms$ob_lf in
  *"$ob_lf$ob_name$ob_lf"*) fact running true ;;
  *)
    if [ -n "$ob_hidden" ]; then
      cannot_look "$ob_hidden"
      return
    fi
    fact running false
    fact count 0
    return
    ;;
esac
if wants count; then
  if [ -n "$ob_hidden" ]; then
    cannot_look "$ob_hidden"
    return
  fi
  ob_count=0 ob_ifs=$IFS
  IFS=$ob_lf
  set -f
  for ob_l in $ob_comms; do
    case $ob_l in "$ob_name") ob_count=$((ob_count + 1)) ;; esac
  done
  set +f
  IFS=$ob_ifs
  fact count "$ob_count"
fi
