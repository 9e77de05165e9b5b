# tls: the certificate of a server, or in a file
#
# opsbook counts `days-left` with the clock of the operator's machine, not of the node. It is an
# error if the server does not answer, or if its name does not resolve. A server that refuses the
# connection or does not speak TLS has no certificate.
#
#: key address endpoint -- `HOST:PORT` (443 if there is none), or the absolute path of a file in PEM form
#: arg server-name text -- the name to ask for, which the certificate must contain; the host if absent
#: arg starttls text -- protocol that begins without TLS, such as `smtp`, `imap` or `postgres`
#: arg ca-file text -- certificates to trust, a file on the node; the node's own if absent
#: arg timeout milliseconds = 5000 -- how long the server may take
#: fact exists bool gate = true -- a certificate is there
#: fact valid bool = true -- trusted, within its dates, and for this name
#: fact problem text -- why it is not valid, as openssl says it; `ok` if it is
#: fact days-left days -- whole days until it expires; negative once it has
#: fact names list -- the names and addresses for which it is valid
#: fact subject text -- its owner
#: fact issuer text -- who issued it
#: fact protocol text -- the protocol in use, such as `TLSv1.3`
#: tools `openssl`; `timeout` to be sure of the time limit
#: waits for the network
#: example www.example.net:443: {days-left: {ge: 21}, names: [www.example.net]}
if ! has openssl; then
  cannot_look 'no `openssl`'
  return
fi
if [ -n "$arg_ca_file" ] && ! [ -r "$arg_ca_file" ]; then
  cannot_look "cannot read \`$arg_ca_file\`"
  return
