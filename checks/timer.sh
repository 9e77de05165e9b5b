# timer: a timer of systemd
#
# systemd does not store how a service ended: `result` is unknown while the service runs, and
# until it has run since the last boot.
#
#: key name name -- name of the timer; `.timer` is understood
#: fact exists bool gate = true -- systemd knows it
#: fact enabled bool -- it is started at boot
#: fact running bool -- it waits for its time, or its service runs now
#: fact result text -- how its service ended last: `success`, `exit-code`, `timeout` …
#: fact age int -- seconds since it last started its service
#: tools `systemctl`; `date` for `age`
#: example certbot: {enabled: true, running: true, result: success, age: {lt: 90000}}
case $arg_name in
  '' | -* | *[!A-Za-z0-9:_.@\\-]*)
    cannot_look "\`$arg_name\` is not a valid name for a timer"
    return
    ;;
esac
if ! [ -d "$ob_root/run/systemd/system" ] || ! has systemctl; then
  cannot_look 'systemd does not run here'
  return
fi
ob_name=${arg_name%.timer}.timer
by_hand systemctl status "$ob_name"
# As systemctl writes a time, in UTC because that can be read without knowing of time zones.
if ! ob_show=$(TZ=UTC LC_ALL=C systemctl show -p LoadState -p ActiveState -p SubState -p UnitFileState -p Unit -p LastTriggerUSec "$ob_name" 2>&1); then
  first_line "$ob_show"
  cannot_look "systemctl: $ob_first"
  return
fi
ob_load='' ob_active='' ob_sub='' ob_file='' ob_unit='' ob_last=none
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_show; do
  case $ob_l in
    LoadState=*) ob_load=${ob_l#*=} ;;
    ActiveState=*) ob_active=${ob_l#*=} ;;
    SubState=*) ob_sub=${ob_l#*=} ;;
    UnitFileState=*) ob_file=${ob_l#*=} ;;
    Unit=*) ob_unit=${ob_l#*=} ;;
    LastTriggerUSec=*) ob_last=${ob_l#*=} ;;
  esac
done
set +f
IFS=$ob_ifs
words "$ob_name"
ob_l=$ob_words
words "${ob_unit:-${ob_name%.timer}.service}"
found_with "systemctl list-timers --all $ob_l; systemctl status --no-pager -n 0 $ob_l $ob_words"
case $ob_load$ob_active in
  '')
    cannot_look 'systemctl reports nothing about it'
    return
    ;;
  not-foundinactive | not-found)
    fact exists false
    return
    ;;
esac
fact exists true
case $ob_active$ob_sub in
  activewaiting | activerunning) fact running true ;;
  activeelapsed)
    note 'it has gone off, and will not do so again'
    fact running false
    ;;
  *) fact running false ;;
esac
case $ob_file in
  enabled | enabled-runtime | static | alias | indirect | generated | transient) fact enabled true ;;
  bad) cannot_look 'systemd cannot read its file' ;;
  *) fact enabled false ;;
esac
# timer_result: what systemd says of a service whose last run has ended
timer_result() {
  ob_l=$(LC_ALL=C systemctl show -p Result -p ActiveState -p InactiveEnterTimestampMonotonic "${ob_unit:-${ob_name%.timer}.service}" 2>/dev/null)
  case $ob_l in
    *ActiveState=inactive* | *ActiveState=failed*) ;;
    *ActiveState=?*)
      cannot_look 'its service runs now'
      return
      ;;
    *)
      cannot_look 'systemctl reports nothing about its service'
      return
      ;;
  esac
  case $ob_l in
    *Monotonic=[1-9]* | *ActiveState=failed*) ;;
    *)
      cannot_look 'its service has not run since the node started'
      return
      ;;
  esac
  for ob_l in $ob_l; do
    case $ob_l in Result=?*) fact result "${ob_l#*=}" ;; esac
  done
}
# timer_age DATE TIME: counts the seconds of the years since 1970, and of that day
timer_age() {
  ob_ifs=$IFS
  IFS=-:
  # shellcheck disable=SC2086 # fields are wanted
  set -- $1 ${2%%.*}
  IFS=$ob_ifs
  if [ $# -ne 6 ] || ! ob_now=$(date +%s); then
    cannot_look 'this systemd does not report when it last ran'
    return
  fi
  # 08 is no number of a shell
  set -- "$1" "${2#0}" "${3#0}" "${4#0}" "${5#0}" "${6#0}"
  # years begin in March, so that the day that some of them have more is their last one
  if [ "$2" -gt 2 ]; then ob_year=$1 ob_month=$(($2 - 3)); else ob_year=$(($1 - 1)) ob_month=$(($2 + 9)); fi
  ob_days=$((ob_year * 365 + ob_year / 4 - ob_year / 100 + ob_year / 400 + (ob_month * 153 + 2) / 5 + $3 - 719469))
  fact age "$((ob_now - ob_days * 86400 - $4 * 3600 - $5 * 60 - $6))"
}
if wants result; then timer_result; fi
if wants age; then
  case $ob_last in
    '' | n/a) absent age 'it has never gone off' ;;
    @[0-9]*) fact age "$(($(date +%s) - ${ob_last#@}))" ;;
    *[0-9]-[0-9][0-9]-[0-9][0-9]' '[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*' UTC')
      # shellcheck disable=SC2086 # fields are wanted
      set -- $ob_last
      timer_age "$2" "$3"
      ;;
    *) cannot_look 'this systemd does not report when it last ran' ;;
  esac
fi
