# service: a service of systemd, OpenRC or init scripts
#
# The check reports what the service manager says. Whether a process really runs and answers,
# `process` and `port` can tell.
#
#: key name name -- name of the unit or script; `.service` is understood
#: fact enabled bool -- starts at boot
#: fact running bool -- has been started
#: fact exists bool -- the service manager knows it
#: fact failed bool -- it ended with an error
#: fact masked bool -- it cannot be started (systemd)
#: fact runlevels list -- the runlevels in which it starts (OpenRC and init scripts)
#: tools `systemctl`, `rc-service`, `service`, or scripts in `/etc/init.d`
#: example nginx: {enabled: true, running: true}
case $arg_name in
  '' | -* | *[!A-Za-z0-9:_.@\\-]*)
    cannot_look "\`$arg_name\` is not a valid name for a service"
    return
    ;;
esac
if [ -d "$ob_root/run/systemd/system" ] && has systemctl; then
  found_with 'systemctl status {name}'
  if ! ob_show=$(LC_ALL=C systemctl show -p LoadState -p ActiveState -p UnitFileState "$arg_name" 2>&1); then
    first_line "$ob_show"
    cannot_look "systemctl: $ob_first"
    return
  fi
  ob_load='' ob_active='' ob_file=''
  for ob_l in $ob_show; do
    case $ob_l in
      LoadState=*) ob_load=${ob_l#*=} ;;
      ActiveState=*) ob_active=${ob_l#*=} ;;
      UnitFileState=*) ob_file=${ob_l#*=} ;;
    esac
  done
  case $ob_load in
    '')
      cannot_look 'systemctl reports nothing about it'
      return
      ;;
    not-found)
      # one that runs, and whose file has gone, is known all the same
      case $ob_active in inactive | '') fact exists false ;; *) fact exists true ;; esac
      ;;
    *) fact exists true ;;
  esac
  case $ob_load in masked) fact masked true ;; *) fact masked false ;; esac
  case $ob_active in failed) fact failed true ;; *) fact failed false ;; esac
  case $ob_active in active | reloading | refreshing) fact running true ;; *) fact running false ;; esac
  case $ob_file in
    # an init script: systemd itself asks another program
    generated)
      if ! wants enabled; then
        :
      elif systemctl -q is-enabled "$arg_name" 2>/dev/null; then
        fact enabled true
      else
        fact enabled false
      fi
      ;;
    enabled | enabled-runtime | static | alias | indirect | transient) fact enabled true ;;
    bad) cannot_look 'systemd cannot read its file' ;;
    *) fact enabled false ;;
  esac
  none runlevels
  return
fi
ob_script=$ob_root/etc/init.d/$arg_name ob_levels=''
if has rc-service; then
  found_with 'rc-service {name} status'
  for ob_l in "$ob_root"/etc/runlevels/*/"$arg_name"; do
    if [ -e "$ob_l" ] || [ -L "$ob_l" ]; then
      ob_l=${ob_l%/*}
      set -- "$@" "${ob_l##*/}"
    fi
  done
elif [ -d "$ob_root/etc/init.d" ] && ! has systemctl; then
  found_with 'service {name} status'
  for ob_l in "$ob_root"/etc/rc[0-9].d/S[0-9][0-9]"$arg_name"; do
    if [ -e "$ob_l" ] || [ -L "$ob_l" ]; then
      ob_l=${ob_l%.d/*}
      set -- "$@" "${ob_l##*rc}"
    fi
  done
  # busybox's init, procd and others keep scripts there too, and start them in ways of their own.
  for ob_l in "$ob_root"/etc/rc[0-9].d; do if [ -d "$ob_l" ]; then ob_levels=1; fi; done
  if [ -z "$ob_levels" ]; then
    if ! [ -e "$ob_script" ]; then
      cannot_look 'no such script in `/etc/init.d`, and no runlevels: another init may know the service'
      return
    fi
    if wants enabled runlevels; then cannot_look 'this system starts its scripts by no runlevels'; fi
    ob_levels=unknown
  fi
elif has systemctl; then
  # systemd is installed, but is not what runs here: only its files can be asked
  found_with 'systemctl is-enabled {name}'
  if wants running failed masked exists runlevels; then
    cannot_look 'systemd is installed, but does not run here'
  fi
  ob_out=$(LC_ALL=C systemctl is-enabled "$arg_name" 2>&1)
  case $?$ob_out in
    0*) fact enabled true ;;
    *disabled* | *masked* | *linked* | *not-found* | *'No such file'*) fact enabled false ;;
    *)
      first_line "$ob_out"
      cannot_look "systemctl: $ob_first"
      ;;
  esac
  return
else
  cannot_look 'no systemd, OpenRC or init scripts'
  return
fi
if [ "$ob_levels" = unknown ]; then
  :
elif [ $# -gt 0 ]; then
  fact enabled true
  for ob_l in "$@"; do fact runlevels "$ob_l"; done
else
  fact enabled false
  none runlevels
fi
fact masked false
if ! [ -e "$ob_script" ]; then
  fact exists false
  fact running false
  fact failed false
  return
fi
fact exists true
if wants running failed; then
  if has rc-service; then
    ob_out=$(rc-service "$arg_name" status 2>&1 </dev/null)
  elif has service; then
    ob_out=$(service "$arg_name" status 2>&1 </dev/null)
  else
    ob_out=$("$ob_script" status 2>&1 </dev/null)
  fi
  ob_status=$?
  # one that knows no `status` says how it is used
  case $ob_out in *[Uu]sage:*) ob_status=200 ;; esac
  if has rc-service && [ "$ob_status" -eq 4 ]; then ob_status=3; fi
  case $ob_status in
    0) fact running true; fact failed false ;;
    1 | 2 | 32) fact running false; fact failed true ;;
    3 | 8 | 16) fact running false; fact failed false ;;
    *)
      first_line "$ob_out"
      cannot_look "${ob_first:-its script} (status $ob_status)"
      ;;
  esac
fi
