# addr: an address that can be reached from the node
#
# For `tcp` a connection is made and closed. For `udp`, which has no connections, it is only
# known that the name resolves and that there is a way.
#
#: key address address -- `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix:///PATH`; without a scheme it is `tcp`
#: arg local-address text -- the node's own address to connect from
#: arg timeout milliseconds = 500 -- how long a connection may take to be made
#: fact reachable bool = true -- a connection can be made
#: tools `nc`, or `bash` with `timeout`, or `curl`; for `unix` `curl`, an `nc` that knows `-U`, or the kernel's `/proc/net/unix`
#: waits for the network
#: example tcp://db1.example.net:5432: {reachable: true, timeout: 2s}
ob_proto=tcp ob_rest=$arg_address
case $ob_rest in *://*) ob_proto=${ob_rest%%://*} ob_rest=${ob_rest#*://} ;; esac
if [ "$ob_proto" = unix ]; then
  found_with "curl --unix-socket $ob_rest http://localhost/"
  if ! [ -S "$ob_rest" ]; then
    fact reachable false
    return
  fi
  ob_status=''
  case $(nc -h 2>&1) in
    *' -U'* | *'[-'*U*z*']'* | *'-U	'*)
      nc -zU "$ob_rest" >/dev/null 2>&1 </dev/null
      ob_status=$?
      ;;
    *)
      if has curl; then
        # whatever answers: 7 is that no connection was made
        curl -s -o /dev/null -m "$(((arg_timeout + 999) / 1000))" --unix-socket "$ob_rest" http://localhost/ >/dev/null 2>&1 </dev/null
        case $? in
          2) ;;
          7) ob_status=1 ;;
          *) ob_status=0 ;;
        esac
      fi
      ;;
  esac
  # The kernel lists those of its own network namespace only: to be absent there says nothing.
  if [ -z "$ob_status" ] && [ -w "$ob_rest" ]; then
    ob_out=$(cat "$ob_root/proc/net/unix" 2>/dev/null)
    ob_ifs=$IFS
    set -f
    IFS=$ob_lf
    for ob_l in $ob_out; do
      case $ob_l in *' 00010000 '*" $ob_rest") ob_status=0 ;; esac
    done
    set +f
    IFS=$ob_ifs
  fi
  case $ob_status in
    '') cannot_look 'no `curl`, no fitting `nc`' ;;
    0) fact reachable true ;;
    *) fact reachable false ;;
  esac
  return
fi
ob_host=${ob_rest%:*} ob_port=${ob_rest##*:}
ob_host=${ob_host#'['} ob_host=${ob_host%']'}
case $ob_proto in
  tcp | tcp4 | tcp6 | udp | udp4 | udp6) ;;
  *)
    cannot_look "\`$ob_proto\` is none of \`tcp\`, \`udp\`, \`unix\`"
    return
    ;;
esac
case $ob_host in
  '' | -*)
    cannot_look "\`$arg_address\` has no host"
    return
    ;;
esac
case $ob_port in
  '' | *[!0-9]*)
    cannot_look "\`$arg_address\` has no port"
    return
    ;;
esac
ob_ms=000$((arg_timeout % 1000))
ob_limit=$((arg_timeout / 1000)).${ob_ms#"${ob_ms%???}"}
ob_seconds=$(((arg_timeout + 999) / 1000))
if [ -z "${ob_nc-}" ]; then
  ob_nc=none
  if has nc; then
    case $(nc -h 2>&1) in
      *BusyBox*-z* | *'[-'*z']'* | *'-z	'* | *'-z, '* | *'-z  '*) ob_nc=z ;;
      *BusyBox*'-e PROG'*) ob_nc=e ;;
    esac
  fi
fi
if [ "$ob_nc" = z ] || case $ob_nc$ob_proto$arg_local_address in etcp) true ;; *) false ;; esac then
  set -- -w "$ob_seconds"
  case $ob_proto in udp*) set -- "$@" -u ;; esac
  case $ob_proto in *4) set -- "$@" -4 ;; *6) set -- "$@" -6 ;; esac
  if [ -n "$arg_local_address" ]; then set -- "$@" -s "$arg_local_address"; fi
  case $ob_nc in
    z) set -- -z "$@" "$ob_host" "$ob_port" ;;
    # this one runs a command once it has a connection
    e) set -- "$@" "$ob_host" "$ob_port" -e true ;;
  esac
  found_with "nc $*"
  ob_out=$(nc "$@" 2>&1 </dev/null)
  ob_status=$?
  case $ob_out in
    *[Uu]sage* | *'invalid option'* | *'unrecognized option'* | *'illegal option'*)
      first_line "$ob_out"
      cannot_look "nc: $ob_first"
      return
      ;;
  esac
elif [ -z "$arg_local_address" ] && has bash && has timeout; then
  found_with "timeout $ob_limit bash -c ': </dev/${ob_proto%[46]}/$ob_host/$ob_port'"
  # shellcheck disable=SC2016 # bash is to expand them
  timeout "$ob_limit" bash -c ': <>"/dev/$1/$2/$3"' bash "${ob_proto%[46]}" "$ob_host" "$ob_port" >/dev/null 2>&1 </dev/null
  ob_status=$?
elif case $ob_proto in udp*) false ;; *) has curl ;; esac then
  # curl keeps the connection until the time is over, and tells then whether it was made
  set -- -s -o /dev/null -m "$ob_limit" -w '%{time_connect}'
  if [ -n "$arg_local_address" ]; then set -- "$@" --interface "$arg_local_address"; fi
  case $ob_host in *:*) ob_host="[$ob_host]" ;; esac
  found_with "curl -v telnet://$ob_host:$ob_port"
  case $(curl "$@" "telnet://$ob_host:$ob_port" 2>/dev/null </dev/null) in
    *[1-9]*) ob_status=0 ;;
    *) ob_status=1 ;;
  esac
else
  cannot_look 'no fitting `nc`, no `bash` with `timeout`, no `curl`'
  return
fi
if [ "$ob_status" -eq 0 ]; then fact reachable true; else fact reachable false; fi
