# port: a local port on which something listens
#
# `tcp` and `tcp6` differ as in the kernel: a service on `[::]` that also answers IPv4 is listed
# only under `tcp6`. If the port is not found under one of them but under the other, the message
# says so.
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
    cannot_look "\`$ob_port\` is not a port number"
    return
    ;;
esac
while :; do
  case $ob_port in 0?*) ob_port=${ob_port#0} ;; *) break ;; esac
done
ob_kind='' ob_flag=${ob_proto%6} ob_family=-4 ob_other=${ob_proto}6
case $ob_proto in *6) ob_family=-6 ob_other=${ob_proto%6} ;; esac
ob_flag=-ln${ob_flag%??}
if has ss || ! has netstat; then
  by_hand ss $ob_family "$ob_flag" "sport = :$ob_port"
else
  found_with "netstat $ob_flag | grep '^$ob_proto .*:$ob_port '"
fi
# port_table PROTOCOL: sets ob_table to what the kernel lists, read once for all ports that are
# asked together; 0A of `tcp` listens, 07 of `udp` is not connected
port_table() {
  case $1 in
    tcp) ob_table=${ob_tcp-} ;;
    tcp6) ob_table=${ob_tcp6-} ;;
    udp) ob_table=${ob_udp-} ;;
    *) ob_table=${ob_udp6-} ;;
  esac
  [ -z "$ob_table" ] || return 0
  ob_state=' 0A '
  case $1 in udp*) ob_state=' 07 ' ;; esac
  # It is not there on a kernel without IPv6.
  if [ -e "$ob_root/proc/net/$1" ]; then
    ob_table=$(grep "$ob_state" "$ob_root/proc/net/$1" 2>/dev/null)
    [ $? -le 1 ] || return 1
  fi
  ob_table=x$ob_lf$ob_table
  case $1 in
    tcp) ob_tcp=$ob_table ;;
    tcp6) ob_tcp6=$ob_table ;;
    udp) ob_udp=$ob_table ;;
    *) ob_udp6=$ob_table ;;
  esac
}
if [ -r "$ob_root/proc/net/${ob_proto%6}" ]; then
  if ! port_table "$ob_proto"; then
    cannot_look "cannot read \`/proc/net/$ob_proto\`"
    return
  fi
  ob_kind=proc
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
  ob_table=$(LC_ALL=C ss "$ob_family" "-H${ob_flag#-}" 2>&1) && ob_kind=ss
elif has netstat; then
  ob_table=$(LC_ALL=C netstat "$ob_flag" 2>&1) && ob_kind=netstat
  # Linux's reads the tables that are not there, complains, and ends with 0 all the same.
  case $ob_table in
    *'/proc/net'* | *'no support for'*)
      cannot_look 'no `/proc/net`, which `netstat` reads, and no `ss`'
      return
      ;;
  esac
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
  if [ "$ob_kind" = proc ] && port_table "$ob_other"; then
    case $ob_table in *":$ob_hex "*:0000' '*) note "it listens under \`$ob_other:$ob_port\`" ;; esac
  fi
  fact listening false
  none ip
fi
