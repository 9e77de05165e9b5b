# dns: a name that resolves
#
# Without `server`, the check asks the node's own resolver, which includes `/etc/hosts`. With
# it, the check asks that server for records: `TYPE:name` for one of A, AAAA, CAA, CNAME, MX, NS,
# PTR, SRV, SSHFP and TXT; a plain name for A and AAAA. It is an error if the server does not
# answer each question.
#
#: key resolve record -- the name, or `TYPE:name`
#: arg server server -- address of the server, with `:PORT` if it is not 53
#: arg timeout milliseconds = 500 -- how long the server may take; it is asked three times
#: fact resolvable bool gate alias resolveable = true -- there is at least one record
#: fact addrs sorted -- the records
#: tools `getent` (with `bash`, `dig` or `nslookup` to tell a name that is not there from a resolver that does not answer) or `nslookup`; with a server `dig`, or `nslookup` for addresses
#: waits for the network
#: example MX:example.net: {server: 192.0.2.53, addrs: ["10 mail.example.net."]}
ob_type='' ob_name=$arg_resolve
case $ob_name in
  A:* | AAAA:* | CAA:* | CNAME:* | MX:* | NS:* | PTR:* | SRV:* | SSHFP:* | TXT:*)
    ob_type=${ob_name%%:*}
    ob_name=${ob_name#*:}
    ;;
  *:*)
    case $ob_name in
      *[!0-9A-Fa-f:.]*)
        cannot_look "\`${ob_name%%:*}\` is not a type of record that can be asked for"
        return
        ;;
    esac
    ;;
esac
case $ob_name in
  '' | . | -* | .* | *..* | *[!A-Za-z0-9._*:/-]*)
    cannot_look "\`$ob_name\` is not a valid name"
    return
    ;;
esac
ob_server='' ob_port=''
if [ -n "$arg_server" ]; then
  host_port "$arg_server" || return 0
  ob_server=$ob_host
fi
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
      case $ob_w in "$ob_rest") ;; "${ob_name%.}") ob_out=$ob_out$ob_rest$ob_lf ;; esac
    done
  done
  set +f
  IFS=$ob_ifs
  [ -n "$ob_out" ]
}
ob_seconds=$(((arg_timeout + 999) / 1000))
ob_found='' ob_way='' ob_half=''
# dns_reason: sets ob_why to why the node's own resolver found nothing; it is empty where there
# is no such name. `getent` does not tell: to it, a resolver that is dead is a name that is not there
dns_reason() {
  ob_why='`getent` cannot tell a missing name from a resolver that does not answer; there is no `bash`, `dig` or `nslookup` to ask'
  if has bash; then
    # shellcheck disable=SC2016 # bash is to expand it
    ob_out=$(LC_ALL=C RES_OPTIONS="timeout:$ob_seconds attempts:3" bash -c ': <"/dev/tcp/$1/9"' bash "$ob_name" 2>&1)
    case $ob_out in
      *'ot known'* | *'No address associated'* | *'Name does not resolve'*) ob_why='' ;;
      *'name resolution'* | *'Try again'*) ob_why='the resolver does not answer' ;;
      *onnect* | '') ob_why='the resolver says now that there is such a name' ;;
      *) has dig || has nslookup || ob_why="the resolver does not answer: $ob_out" ;;
    esac
    case $ob_why in '`getent`'*) ;; *) return ;; esac
  fi
  if has dig; then
    ob_out=$(dig "+time=$ob_seconds" +tries=3 +noall +comments "$ob_name" 2>&1)
    case $ob_out in
      *'status: NOERROR'* | *'status: NXDOMAIN'*) ob_why='' ;;
      *) ob_why='the resolver does not answer' ;;
    esac
  elif has nslookup; then
    nslookup_asked "$ob_name"
    ob_why=$ob_half
  fi
}
# nslookup_asked WORD…: sets ob_out to what it says, and ob_half to why that is not all
nslookup_asked() {
  ob_out=$(nslookup "$@" 2>&1) ob_half=''
  case $ob_out in
    *'timed out'* | *'no servers could be reached'* | *'onnection refused'* | *'bad address'* | *'parse error'*)
      first_line "$ob_out"
      ob_half="nslookup: $ob_first"
      return
      ;;
  esac
  ob_ifs=$IFS ob_any=''
  set -f
  IFS=$ob_lf
  for ob_l in $ob_out; do
    case $ob_l in
      *NXDOMAIN* | *'No answer'* | *'does not resolve'* | *'ot known'*) ob_any=1 ;;
      *"an't find"* | *"an't resolve"* | *'cannot find'*) ob_half="nslookup: $ob_l" ;;
      Name:*) ob_any=1 ;;
    esac
  done
  set +f
  IFS=$ob_ifs
  if [ -z "$ob_any$ob_half" ]; then ob_half='nslookup reports nothing about it'; fi
}
# dig_half: sets ob_half to why what dig printed is not all of the answer to so many questions
dig_half() {
  ob_half='' ob_answers=0 ob_flags='' ob_alias=''
  ob_ifs=$IFS
  set -f
  IFS=$ob_lf
  for ob_l in $ob_out; do
    case $ob_l in
      *'status: NOERROR'* | *'status: NXDOMAIN'*) ob_answers=$((ob_answers + 1)) ;;
      *'status: '*)
        ob_answers=$((ob_answers + 1))
        ob_l=${ob_l#*status: }
        ob_half="the server answers \`${ob_l%%,*}\`"
        ;;
      ';; flags: '*)
        ob_flags=" ${ob_l#';; flags: '}"
        ob_flags="${ob_flags%%;*} "
        case $ob_flags in
          *' ra '*) ;;
          *' aa '*) ob_alias=1 ;;
          # neither does it know, nor will it ask
          *) case $ob_l in *'ANSWER: 0'*) ob_half='the server only refers to other servers' ;; esac ;;
        esac
        ;;
      *IN*CNAME*) case $ob_alias$ob_type in 1 | 1A | 1AAAA) ob_alias=2 ;; esac ;;
      *IN*A*) case $ob_alias in 2) ob_alias=1 ;; esac ;;
    esac
  done
  set +f
  IFS=$ob_ifs
  if [ "$ob_answers" -lt "$1" ]; then ob_half='the server does not answer all questions'; fi
  case $ob_half$ob_alias in 2) ob_half='the server knows another name for it, and nothing of that' ;; esac
}
if [ -z "$ob_server$ob_type" ] && has getent; then
  by_hand getent ahosts "$ob_name"
  ob_out=$(RES_OPTIONS="timeout:$ob_seconds attempts:3" getent ahosts "$ob_name" 2>/dev/null) || ob_out=$(RES_OPTIONS="timeout:$ob_seconds attempts:3" getent hosts "$ob_name" 2>/dev/null)
  ob_status=$?
  # 2 is a name that was not found; anything else is not knowing
  if [ "$ob_status" -gt 2 ] || [ "$ob_status" -eq 1 ]; then
    cannot_look "getent ended with status $ob_status"
    return
  fi
  if [ -z "$ob_out" ]; then
    dns_reason
    if [ -n "$ob_why" ]; then
      cannot_look "$ob_why"
      return
    fi
    ob_out='' ob_half=''
  fi
  ob_way=getent
