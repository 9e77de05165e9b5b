# interface: a network interface
#
#: key name text -- name of the interface
#: fact exists bool gate = true -- the node has it
#: fact addrs list -- its addresses with the prefix length, such as `172.17.0.2/16`
#: fact mtu int -- largest packet in bytes
#: fact up bool -- it is switched on
#: tools the kernel's `/sys/class/net`; for `addrs` `ip`
#: example eth0: {addrs: {contain-element: {have-prefix: "10."}}, mtu: 1500}
case $arg_name in
  '' | */* | . | ..)
    cannot_look "\`$arg_name\` is not a valid name for an interface"
    return
    ;;
esac
found_with 'ip addr show dev {name}'
ob_path=$ob_root/sys/class/net
if ! [ -d "$ob_path" ]; then
  cannot_look 'no `/sys/class/net`'
  return
fi
ob_name=$arg_name
if ! [ -d "$ob_path/$ob_name" ] && has ip; then
  # a further name of an interface stands in no folder of its own
  ob_out=$(ip -o link show dev "$arg_name" 2>/dev/null)
  case $ob_out in
    [0-9]*': '*)
      ob_name=${ob_out#*': '}
      ob_name=${ob_name%%[@:]*}
      ;;
  esac
fi
ob_path=$ob_path/$ob_name
if ! [ -d "$ob_path" ]; then
  fact exists false
  return
fi
fact exists true
if read -r ob_l <"$ob_path/mtu"; then fact mtu "$ob_l"; fi
if read -r ob_l <"$ob_path/flags"; then
  if [ "$((ob_l % 2))" -eq 1 ]; then fact up true; else fact up false; fi
fi 2>/dev/null
wants addrs || return 0
if ! has ip; then
  cannot_look 'no `ip`'
  return
fi
if ! ob_out=$(ip -o addr show dev "$arg_name" 2>&1); then
  first_line "$ob_out"
  cannot_look "ip: $ob_first"
  return
fi
ob_any=''
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_out; do
  IFS=$ob_ifs
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_l
  case ${3-} in inet | inet6) ;; *) continue ;; esac
  ob_any=1
  case ${5-} in
    peer) fact addrs "$4/${6#*/}" ;;
    *) fact addrs "$4" ;;
  esac
done
set +f
IFS=$ob_ifs
[ -n "$ob_any" ] || none addrs
