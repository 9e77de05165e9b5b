# http: what a URL answers, asked from the node
#
# The check fails if the server does not answer. It is an error if the node cannot send the
# request: there is no `curl`, it cannot read a file, or the name does not resolve. No part of the
# request is in an argument list.
#
#: key url url -- the URL
#: arg method text = GET -- method of the request
#: arg request-headers list -- more headers of the request, as `Name: value`
#: arg request-body text -- body of the request
#: arg username text -- for basic authentication
#: arg password text -- for basic authentication
#: arg allow-insecure bool -- do not check the certificate
#: arg no-follow-redirects bool -- take a redirect for the answer
#: arg ca-file text -- certificates to trust, a file on the node
#: arg cert-file text -- certificate to show, a file on the node
#: arg key-file text -- its key, a file on the node
#: arg proxy text -- URL of a proxy
#: arg timeout milliseconds = 5000 -- for all of the answer
#: fact status int gate = 200 -- status of the answer
#: fact headers headers -- patterns for its headers, such as `Content-Type: text/html`
#: fact body lines -- patterns for the lines of its body
#: tools `curl`; for plain requests `wget` is enough
#: waits for the network
#: example "https://www.example.net/healthz": {status: 200, body: [ok], timeout: 2s}
http_option() {
  ob_q='' ob_rest=$2
  while :; do
    ob_head=${ob_rest%%[\\\""$ob_lf"]*}
    ob_q=$ob_q$ob_head
    if [ "$ob_head" = "$ob_rest" ]; then break; fi
    ob_rest=${ob_rest#"$ob_head"}
    case $ob_rest in
      '"'*) ob_q=$ob_q'\"' ;;
      \\*) ob_q=$ob_q\\\\ ;;
      *) ob_q=$ob_q'\n' ;;
    esac
    ob_rest=${ob_rest#?}
  done
  printf '%s = "%s"\n' "$1" "$ob_q"
}
http_options() {
  http_option url "$arg_url"
  case $arg_method in
    HEAD) echo head ;;
    *) http_option request "$arg_method" ;;
  esac
  ob_agent=1 ob_content=1
  ob_ifs=$IFS
  IFS=$ob_lf
  set -f
  for ob_l in $arg_request_headers; do
    case $ob_l in
      [Uu][Ss][Ee][Rr]-[Aa][Gg][Ee][Nn][Tt]:*) ob_agent='' ;;
      [Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee]:*) ob_content='' ;;
    esac
    http_option header "$ob_l"
  done
  set +f
  IFS=$ob_ifs
  if [ -n "$ob_agent" ]; then http_option user-agent opsbook; fi
  if [ -n "$arg_request_body" ]; then
    # old versions know only the one for which `@` names a file
    case $arg_request_body in
      '@'*) http_option data-raw "$arg_request_body" ;;
      *) http_option data-binary "$arg_request_body" ;;
    esac
    http_option header Expect:
    if [ -n "$ob_content" ]; then http_option header Content-Type:; fi
  fi
  if [ -n "$arg_username$arg_password" ]; then http_option user "$arg_username:$arg_password"; fi
  # a bracket or brace is one, and no pattern for several addresses
  echo globoff
  if [ "$arg_allow_insecure" = true ]; then echo insecure; fi
  if [ "$arg_no_follow_redirects" != true ]; then
    echo location
    http_option max-redirs 10
  fi
  if [ -n "$arg_ca_file" ]; then http_option cacert "$arg_ca_file"; fi
  if [ -n "$arg_cert_file" ]; then http_option cert "$arg_cert_file"; fi
  if [ -n "$arg_key_file" ]; then http_option key "$arg_key_file"; fi
  if [ -n "$arg_proxy" ]; then http_option proxy "$arg_proxy"; fi
}
# http_by_hand: the same request as a command; what it is allowed with is asked for, not shown
http_by_hand() {
  case $arg_method in
    HEAD) set -- -I ;;
    GET) set -- -i ;;
    *) set -- -i -X "$arg_method" ;;
  esac
  case $arg_url in *[]{}[]*) set -- "$@" -g ;; esac
  if [ "$arg_allow_insecure" = true ]; then set -- "$@" -k; fi
  if [ "$arg_no_follow_redirects" != true ]; then set -- "$@" -L; fi
  ob_content=1
  ob_ifs=$IFS
  IFS=$ob_lf
  set -f
  for ob_l in $arg_request_headers; do
    case $ob_l in [Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee]:*) ob_content='' ;; esac
    set -- "$@" -H "$ob_l"
  done
  set +f
  IFS=$ob_ifs
  if [ -n "$arg_request_body" ]; then
    set -- "$@" --data-raw "$arg_request_body"
    if [ -n "$ob_content" ]; then set -- "$@" -H Content-Type:; fi
  fi
  if [ -n "$arg_username" ]; then set -- "$@" -u "$arg_username"; fi
  if [ -n "$arg_ca_file" ]; then set -- "$@" --cacert "$arg_ca_file"; fi
  if [ -n "$arg_cert_file" ]; then set -- "$@" --cert "$arg_cert_file"; fi
  if [ -n "$arg_key_file" ]; then set -- "$@" --key "$arg_key_file"; fi
  if [ -n "$arg_proxy" ]; then set -- "$@" -x "$arg_proxy"; fi
  by_hand curl "$@" -m "$ob_limit" "$arg_url"
}
case $arg_url in
  [Hh][Tt][Tt][Pp]://* | [Hh][Tt][Tt][Pp][Ss]://*) ;;
  *)
    cannot_look "\`$arg_url\` does not begin with \`http://\` or \`https://\`"
    return
    ;;
