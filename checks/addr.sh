# addr: an address that can be reached from the node
#
# For `tcp`, the node makes a connection and closes it. `udp` has no connections: the check only
# knows that the name resolves and that there is a route. A name that does not resolve is an
# error; it does not count as an address that cannot be reached.
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
  by_hand curl --unix-socket "$ob_rest" http://localhost/
  if ! [ -S "$ob_rest" ]; then
    if [ -e "$ob_rest" ] || missing "$ob_rest"; then fact reachable false; fi
    return
  fi
  unix_answers "$ob_rest"
  case $ob_status in
    '') cannot_look "$ob_first" ;;
    0) fact reachable true ;;
    *) fact reachable false ;;
  esac
  return
fi
case $ob_proto in
  tcp | tcp4 | tcp6 | udp | udp4 | udp6) ;;
  *)
    cannot_look "\`$ob_proto\` is none of \`tcp\`, \`udp\`, \`unix\`"
    return
    ;;
esac
host_port "$ob_rest" || return 0
case $ob_port in
  '')
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
  words nc "$@"
  found_with "$ob_words && echo reachable"
  ob_out=$(LC_ALL=C nc "$@" 2>&1 </dev/null)
  ob_status=$?
elif [ -z "$arg_local_address" ] && has bash && has timeout; then
  words timeout "$ob_limit" bash -c ": <>/dev/${ob_proto%[46]}/$ob_host/$ob_port"
  found_with "$ob_words && echo reachable"
  # shellcheck disable=SC2016 # bash is to expand them
  ob_out=$(LC_ALL=C timeout "$ob_limit" bash -c ': <>"/dev/$1/$2/$3"' bash "${ob_proto%[46]}" "$ob_host" "$ob_port" 2>&1 </dev/null)
  ob_status=$?
  case $ob_status in 124) ob_status=1 ;; esac
elif case $ob_proto in udp*) false ;; *) has curl ;; esac then
  # curl keeps the connection until the time is over, and tells then whether it was made
  case $ob_ip in 6) ob_host="[$ob_host]" ;; esac
  set -- -s -o /dev/null -m "$ob_limit" -w '%{time_connect}\n'
  if [ -n "$arg_local_address" ]; then set -- "$@" --interface "$arg_local_address"; fi
  case $ob_proto in *4) set -- "$@" -4 ;; *6) set -- "$@" -6 ;; esac
  by_hand curl "$@" "telnet://$ob_host:$ob_port"
  ob_out=$(curl "$@" "telnet://$ob_host:$ob_port" 2>/dev/null </dev/null)
  ob_status=$?
  case $ob_status$ob_out in
    0* | 28*[1-9]*) ob_status=0 ob_out='' ;;
    7* | 28*) ob_status=1 ob_out='' ;;
    *) ob_out="curl ended with status $ob_status" ob_status=200 ;;
  esac
else
  cannot_look 'no fitting `nc`, no `bash` with `timeout`, no `curl`'
  return
fi
case $ob_out in
  *[Uu]sage* | *'invalid option'* | *'unrecognized option'* | *'illegal option'* | *'in name resolution'* | \
    *'not known'* | *'No address associated'* | *'bad address'* | *'Name does not resolve'* | *'Try again'* | \
    *'ould not resolve'* | *'bind failed'* | *"can't bind"* | *'No such file or directory'* | *'not supported'*)
    ob_status=200
    ;;
esac
first_line "$ob_out"
case $ob_status in
  0) fact reachable true ;;
  [1-9] | [1-9][0-9])
    if [ -n "$ob_first" ]; then note "$ob_first"; fi
    fact reachable false
    ;;
  *) cannot_look "${ob_first:-the connection attempt ended with status $ob_status}" ;;
esac
