# process: a running process, by the name of its program
#
# The kernel keeps fifteen characters of the name; a longer name is compared by those.
#
#: key comm text -- name of the program, as in `/proc/PID/comm`
#: fact running bool = true -- at least one process has this name
#: fact count int -- how many processes have it
#: tools the kernel's `/proc`, or else `ps`
#: example nginx: {running: true, count: {ge: 2}}
found_with 'pgrep -x {comm}'
if [ -z "${ob_comms-}" ]; then
  if [ -r "$ob_root/proc/self/comm" ] || [ -r "$ob_root/proc/1/comm" ]; then
    # a process may end between the listing and the reading
    ob_comms=$(cat "$ob_root"/proc/[0-9]*/comm 2>/dev/null)
  elif has ps; then
    ob_comms=$(ps -A -o comm= 2>/dev/null) || ob_comms=''
  fi
fi
if [ -z "${ob_comms-}" ]; then
  cannot_look 'no `/proc` and no `ps`'
  return
fi
ob_name=$arg_comm
while :; do
  case $ob_name in ????????????????*) ob_name=${ob_name%?} ;; *) break ;; esac
done
case $ob_lf$ob_comms$ob_lf in
  *"$ob_lf$ob_name$ob_lf"*) fact running true ;;
  *)
    if [ -d "$ob_root/proc/1" ] && ! [ -r "$ob_root/proc/1/comm" ]; then
      cannot_look 'the kernel hides the processes of others'
      return
    fi
    fact running false
    fact count 0
    return
    ;;
esac
if wants count; then
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
