# timer: a timer of systemd
#
#: key name text -- name of the timer; `.timer` is understood
#: fact exists bool gate = true -- systemd knows it
#: fact enabled bool -- it is started at boot
#: fact running bool -- it is waiting, or its service runs now
#: fact result text -- how its service ended last: `success`, `exit-code`, `timeout` …
#: fact age int -- seconds since it last went off
#: tools `systemctl`; for `age` one that knows `--timestamp` (systemd 248)
#: example certbot: {enabled: true, running: true, result: success, age: {lt: 90000}}
case $arg_name in
  '' | */* | -*)
    cannot_look "\`$arg_name\` is no name of a timer"
    return
    ;;
esac
if ! [ -d "$ob_root/run/systemd/system" ] || ! has systemctl; then
  cannot_look 'systemd does not run here'
  return
fi
ob_name=${arg_name%.timer}.timer
found_with 'systemctl list-timers --all {name}*'
if ! ob_show=$(LC_ALL=C systemctl show -p LoadState -p ActiveState -p UnitFileState -p Unit "$ob_name" 2>&1); then
  first_line "$ob_show"
  cannot_look "systemctl: $ob_first"
  return
fi
ob_load='' ob_active='' ob_file='' ob_unit=''
for ob_l in $ob_show; do
  case $ob_l in
    LoadState=*) ob_load=${ob_l#*=} ;;
    ActiveState=*) ob_active=${ob_l#*=} ;;
    UnitFileState=*) ob_file=${ob_l#*=} ;;
    Unit=*) ob_unit=${ob_l#*=} ;;
  esac
done
case $ob_load in
  '')
    cannot_look 'systemctl says nothing about it'
    return
    ;;
  not-found)
    fact exists false
    return
    ;;
esac
fact exists true
case $ob_active in active | reloading | refreshing) fact running true ;; *) fact running false ;; esac
case $ob_file in enabled | enabled-runtime | static | alias | indirect | generated | transient) fact enabled true ;; *) fact enabled false ;; esac
if wants result; then
  ob_l=$(LC_ALL=C systemctl show -p Result "${ob_unit:-${ob_name%.timer}.service}" 2>/dev/null)
  case $ob_l in Result=?*) fact result "${ob_l#*=}" ;; esac
fi
if wants age; then
  ob_l=$(LC_ALL=C systemctl show --timestamp=unix -p LastTriggerUSec "$ob_name" 2>/dev/null)
  case $ob_l in
    LastTriggerUSec=@*) fact age "$(($(date +%s) - ${ob_l#*@}))" ;;
    LastTriggerUSec=*) absent age 'it has never gone off' ;;
    *) cannot_look 'this systemd does not tell when it last went off' ;;
  esac
fi