esac
for ob_l in "$arg_ca_file" "$arg_cert_file" "$arg_key_file"; do
  if [ -n "$ob_l" ] && ! [ -r "$ob_l" ]; then
    cannot_look "cannot read \`$ob_l\`"
    return
  fi
done
ob_ms=000$((arg_timeout % 1000))
ob_limit=$((arg_timeout / 1000)).${ob_ms#"${ob_ms%???}"}
if has curl; then
  http_by_hand
  set -- -q -sS -K - --max-time "$ob_limit" -w '\n%{http_code} %{size_header}'
  if wants body; then set -- "$@" -i; else set -- "$@" -D - -o /dev/null; fi
  stream answer
  { ob_out=$(http_options | curl "$@" 2>&1 >&3 3>&-); } 3>&1
  ob_status=$?
  stream_end
  case $ob_status in
    0) fact curl-answer answer ;;
    1 | 2 | 3 | 4 | 5 | 26 | 27 | 41 | 43 | 45 | 48 | 53 | 54 | 58 | 59 | 66 | 77 | 82)
      first_line "$ob_out"
      cannot_look "$ob_first"
      ;;
    *)
      if [ "$ob_status" -gt 125 ]; then
        cannot_look "curl ended with status $ob_status"
        return
      fi
      first_line "$ob_out"
      case $ob_status:$ob_first in
        # nobody was asked
        6:* | 28:*esolving*) cannot_look "$ob_first" ;;
        *) absent status "$ob_first" ;;
      esac
      ;;
  esac
elif ! has wget; then
  cannot_look 'no `curl` or `wget`'
elif [ -n "$arg_request_headers$arg_request_body$arg_username$arg_password$arg_ca_file$arg_cert_file$arg_key_file$arg_proxy" ] ||
  [ "$arg_method" != GET ] || [ "$arg_no_follow_redirects" = true ]; then
  cannot_look 'no `curl`, and `wget` cannot make such a request'
else
  words wget -S -O - "$arg_url"
  if [ "$arg_allow_insecure" = true ]; then words wget -S -O - --no-check-certificate "$arg_url"; fi
  found_with "$ob_words"
  set -- -S -O -
  if [ "$arg_allow_insecure" = true ]; then set -- "$@" --no-check-certificate; fi
  stream body
  { ob_out=$(LC_ALL=C wget -T "$(((arg_timeout + 999) / 1000))" "$@" -- "$arg_url" 2>&1 >&3 3>&-); } 3>&1
  ob_ended=$?
  if [ "$ob_ended" -gt 128 ]; then
    # some of busybox fall over their own time limit; the check has one, too
    { ob_out=$(LC_ALL=C wget "$@" -- "$arg_url" 2>&1 >&3 3>&-); } 3>&1
    ob_ended=$?
  fi
  stream_end
  if [ "$ob_ended" -gt 125 ]; then
    cannot_look "wget ended with status $ob_ended"
    return
  fi
  ob_headers='' ob_status=''
  ob_ifs=$IFS
  IFS=$ob_lf
  set -f
  for ob_l in $ob_out; do
    case $ob_l in
      '  HTTP/'*)
        ob_status=${ob_l#*HTTP/* } ob_status=${ob_status%% *}
        ob_headers=''
        ;;
      '  '*:*) ob_headers=$ob_headers$ob_lf${ob_l#'  '} ;;
    esac
  done
  set +f
  IFS=$ob_ifs
  if [ -n "$ob_status" ]; then
    fact status "$ob_status"
    fact headers "${ob_headers#"$ob_lf"}"
  else
    case $ob_out in
      # nobody was asked
      *'bad address'* | *'unable to resolve'*) cannot_look "${ob_out##*"$ob_lf"}" ;;
      *) absent status "${ob_out##*"$ob_lf"}" ;;
    esac
  fi
fi
