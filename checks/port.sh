# port: a local port on which something listens
#
# `tcp` and `tcp6` are told apart as the kernel does: a service on `[::]` that answers IPv4
# as well is listed under `tcp6` only.
#
#: key port port -- `tcp:22`, `tcp6:22`, `udp:53` or `udp6:53`; a bare number is `tcp`
#: fact listening bool gate = true -- something listens there
#: fact ip addresses -- the local addresses on which it does
#: tools the kernel's `/proc/net`, or else `ss` or `netstat`
#: example tcp:22: {listening: true, ip: [0.0.0.0]}
case $arg_port in
  *:*) ob_proto=${arg_port%%:*} ob_port=${arg_port#*:} ;;
  *) ob_proto=tcp ob_port=$arg_port ;;
esac
case $ob_proto in
  tcp | tcp6 | udp | udp6) ;;
  *)
    cannot_look "\`$ob_proto\` is none of \`tcp\`, \`tcp6\`, \`udp\`, \`udp6\`"
    return
    ;;
esac
case $ob_port in
  '' | *[!0-9]* | ??????*)
    cannot_look "\`$ob_port\` is no port number"
    return
    ;;
esac
while :; do
  case $ob_port in 0?*) ob_port=${ob_port#0} ;; *) break ;; esac
done
found_with "ss -ln${ob_proto%%[!a-z]*} | grep ':$ob_port '"
ob_kind=''
if [ -r "$ob_root/proc/net/${ob_proto%6}" ]; then
  ob_kind=proc
  case $ob_proto in
    tcp) [ -n "${ob_tcp-}" ] || ob_tcp=x$ob_lf$(grep ' 0A ' "$ob_root/proc/net/tcp"); ob_table=$ob_tcp ;;
    tcp6) [ -n "${ob_tcp6-}" ] || ob_tcp6=x$ob_lf$(grep -s ' 0A ' "$ob_root/proc/net/tcp6"); ob_table=$ob_tcp6 ;;
    udp) [ -n "${ob_udp-}" ] || ob_udp=x$ob_lf$(cat "$ob_root/proc/net/udp"); ob_table=$ob_udp ;;
    udp6) [ -n "${ob_udp6-}" ] || ob_udp6=x$ob_lf$(cat "$ob_root/proc/net/udp6" 2>/dev/null); ob_table=$ob_udp6 ;;
  esac
  ob_hex='' ob_rest=$ob_port
  for ob_l in 1 2 3 4; do
    case $((ob_rest % 16)) in
      10) ob_hex=A$ob_hex ;;
      11) ob_hex=B$ob_hex ;;
      12) ob_hex=C$ob_hex ;;
      13) ob_hex=D$ob_hex ;;
      14) ob_hex=E$ob_hex ;;
      15) ob_hex=F$ob_hex ;;
      *) ob_hex=$((ob_rest % 16))$ob_hex ;;
    esac
    ob_rest=$((ob_rest / 16))
  done
elif has ss; then
  case $ob_proto in
    *6) ob_family=-6 ;;
    *) ob_family=-4 ;;
  esac
  ob_flag=${ob_proto%6}
  ob_table=$(LC_ALL=C ss "$ob_family" "-Hln${ob_flag%??}" 2>&1) && ob_kind=ss
elif has netstat; then
  ob_flag=${ob_proto%6}
  ob_table=$(LC_ALL=C netstat "-ln${ob_flag%??}" 2>&1) && ob_kind=netstat
else
  cannot_look 'no `/proc/net`, `ss` or `netstat`'
  return
fi
if [ -z "$ob_kind" ]; then
  first_line "$ob_table"
  cannot_look "$ob_first"
  return
fi
ob_any=''
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_table; do
  IFS=$ob_ifs
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_l
  case $ob_kind in
    proc) case ${2-} in *":$ob_hex") ob_any=1; fact ip "${2%:*}" ;; esac ;;
    ss) case ${4-} in *":$ob_port") ob_any=1; fact ip "${4%:*}" ;; esac ;;
    netstat)
      case ${1-}${4-} in
        "$ob_proto"[!6]*":$ob_port" | "$ob_proto"[0-9]*":$ob_port" | "$ob_proto:"*":$ob_port")
          case ${1-} in "$ob_proto") ob_any=1; fact ip "${4%:*}" ;; esac
          ;;
      esac
      ;;
  esac
done
set +f
IFS=$ob_ifs
if [ -n "$ob_any" ]; then
  fact listening true
else
  fact listening false
  none ip
fi
