# dns: a name that resolves
#
# Without a server the node's own resolver is asked, `/etc/hosts` and all. With one, its
# records are asked for: `TYPE:name` for one of A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, SSHFP
# and TXT, else A and AAAA. A server that does not answer is an error.
#
#: key resolve text -- the name, or `TYPE:name`
#: arg server text -- address of the server, with `:PORT` where it is not 53
#: arg timeout milliseconds = 500 -- how long the server may take; it is asked three times
#: fact resolvable bool gate alias resolveable = true -- there is at least one record
#: fact addrs sorted -- the records
#: tools `getent` or `nslookup`; with a server `dig`, or `nslookup` for addresses
#: waits for the network
#: example MX:example.net: {server: 192.0.2.53, addrs: ["10 mail.example.net."]}
ob_type='' ob_name=$arg_resolve
case $ob_name in
  *:*)
    ob_type=${ob_name%%:*}
    case $ob_type in *[!A-Z]* | '') ob_type='' ;; *) ob_name=${ob_name#*:} ;; esac
    ;;
esac
case $ob_type in
  '' | A | AAAA | CAA | CNAME | MX | NS | PTR | SRV | SSHFP | TXT) ;;
  *)
    cannot_look "\`$ob_type\` is no type of record that can be asked for"
    return
    ;;
esac
case $ob_name in
  '' | -* | *[' @+']*)
    cannot_look "\`$ob_name\` is no name"
    return
    ;;
esac
ob_server=$arg_server ob_port=''
case $ob_server in
  '['*) ob_port=${ob_server##*]} ob_port=${ob_port#:} ob_server=${ob_server%%]*} ob_server=${ob_server#'['} ;;
  *:*:*) ;;
  *:*) ob_port=${ob_server##*:} ob_server=${ob_server%:*} ;;
esac
# dns_hosts: sets ob_out to the addresses that /etc/hosts has for the name
dns_hosts() {
  ob_out='' ob_hosts=$(cat "$ob_root/etc/hosts" 2>/dev/null)
  ob_ifs=$IFS
  set -f
  IFS=$ob_lf
  for ob_l in $ob_hosts; do
    IFS=$ob_ifs
    # shellcheck disable=SC2086 # fields are wanted
    set -- ${ob_l%%#*}
    ob_rest=${1-}
    for ob_w in "$@"; do
      case $ob_w in "$ob_rest") ;; "$ob_name") ob_out=$ob_out$ob_rest$ob_lf ;; esac
    done
  done
  set +f
  IFS=$ob_ifs
  [ -n "$ob_out" ]
}
ob_seconds=$(((arg_timeout + 999) / 1000))
ob_found='' ob_way=''
if [ -z "$ob_server$ob_type" ] && has getent; then
  found_with 'getent ahosts {resolve}'
  ob_out=$(getent ahosts "$ob_name" 2>/dev/null) || ob_out=$(getent hosts "$ob_name" 2>/dev/null)
  ob_status=$?
  # 2 is a name that was not found; anything else is not knowing
  if [ "$ob_status" -gt 2 ]; then
    cannot_look "getent ended with status $ob_status"
    return
  fi
  ob_way=getent
elif [ -z "$ob_server$ob_type" ] && dns_hosts; then
  found_with 'grep -w {resolve} /etc/hosts'
  ob_way=getent
elif has dig; then
  set -- "+time=$ob_seconds" +tries=3 +noall +answer +comments
  if [ -n "$ob_port" ]; then set -- "$@" -p "$ob_port"; fi
  if [ -n "$ob_server" ]; then set -- "$@" "@$ob_server"; fi
  case $ob_type in
    PTR) set -- "$@" -x "$ob_name" ;;
    '') set -- "$@" "$ob_name" A "$ob_name" AAAA ;;
    *) set -- "$@" "$ob_name" "$ob_type" ;;
  esac
  found_with "dig $*"
  if ! ob_out=$(dig "$@" 2>&1); then
    ob_first='dig found no server that answers'
    case $ob_out in *';; '*) ob_first=${ob_out##*;; } ;; esac
    first_line "$ob_first"
    cannot_look "$ob_first"
    return
  fi
  case $ob_out in
    *'status: NOERROR'* | *'status: NXDOMAIN'*) ;;
    *'status: '*)
      ob_first=${ob_out#*status: }
      cannot_look "the server answers \`${ob_first%%,*}\`"
      return
      ;;
  esac
  ob_way=dig
elif has nslookup; then
  case $ob_type$ob_port in
    '' | A | AAAA) ;;
    *)
      cannot_look 'no `dig`'
      return
      ;;
  esac
  set -- "$ob_name"
  if [ -n "$ob_server" ]; then set -- "$@" "$ob_server"; fi
  found_with "nslookup $*"
  ob_out=$(nslookup "$@" 2>&1)
  case $ob_out in
    *'timed out'* | *'no servers could be reached'* | *'onnection refused'* | *'bad address'*)
      first_line "$ob_out"
      cannot_look "nslookup: $ob_first"
      return
      ;;
  esac
  ob_way=nslookup
elif [ -n "$ob_server$ob_type" ]; then
  cannot_look 'no `dig` or `nslookup`'
  return
else
  cannot_look 'no `getent`, `dig` or `nslookup`'
  return
fi
ob_ifs=$IFS ob_name=''
set -f
IFS=$ob_lf
for ob_l in $ob_out; do
  IFS=$ob_ifs
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_l
  case $ob_way in
    getent)
      # One line for each kind of socket, one after the other.
      case "$ob_found$ob_lf" in *"$ob_lf$1$ob_lf"*) continue ;; esac
      ob_found=$ob_found$ob_lf$1
      fact addrs "$1"
      continue
      ;;
    nslookup)
      # The first address is the server's own.
      case $1 in
        Name:) ob_name=1 ;;
        Address: | Address)
          [ -n "$ob_name" ] || continue
          case $1 in Address) shift ;; esac
          case "$ob_type ${2-}" in 'A '*:* | 'AAAA '*.*) continue ;; esac
          ob_found=1
          fact addrs "$2"
          ;;
      esac
      continue
      ;;
  esac
  case $1 in ';'* | '') continue ;; esac
  case "${3-} ${4-} $ob_type" in
    'IN A A' | 'IN A ' | 'IN AAAA AAAA' | 'IN AAAA ' | "IN $ob_type $ob_type") ;;
    *) continue ;;
  esac
  ob_found=1
  case $4 in
    TXT)
      # Each of its strings, without quotes.
      ob_rest=${ob_l#*TXT}
      ob_rest=${ob_rest#*'"'}
      while :; do
        fact addrs "${ob_rest%%'"'*}"
        ob_rest=${ob_rest#*'"'}
        case $ob_rest in *'"'*) ob_rest=${ob_rest#*'"'} ;; *) break ;; esac
      done
      ;;
    SSHFP)
      ob_rest="$5 $6 "
      shift 6
      for ob_part in "$@"; do ob_rest=$ob_rest$ob_part; done
      fact addrs "$ob_rest"
      ;;
    CAA)
      ob_rest=${7#'"'}
      fact addrs "$5 $6 ${ob_rest%'"'}"
      ;;
    *)
      shift 4
      fact addrs "$*"
      ;;
  esac
done
set +f
IFS=$ob_ifs
if [ -n "$ob_found" ]; then
  fact resolvable true
else
  fact resolvable false
  none addrs
fi
