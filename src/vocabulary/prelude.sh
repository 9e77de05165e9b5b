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
# has TOOL: whether the node has this command
has() { command -v "$1" >/dev/null 2>&1; }
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
# passwd: sets ob_passwd to the local users, read once
passwd() { [ -n "${ob_passwd-}" ] || ob_passwd=$(cat "$ob_root/etc/passwd" 2>/dev/null); }
# groups_db: sets ob_groups to the local groups, read once
groups_db() { [ -n "${ob_groups-}" ] || ob_groups=$(cat "$ob_root/etc/group" 2>/dev/null); }
if ! read -r ob_nonce </proc/sys/kernel/random/uuid 2>/dev/null; then
  ob_nonce=$(od -An -N16 -tx1 </dev/urandom 2>/dev/null)
  ob_nonce=$PPID-$(echo "$ob_nonce" | tr -d ' ')-nonce
fi
printf '\nopsbook-facts %s\n' "$ob_nonce"
ob_begin() {
  printf '\n%s B %s\n' "$ob_nonce" "$1"
  printf '\n%s B %s\n' "$ob_nonce" "$1" >&2
}
ob_end() {
  printf '\n%s E %s\n' "$ob_nonce" "$1"
  printf '\n%s E %s\n' "$ob_nonce" "$1" >&2
}
