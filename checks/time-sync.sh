# time-sync: whether the node's clock is synchronized
#
# A clock that follows only itself (a local reference) follows no source.
#
#: key name text -- what the check is called
#: fact synchronized bool = true -- the clock follows a source
#: fact offset int -- how many seconds the clock is wrong, without a sign; only from chrony and ntpd
#: fact source text -- the source that it follows; only from chrony and ntpd
#: tools `chronyc`, `ntpq` or `timedatectl`
#: waits for the daemon
#: example clock: {synchronized: true, offset: {lt: 0.1}}
if has chronyc && ob_out=$(LC_ALL=C chronyc -n -c tracking 2>/dev/null); then
  found_with 'chronyc tracking'
  ob_ifs=$IFS
  IFS=,
  set -f
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_out
  set +f
  IFS=$ob_ifs
  if [ $# -lt 14 ]; then
    cannot_look 'opsbook does not understand the output of chronyc'
    return
  fi
  case $1 in
    7F7F01* | 00000000) unknown offset 'there is nothing that it could be off from' ;;
    *)
      fact source "$2"
      fact offset "${5#-}"
      ;;
  esac
  case ${14}/$1 in
    *[Ss]ynchronised/* | *[Ss]ynchronized/*) fact synchronized false ;;
    */7F7F01* | */00000000)
      note 'it follows only itself'
      fact synchronized false
      ;;
    Normal/* | Insert* | Delete*) fact synchronized true ;;
    *) cannot_look "chronyc says \`${14}\`" ;;
  esac
elif has ntpq && ob_out=$(LC_ALL=C ntpq -c 'rv 0 leap,refid,offset' 2>/dev/null) && case $ob_out in *leap=*) true ;; *) false ;; esac then
  found_with 'ntpq -c rv'
  case $ob_out in
    *leap=11*) fact synchronized false ;;
    *refid=LOC* | *refid=.LOC* | *refid=LCL* | *refid=127.127.1.*)
      note 'it follows only itself'
      fact synchronized false
      ;;
    *leap=00* | *leap=01* | *leap=10*) fact synchronized true ;;
    *) cannot_look 'opsbook does not understand the output of ntpq' ;;
  esac
  ob_l=${ob_out#*refid=}
  fact source "${ob_l%%[, ]*}"
  ob_l=${ob_out#*offset=}
  ob_l=${ob_l%%[, ]*}
  ob_l=${ob_l%%"$ob_lf"*}
  # milliseconds, in seconds
  fact offset "${ob_l#[-+]}e-3"
elif has timedatectl && ob_out=$(LC_ALL=C timedatectl show -p NTPSynchronized 2>/dev/null) && [ -n "$ob_out" ]; then
  found_with 'timedatectl'
  case $ob_out in
    *=yes) fact synchronized true ;;
    *=no) fact synchronized false ;;
    *) cannot_look 'opsbook does not understand the output of timedatectl' ;;
  esac
else
  cannot_look 'no `chronyc`, `ntpq` or `timedatectl` that answers'
fi
