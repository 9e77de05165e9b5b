# kernel-param: a parameter of the kernel, as `sysctl` shows it
#
# The check reads `/proc/sys`. A name that contains `/` is a path there; use one for interfaces
# whose names have dots.
#
#: key name text -- `net.core.somaxconn`, or `net/ipv4/conf/eth0.100/forwarding`
#: fact value text -- its value; several numbers are separated by tabs, as the kernel prints them
#: tools the kernel's `/proc/sys`
#: example net.core.somaxconn: {value: {ge: 1024}}
case /$arg_name/ in
  */../* | //)
    cannot_look "\`$arg_name\` is not a valid name for a parameter"
    return
    ;;
esac
ob_file=$arg_name
case $ob_file in
  */*) ;;
  *)
    ob_rest=$ob_file ob_file=''
    while :; do
      case $ob_rest in *.*) ;; *) break ;; esac
      ob_file=$ob_file${ob_rest%%.*}/
      ob_rest=${ob_rest#*.}
    done
    ob_file=$ob_file$ob_rest
    ;;
esac
by_hand cat "/proc/sys/$ob_file"
ob_file=$ob_root/proc/sys/$ob_file
if ! [ -d "$ob_root/proc/sys" ]; then
  cannot_look 'no `/proc/sys`'
elif ! [ -e "$ob_file" ]; then
  if missing "$ob_file"; then absent value 'the kernel has no such parameter'; fi
elif [ -d "$ob_file" ]; then
  absent value 'it is a group of parameters'
elif ! [ -r "$ob_file" ]; then
  cannot_look 'no permission to read it'
else
  # The kernel gives most of them to the first read only, and `read` of some shells takes a
  # byte at a time.
  if ob_value=$(cat "$ob_file" 2>&1); then
    fact value "$ob_value"
  else
    first_line "$ob_value"
    cannot_look "$ob_first"
  fi
fi
