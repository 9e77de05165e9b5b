# package: a package of the system's package manager
#
#: key name package -- name of the package
#: arg manager text -- `dpkg`, `rpm`, `apk` or `pacman`; detected if absent
#: fact installed bool gate = true -- it is installed
#: fact versions list -- the installed versions, as the package manager writes them
#: tools `dpkg-query`, `rpm`, `apk` or `pacman`
#: example nginx: {installed: true, versions: {contain-element: {have-prefix: "1.24."}}}
case $arg_name in
  '' | -* | *[!A-Za-z0-9+._:@-]*)
    cannot_look "\`$arg_name\` is not a valid package name"
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
# Does it know any package? Where its database is, it alone can tell.
knows_any() { [ -n "$("$@" 2>/dev/null | { read -r ob_l && echo x; })" ]; }
ob_tool=$ob_manager ob_versions='' ob_why='' ob_between=''
case $ob_manager in dpkg) ob_tool=dpkg-query ;; esac
if ! has "$ob_tool"; then
  cannot_look "no \`$ob_tool\`"
  return
fi
case $ob_manager in
  dpkg)
    found_with "dpkg-query -W -f '\${Package} \${db:Status-Status} \${Version}\\n' {name}"
    # the state alone: the word before it is what somebody wishes
    ob_out=$(LC_ALL=C dpkg-query -f '${db:Status-Status} ${Version}\n' -W "$arg_name" 2>&1)
    # 1 is a package that dpkg has never heard of
    case $?$ob_out in
      0?*) ;;
      1*'no packages found matching'*)
        ob_out=''
        # To it, a database that was removed is one without packages.
        if ! [ -s "$ob_root${DPKG_ADMINDIR:-/var/lib/dpkg}/status" ]; then ob_why='dpkg has no database of packages'; fi
        ;;
      0) ob_why='dpkg-query says nothing about it' ;;
      *) ob_why=$ob_out ;;
    esac
    ;;
  rpm)
    found_with 'rpm -q {name}'
    ob_out=$(LC_ALL=C rpm -q --nosignature --nodigest --qf '%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' "$arg_name" 2>&1)
    ob_status=$?
    case $ob_status$ob_out in
      0) ob_why='rpm says nothing about it' ;;
      *error:*) ob_why=$ob_out ;;
      0*) ;;
      *' is not installed'*)
        ob_out=''
        if ! knows_any rpm -qa; then ob_why='rpm has no database of packages'; fi
        ;;
      *) ob_why=$ob_out ;;
    esac
    ;;
  apk)
    found_with 'apk info -e {name} && apk version {name}'
    ob_out=$(apk info -e "$arg_name" 2>&1)
    case $?$ob_out in
      0*)
        ob_versions=1
        ob_out=$(apk version "$arg_name" 2>/dev/null)
        ;;
      1)
        # Without its database apk knows no package at all.
        if ! [ -e "$ob_root/lib/apk/db/installed" ] && ! [ -e "$ob_root/usr/lib/apk/db/installed" ]; then
          ob_why='apk has no database of packages'
        fi
        ;;
      *) ob_why="apk ended without an answer: $ob_out" ;;
    esac
    ;;
  pacman)
    found_with 'pacman -Q {name}'
    ob_out=$(LC_ALL=C pacman -Q "$arg_name" 2>&1)
    ob_status=$?
    case $ob_status$ob_out in
      0*) ;;
      *' was not found'*)
        ob_out=''
        if ! knows_any pacman -Q; then ob_why='pacman has no database of packages'; fi
        ;;
      *) ob_why=$ob_out ;;
    esac
    ;;
  *) ob_why="\`$ob_manager\` is not a package manager that opsbook knows" ;;
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
    dpkg)
      case $1 in
        installed | triggers-pending | triggers-awaited) ob_version=$2 ;;
        not-installed | config-files | dpkg-query:) continue ;;
        *)
          ob_between=$1
          continue
          ;;
      esac
      ;;
    rpm) ob_version=$1 ;;
    apk) case $1 in "$arg_name"-*) ob_version=${1#"$arg_name"-} ;; *) continue ;; esac ;;
    pacman) ob_version=$2 ;;
  esac
  ob_versions=1
  fact versions "$ob_version"
done
set +f
IFS=$ob_ifs
if [ -n "$ob_versions" ]; then
  fact installed true
else
  case $ob_between in
    '') fact installed false ;;
    half-* | unpacked) neither installed "$ob_between" ;;
    *) cannot_look "dpkg says that it is \`$ob_between\`" ;;
  esac
fi
