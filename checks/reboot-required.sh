# reboot-required: whether updates need a restart of the node
#
# On Debian and similar systems, the check looks for the file that `unattended-upgrades` or
# `update-notifier-common` writes; on Red Hat and similar systems it asks `needs-restarting` or
# `dnf`. Elsewhere it looks whether the modules of the running kernel are still installed.
#
#: key name text -- what the check is called
#: fact required bool = false -- a restart is needed
#: fact packages list -- the packages that ask for it, if the system tells
#: tools none on Debian; `needs-restarting` or `dnf` on Red Hat; `uname`
#: example node: {required: false}
for ob_l in "$ob_root/run/reboot-required" "$ob_root/var/run/reboot-required"; do
  if [ -e "$ob_l" ]; then
    found_with "cat ${ob_l#"$ob_root"} ${ob_l#"$ob_root"}.pkgs"
    fact required true
    none packages
    if [ -r "$ob_l.pkgs" ]; then
      while read -r ob_name; do fact packages "$ob_name"; done <"$ob_l.pkgs"
    fi
    return
  fi
done
if [ -e "$ob_root/etc/redhat-release" ] || [ -e "$ob_root/etc/system-release" ]; then
  if has needs-restarting; then
    found_with 'needs-restarting -r'
    ob_out=$(LC_ALL=C needs-restarting -r 2>&1)
  elif has dnf; then
    found_with 'dnf needs-restarting -r'
    ob_out=$(LC_ALL=C dnf -q needs-restarting -r 2>&1)
  else
    cannot_look 'no `needs-restarting` or `dnf`'
    return
  fi
  ob_status=$?
  case $ob_status$ob_out in
    0*)
      fact required false
      none packages
      ;;
    1*eboot*)
      fact required true
      none packages
      ob_ifs=$IFS
      set -f
      IFS=$ob_lf
      for ob_l in $ob_out; do
        case $ob_l in '  * '*) fact packages "${ob_l#'  * '}" ;; esac
      done
      set +f
      IFS=$ob_ifs
      ;;
    *)
      first_line "$ob_out"
      cannot_look "$ob_first"
      ;;
  esac
  return
fi
found_with 'ls /run/reboot-required; ls -d "/lib/modules/$(uname -r)"'
none packages
# A new kernel that replaced the running one's modules.
if [ -d "$ob_root/lib/modules" ] && has uname; then
  set -- "$ob_root"/lib/modules/*
  if [ -d "$1" ] && ! [ -d "$ob_root/lib/modules/$(uname -r)" ]; then
    fact required true
    return
  fi
elif ! [ -e "$ob_root/etc/debian_version" ]; then
  cannot_look 'nothing on this system reports it'
  return
fi
if [ -e "$ob_root/etc/debian_version" ]; then
  # Without what makes the mark, that it is not there says nothing.
  for ob_l in usr/share/update-notifier/notify-reboot-required etc/kernel/postinst.d/unattended-upgrades; do
    if [ -e "$ob_root/$ob_l" ]; then
      fact required false
      return
    fi
  done
  cannot_look 'this system does not record whether a restart is needed: neither `unattended-upgrades` nor `update-notifier-common` is installed'
  return
fi
fact required false