fi
ob_protocol='' ob_problem=''
case $arg_address in
  /*)
    found_with 'openssl x509 -noout -text -in {address}'
    if ! [ -e "$arg_address" ]; then
      if missing "$arg_address"; then fact exists false; fi
      return
    elif ! ob_pem=$(cat "$arg_address" 2>/dev/null); then
      cannot_look "no permission to read \`$arg_address\`"
      return
    fi
    if wants valid problem; then
      # What follows the first certificate in the file is its chain.
      set -- -untrusted "$arg_address"
      if [ -n "$arg_ca_file" ]; then set -- "$@" -CAfile "$arg_ca_file"; fi
      if [ -n "$arg_server_name" ]; then set -- "$@" -verify_hostname "${arg_server_name%.}"; fi
      words openssl verify "$@" "$arg_address"
      found_with "$ob_words; openssl x509 -noout -text -in {address}"
      if ob_out=$(openssl verify "$@" "$arg_address" 2>&1); then
        ob_problem=ok
      else
        case $ob_out in
          *' lookup: '*) ;;
          *)
            first_line "$ob_out"
            cannot_look "openssl: $ob_first"
            return
            ;;
        esac
        ob_problem=${ob_out#*' lookup: '}
        ob_problem=${ob_problem%%"$ob_lf"*}
      fi
    fi
    ;;
  *)
    host_port "$arg_address" 443 || return 0
    # the dot at the end of a name is for resolvers; a certificate has none
    ob_name=${arg_server_name:-$ob_host} ob_name=${ob_name%.}
    case $ob_ip in
      6) set -- -connect "[$ob_host]:$ob_port" ;;
      *) set -- -connect "$ob_host:$ob_port" ;;
    esac
    case $ob_name in
      *:* | *[!0-9.]*) ob_ip='' ;;
      *) ob_ip=1 ;;
    esac
    case $ob_ip$ob_name in
      1* | *:*) set -- "$@" -verify_ip "${ob_name%%'%'*}" ;;
      *) set -- "$@" -servername "$ob_name" -verify_hostname "$ob_name" ;;
    esac
    if [ -n "$arg_starttls" ]; then set -- "$@" -starttls "$arg_starttls"; fi
    if [ -n "$arg_ca_file" ]; then set -- "$@" -CAfile "$arg_ca_file"; fi
    words openssl s_client "$@"
    found_with "$ob_words </dev/null | openssl x509 -noout -text"
    if has timeout; then
      ob_pem=$(LC_ALL=C timeout "$(((arg_timeout + 999) / 1000))" openssl s_client "$@" 2>&1 </dev/null)
    else
      ob_pem=$(LC_ALL=C openssl s_client "$@" 2>&1 </dev/null)
    fi
    ob_status=$?
    case $ob_pem in
      *'-----BEGIN CERTIFICATE-----'*) ;;
      *)
        # what openssl says of itself has a number before it, or is its first line
        ob_first=''
        case $ob_pem in *:error:*) ob_first=error:${ob_pem#*:error:} ;; *onnect:errno=*) ob_first=connect:errno=${ob_pem#*onnect:errno=} ;; esac
        first_line "${ob_first:-$ob_pem}"
        case $ob_status:$ob_pem in
          124:*) cannot_look "no answer within $(((arg_timeout + 999) / 1000)) s" ;;
          *:*'onnection refused'* | *:*errno=111* | [01]:*'CONNECTED('*)
            # Nobody there, or nobody who speaks TLS.
            note "$ob_first"
            fact exists false
            ;;
          *) cannot_look "openssl: ${ob_first:-it ended with status $ob_status}" ;;
        esac
        return
        ;;
    esac
    # At the beginning of a line: a certificate may have the same words in its names.
    ob_rest=''
    case $ob_pem in
      *"${ob_lf}Verify return code: "*) ob_rest=${ob_pem#*"${ob_lf}Verify return code: "} ;;
      *"$ob_lf    Verify return code: "*) ob_rest=${ob_pem#*"$ob_lf    Verify return code: "} ;;
      *"${ob_lf}Verification: OK"*) ob_problem=ok ;;
    esac
    if [ -n "$ob_rest" ]; then
      ob_problem=${ob_rest%%"$ob_lf"*}
      ob_problem=${ob_problem#*'('} ob_problem=${ob_problem%')'*}
    fi
    case $ob_pem in
      *"${ob_lf}New, "*', Cipher is'*)
        ob_protocol=${ob_pem#*"${ob_lf}New, "}
        ob_protocol=${ob_protocol%%,*}
        ;;
    esac
    ;;
esac
ob_text=$(printf '%s\n' "$ob_pem" | openssl x509 -noout -enddate -subject -issuer -nameopt RFC2253 2>&1)
case $ob_text in
  *notAfter=*) ;;
  *)
    first_line "$ob_text"
    cannot_look "openssl: $ob_first"
    return
    ;;
esac
fact exists true
case $ob_problem in
  '') ;;
  ok) fact valid true ;;
  *)
    fact valid false
    note "$ob_problem"
    ;;
esac
if [ -n "$ob_problem" ]; then fact problem "$ob_problem"; fi
if [ -n "$ob_protocol" ]; then fact protocol "$ob_protocol"; fi
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_text; do
  case $ob_l in
    notAfter=*) fact days-left "${ob_l#*=}" ;;
    subject=*)
      ob_l=${ob_l#*=}
      fact subject "${ob_l# }"
      ;;
    issuer=*)
      ob_l=${ob_l#*=}
      fact issuer "${ob_l# }"
      ;;
  esac
done
IFS=$ob_ifs
if wants names; then
  ob_any=''
  ob_text=$(printf '%s\n' "$ob_pem" | openssl x509 -noout -text 2>/dev/null)
  case $ob_text in
    *'Subject Alternative Name:'*)
      ob_text=${ob_text#*'Subject Alternative Name:'}
      ob_text=${ob_text#*"$ob_lf"}
      ob_text=${ob_text%%"$ob_lf"*}
      IFS=,
      for ob_l in $ob_text; do
        ob_any=1
        fact names "${ob_l#*:}"
      done
      IFS=$ob_ifs
      ;;
  esac
  [ -n "$ob_any" ] || none names
fi
set +f
