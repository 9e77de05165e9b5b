# package: a package of the system's package manager
#
#: key name text -- name of the package
#: arg manager text -- `dpkg`, `rpm`, `apk` or `pacman`; found out where it is not said
#: fact installed bool gate = true -- it is installed
#: fact versions list -- the installed versions, as the package manager writes them
#: tools `dpkg-query`, `rpm`, `apk` or `pacman`
#: example nginx: {installed: true, versions: {contain-element: {have-prefix: "1.24."}}}
case $arg_name in
  '' | -*)
    cannot_look "\`$arg_name\` is no name of a package"
    return
    ;;
esac
ob_manager=$arg_manager
if [ -z "$ob_manager" ]; then
  if [ -e "$ob_root/etc/redhat-release" ] || [ -e "$ob_root/etc/system-release" ]; then
    ob_manager=rpm
  elif [ -e "$ob_root/etc/alpine-release" ]; then
    ob_manager=apk
  elif [ -e "$ob_root/etc/arch-release" ]; then
    ob_manager=pacman
  elif [ -e "$ob_root/etc/debian_version" ] || has dpkg-query; then
    ob_manager=dpkg
  elif has rpm; then
    ob_manager=rpm
  elif has apk; then
    ob_manager=apk
  elif has pacman; then
    ob_manager=pacman
  else
    cannot_look 'no `dpkg-query`, `rpm`, `apk` or `pacman`'
    return
  fi
fi
ob_tool=$ob_manager ob_versions='' ob_why=''
case $ob_manager in dpkg) ob_tool=dpkg-query ;; esac
if ! has "$ob_tool"; then
  cannot_look "no \`$ob_tool\`"
  return
fi
case $ob_manager in
  dpkg)
    found_with 'dpkg-query -W {name}'
    ob_out=$(dpkg-query -f '${Status} ${Version}\n' -W "$arg_name" 2>&1)
    ob_status=$?
    # 1 is a package that dpkg has never heard of
    case $ob_status in 0) ;; 1) ob_out='' ;; *) ob_why=$ob_out ;; esac
    ;;
  rpm)
    found_with 'rpm -q {name}'
    ob_out=$(rpm -q --nosignature --nodigest --qf '%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' "$arg_name" 2>&1)
    ob_status=$?
    case $ob_status$ob_out in
      0*) ;;
      *' is not installed'*) ob_out='' ;;
      *) ob_why=$ob_out ;;
    esac
    ;;
  apk)
    found_with 'apk version {name}'
    if apk info -e "$arg_name" >/dev/null 2>&1; then
      ob_out=$(apk version "$arg_name" 2>/dev/null)
    else
      ob_out=''
      # Without its database apk knows no package at all.
      if ! [ -e "$ob_root/lib/apk/db/installed" ] && ! [ -e "$ob_root/usr/lib/apk/db/installed" ]; then
        ob_why='apk has no database of packages'
      fi
    fi
    ;;
  pacman)
    found_with 'pacman -Q {name}'
    ob_out=$(pacman -Q "$arg_name" 2>&1)
    ob_status=$?
    case $ob_status$ob_out in
      0*) ;;
      *' was not found'*) ob_out='' ;;
      *) ob_why=$ob_out ;;
    esac
    ;;
  *) ob_why="\`$ob_manager\` is no package manager that opsbook knows" ;;
esac
if [ -n "$ob_why" ]; then
  first_line "$ob_why"
  cannot_look "$ob_first"
  return
fi
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_out; do
  IFS=$ob_ifs
  # shellcheck disable=SC2086 # fields are wanted
  set -- $ob_l
  case $ob_manager in
    dpkg) case $ob_l in 'install ok installed '* | 'hold ok installed '*) ob_version=$4 ;; *) continue ;; esac ;;
    rpm) ob_version=$1 ;;
    apk) case $1 in "$arg_name"-*) ob_version=${1#"$arg_name"-} ;; *) continue ;; esac ;;
    pacman) ob_version=$2 ;;
  esac
  ob_versions=1
  fact versions "$ob_version"
done
set +f
IFS=$ob_ifs
if [ -n "$ob_versions" ]; then fact installed true; else fact installed false; fi
