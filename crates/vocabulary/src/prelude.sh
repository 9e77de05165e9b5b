# shellcheck disable=SC2154,SC2034,SC2016
# Support for every probe; sent once before the probes of a batch. Facts go out as lines
# `name value`; text of more than one line is framed by the nonce. All names that opsbook
# itself sets begin with `ob_` or `arg_`.
# a probe looks at each status itself
set +eu
ob_root=
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
ob_lf='
'
# fact NAME VALUE: one fact; said again, the next item of a list
fact() {
  case $2 in
    *"$ob_lf"*) printf '%s > %s\n%s\n%s .\n' "$ob_nonce" "$1" "$2" "$ob_nonce" ;;
    *) printf '%s %s\n' "$1" "$2" ;;
  esac
}
# stream NAME … stream_end: what is printed between them is the fact, byte for byte
stream() { printf '%s > %s\n' "$ob_nonce" "$1"; }
stream_end() { printf '\n%s .\n' "$ob_nonce"; }
# none NAME: an empty list
none() { printf 'none %s\n' "$1"; }
# absent NAME WHY: looked, and there is no such thing
absent() { fact absent "$1 ${2-}"; }
# neither NAME STATE: looked, and it is neither true nor false, but in this state
neither() { fact neither "$1 $2"; }
# unknown NAME WHY: what has been reported of it does not count
unknown() {
  fact unknown "$1"
  cannot_look "$2"
}
# note TEXT: what the tool said, for who reads a failure
note() { fact note "$1"; }
# found_with COMMAND: how to look by hand; {name} stands for that argument, quoted
found_with() { fact found-with "$1"; }
# cannot_look REASON: then return; never a pass, never a failure
cannot_look() { fact cannot-look "$1"; }
# wants NAME…: whether one of these facts was asked for
wants() {
  for ob_w in "$@"; do
    case $want in *" $ob_w "*) return 0 ;; esac
  done
  return 1
}
# has TOOL: whether the node has this command. A busybox may name applets of its own that stand
# nowhere: it starts them by /proc.
has() {
  command -v "$1" >/dev/null 2>&1 || return 1
  [ -e /proc/self/exe ] || case $(command -v "$1") in */*) ;; *) return 1 ;; esac
}
# first_line TEXT: sets ob_first to the first line that is not empty
first_line() {
  ob_first=$1
  while :; do
    case $ob_first in "$ob_lf"*) ob_first=${ob_first#"$ob_lf"} ;; *) break ;; esac
  done
  ob_first=${ob_first%%"$ob_lf"*}
}
# entry TEXT NAME: sets ob_entry to the line of TEXT whose first field, up to `:`, is NAME
entry() {
  ob_entry=
  ob_ifs=$IFS
  IFS=$ob_lf
  set -f
  for ob_l in $1; do
    case $ob_l in
      "$2":*)
        ob_entry=$ob_l
        break
        ;;
    esac
  done
  set +f
  IFS=$ob_ifs
  [ -n "$ob_entry" ]
}
# words WORD…: sets ob_words to them as a line of shell
words() {
  ob_words=
  for ob_word in "$@"; do
    case $ob_word in
      '' | *[!A-Za-z0-9_@%+=:,./-]*)
        ob_quoted=
        while :; do
          ob_part=${ob_word%%"'"*}
          ob_quoted=$ob_quoted$ob_part
          [ "$ob_part" != "$ob_word" ] || break
          ob_quoted=$ob_quoted"'\\''"
          ob_word=${ob_word#*"'"}
        done
        ob_word="'$ob_quoted'"
        ;;
    esac
    ob_words=$ob_words${ob_words:+ }$ob_word
  done
}
# by_hand WORD…: found_with for a command whose words are known here
by_hand() {
  words "$@"
  found_with "$ob_words"
}
# host_port TEXT [PORT]: sets ob_host, without brackets, and ob_port, which is PORT where TEXT
# has none; ob_ip is 4 or 6 where the host is an address. Else it says that it cannot look.
host_port() {
  ob_host=$1 ob_port=${2-} ob_ip='' ob_bad='' ob_said=''
  case $1 in
    '['*']') ob_host=${1#'['} ob_host=${ob_host%']'} ob_ip=6 ;;
    '['*']:'*) ob_host=${1#'['} ob_host=${ob_host%%']'*} ob_said=1 ob_port=${1##*']:'} ob_ip=6 ;;
    *:*:*) ob_ip=6 ;;
    *:*) ob_host=${1%:*} ob_said=1 ob_port=${1##*:} ;;
  esac
  case $ob_ip in
    6)
      ob_part=${ob_host%%'%'*}
      case $ob_part in
        *[!0-9A-Fa-f:.]* | *:::* | *::*::* | *[!:]: | :[!:]* | *[!:.][!:.][!:.][!:.][!:.]* | *.*:*) ob_bad=1 ;;
      esac
      case $ob_host in *'%' | *[!A-Za-z0-9:.%_-]*) ob_bad=1 ;; esac
      case $ob_part in *:*) ;; *) ob_bad=1 ;; esac
      ob_ifs=$IFS
      IFS=:
      # shellcheck disable=SC2086 # without a pattern, as has been seen
      if [ -z "$ob_bad" ]; then set -- "$1" $ob_part; fi
      IFS=$ob_ifs
      case $ob_part in
        *::*) [ $# -le 9 ] || ob_bad=1 ;;
        *.*) [ $# -eq 8 ] || ob_bad=1 ;;
        *) [ $# -eq 9 ] || ob_bad=1 ;;
      esac
      ;;
    *)
      case $ob_host in
        '' | -* | .* | *..* | *[!A-Za-z0-9._-]*) ob_bad=1 ;;
        *[!0-9.]*) ;;
        *) ob_ip=4 ;;
      esac
      ;;
  esac
  case $ob_said:$ob_port in
    :) ;;
    1: | *:*[!0-9]*) ob_bad=1 ;;
    *)
      while :; do
        case $ob_port in 0?*) ob_port=${ob_port#0} ;; *) break ;; esac
      done
      case $ob_port in 0 | ??????*) ob_bad=1 ;; *) [ "$ob_port" -le 65535 ] || ob_bad=1 ;; esac
      ;;
  esac
  [ -z "$ob_bad" ] || cannot_look "\`$1\` is not a host, with or without a port"
  [ -z "$ob_bad" ]
}
# missing PATH: whether there is surely nothing; where that cannot be told, it says so
missing() {
  ob_dir=$1 ob_lost=$1
  while ! [ -e "$ob_dir" ]; do
    ob_lost=$ob_dir
    if [ -L "$ob_dir" ]; then
      case $(LC_ALL=C ls -dL -- "$1" 2>&1) in
        *'No such file or directory'* | *'Not a directory'*) return 0 ;;
      esac
      cannot_look "cannot follow the link \`$ob_dir\`"
      return 1
    fi
    case $ob_dir in
      /*/*) ob_dir=${ob_dir%/*} ;;
      /*) ob_dir=/ ;;
      */*) ob_dir=${ob_dir%/*} ;;
      *) ob_dir=. ;;
    esac
  done
  if [ -d "$ob_dir" ] && ! [ -x "$ob_dir" ]; then
    cannot_look "no permission to look into \`$ob_dir\`"
    return 1
  fi
  # A file system that does not answer any more is listed, and seems not to be there.
  [ -n "${ob_mounts-}" ] || ob_mounts=$(cat "$ob_root/proc/self/mountinfo" 2>/dev/null)
  case $ob_mounts in
    *" ${ob_lost%/} "*)
      cannot_look "what is mounted at \`$ob_lost\` does not answer"
      return 1
      ;;
  esac
}
# unix_answers PATH: sets ob_status to 0 where a socket of the file system takes a connection,
# to 1 where it does not; else it is empty and ob_first says why
unix_answers() {
  ob_status='' ob_first='no `curl`, no fitting `nc`'
  if ! [ -w "$1" ]; then
    ob_first="no permission to connect to \`$1\`"
    return
  fi
  ob_out=$(nc -h 2>&1 </dev/null)
  case $ob_out in
    *' -U'* | *'[-'*U*z*']'* | *'-U	'*)
      nc -zU "$1" >/dev/null 2>&1 </dev/null
      ob_status=$?
      ;;
    *)
      if has curl; then
        # whatever answers: 7 is that no connection was made
        curl -s -o /dev/null -m 2 --unix-socket "$1" http://localhost/ >/dev/null 2>&1 </dev/null
        ob_status=$?
        case $ob_status in
          2) ob_status='' ;;
          7) ob_status=1 ;;
          *) [ "$ob_status" -gt 125 ] || ob_status=0 ;;
        esac
      fi
      ;;
  esac
  case ${ob_status:-0} in
    0 | 1) ;;
    *) ob_status='' ob_first='the tool that connects ended without an answer' ;;
  esac
  # The kernel lists those of its own network namespace only: to be absent there says nothing.
  if [ -z "$ob_status" ]; then
    ob_out=$ob_lf$(grep ' 00010000 ' "$ob_root/proc/net/unix" 2>/dev/null)$ob_lf
    case $ob_out in *" $1$ob_lf"*) ob_status=0 ;; esac
  fi
}
# passwd: sets ob_passwd to the local users, read once
passwd() { [ -n "${ob_passwd-}" ] || ob_passwd=$(cat "$ob_root/etc/passwd" 2>/dev/null); }
# groups_db: sets ob_groups to the local groups, read once
groups_db() { [ -n "${ob_groups-}" ] || ob_groups=$(cat "$ob_root/etc/group" 2>/dev/null); }
# others_know passwd|group: whether the system looks for such names elsewhere than in its files
others_know() {
  [ -r "$ob_root/etc/nsswitch.conf" ] || return 1
  set -f
  while read -r ob_name ob_rest; do
    case $ob_name in "$1:") ;; *) continue ;; esac
    for ob_w in ${ob_rest%%#*}; do
      case $ob_w in
        files | compat | db | systemd | '['*']') ;;
        *)
          set +f
          return 0
          ;;
      esac
    done
  done <"$ob_root/etc/nsswitch.conf"
  set +f
  return 1
}
# ob_tick NAME: how late it is by the node's clock of seconds, where the kernel tells that
# without a process
ob_tick() {
  if IFS=' ' read -r ob_now ob_rest 2>/dev/null </proc/uptime; then
    printf '\n%s T %s %s\n' "$ob_nonce" "$1" "$ob_now"
  fi
}
ob_tick -
ob_begin() {
  printf '\n%s B %s\n' "$ob_nonce" "$1"
  printf '\n%s B %s\n' "$ob_nonce" "$1" >&2
}
ob_end() {
  printf '\n%s E %s\n' "$ob_nonce" "$1"
  printf '\n%s E %s\n' "$ob_nonce" "$1" >&2
  ob_tick "$1"
}