elif [ -z "$ob_server$ob_type" ] && dns_hosts; then
  words "$ob_name"
  found_with "grep -w -- $ob_words /etc/hosts"
  ob_way=getent
elif has dig; then
  set -- "+time=$ob_seconds" +tries=3 +noall +answer +comments
  if [ -n "$ob_port" ]; then set -- "$@" -p "$ob_port"; fi
  if [ -n "$ob_server" ]; then set -- "$@" "@$ob_server"; fi
  ob_asked=1
  case $ob_type in
    PTR) set -- "$@" -x "$ob_name" ;;
    '')
      set -- "$@" "$ob_name" A "$ob_name" AAAA
      ob_asked=2
      ;;
    *) set -- "$@" "$ob_name" "$ob_type" ;;
  esac
  by_hand dig "$@"
  ob_out=$(LC_ALL=C dig "$@" 2>&1)
  ob_status=$?
  dig_half "$ob_asked"
  if [ "$ob_status" -ne 0 ] && [ "$ob_answers" -eq 0 ]; then
    ob_first='dig found no server that answers'
    case $ob_out in *';; '*) ob_first=${ob_out##*;; } ;; esac
    first_line "$ob_first"
    cannot_look "$ob_first"
    return
  fi
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
  by_hand nslookup "$@"
  nslookup_asked "$@"
  ob_way=nslookup
elif [ -n "$ob_server$ob_type" ]; then
  cannot_look 'no `dig` or `nslookup`'
  return
else
  cannot_look 'no `getent`, `dig` or `nslookup`'
  return
fi
ob_ifs=$IFS ob_sought=$ob_name ob_name=''
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
# dns_other TYPE FLAG: sets ob_half where the resolver does not answer for addresses of that kind
dns_other() {
  if has dig; then
    case $(dig "+time=$ob_seconds" +tries=3 +noall +comments "$ob_sought" "$1" 2>&1) in
      *'status: NOERROR'* | *'status: NXDOMAIN'*) return ;;
    esac
  elif has nc; then
    case $(LC_ALL=C RES_OPTIONS="timeout:$ob_seconds attempts:3" nc "$2" -z -w 1 "$ob_sought" 9 2>&1 </dev/null) in
      *'in name resolution'* | *'Try again'*) ;;
      *) return ;;
    esac
  else
    return
  fi
  ob_half="the resolver does not answer whether there are addresses of type $1, too"
}
if [ "$ob_way" = getent ] && wants addrs; then
  ob_name=$ob_sought
  case $ob_found in
    *.*:* | *:*.* | '') ;;
    *:*) dns_hosts || dns_other A -4 ;;
    *) dns_hosts || dns_other AAAA -6 ;;
  esac
fi
case $ob_found$ob_half in
  '')
    fact resolvable false
    none addrs
    ;;
  *)
    if [ -n "$ob_found" ]; then fact resolvable true; fi
    if [ -n "$ob_half" ]; then unknown addrs "$ob_half"; fi
    ;;
esac
