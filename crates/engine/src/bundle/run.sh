# shellcheck disable=SC1090,SC1091,SC2154,SC2086,SC2034,SC2164,SC3044,SC2016,SC3047 # sources what the run wrote
# Runs a step's script with the working directory and the variables that the steps before it
# left, and keeps its own for the next one. Sources files, so that nothing stands in an
# argument list and line numbers stay the author's.
# usage: sh run NUMBER BUNDLE NAME SESSION WATCH RECORDER: waits for a line on descriptor 6,
# which says what to run, and tells the watch (4) and the recorder (5) of it; or
# sh -eu run DIR SAVED EXEC
# SAVED names variables; @ among them stands for all that are exported and were not so before:
# a script that sources a file sets what cannot be seen.
ob_refuse() { rm -f "$ob_step/status" "$ob_step/values"; echo "$ob_id 0 c FAILED $1" 1<>"$ob_session/f"; exit 1; }
case $1 in
/*) ob_step=$1 ob_saved=$2 ob_exec=$3 ;;
*)
  ob_turn=$1 ob_bundle=$2 ob_name=$3 ob_session=$4 ob_watch=$5 ob_recorder=$6
  # While it waits: some shells read this byte by byte.
  ob_since=0
  if read -r ob_x <"/proc/$$/stat"; then ob_x=${ob_x##*) }; set -f; set -- $ob_x; set +f; shift 19; ob_since=$1; fi
  IFS='|' read -r ob_id ob_nn ob_limit ob_accepted ob_shell ob_exec ob_saved <&6 || { echo "$ob_turn over" >&5; exit 1; }
  ob_step=$ob_bundle/steps/$ob_nn OPSBOOK_STEP=$ob_name/$ob_nn; export OPSBOOK_STEP
  ob_there() { if [ -e /proc/self/exe ]; then [ -e "/proc/$1/exe" ]; else kill -0 "$1"; fi; }
  ob_there "${ob_recorder%% *}" || ob_refuse 'its recorder was killed'
  if ! ob_there "$ob_watch"; then
    echo "$ob_turn again|$ob_id|$ob_nn|$ob_limit|$ob_accepted|$ob_shell|$ob_exec|$ob_saved" >&5; exit 1
  fi
  # Of a step whose processes nobody could find, nothing would be known: it does not start.
  echo "$$ $ob_since $ob_recorder" >"$ob_step/pid" ||
    ob_refuse 'its processes cannot be written down: the disk is full or broken, or the record gone'
  echo "$ob_turn $ob_nn $$ $ob_limit" >&4
  echo "$ob_turn step|$ob_id|$ob_nn|$$|$ob_accepted|$ob_exec|$ob_saved" >&5
  exec 4>&- 5>&- 6<&- >>"$ob_step/out" 2>>"$ob_step/err"
  if [ "$ob_shell" = bash ]; then exec bash -euo pipefail "$0" "$ob_step" "$ob_saved" "$ob_exec"; fi
  set -eu ;;
esac
set --
ob_exported() {
  export -p | sed -n 's/^export \([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p;s/^declare -[a-z]* \([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'
}
case " $ob_saved " in
  *' @ '*) for ob_n in $(ob_exported); do eval "ob_was_$ob_n=\${$ob_n-}"; done; ob_all=1 ob_saved=${ob_saved#@} ;;
  *) ob_all= ;;
esac
# What the script traces or traps must not be done to what comes after it.
ob_hush() { set +euxv; [ -z "${BASH_VERSION-}" ] || trap - DEBUG RETURN ERR; }
ob_keep() {
  [ -z "$ob_kept" ] || return 0
  ob_kept=1
  # The script may have functions of these names, and a limit of its own on open files.
  unset -f printf export sed echo eval umask true command
  # First how the script ended: whatever its shell is not able to do from here on, that stands.
  # The owner of the bundle reads what root has set.
  set +C; umask 022; command trap '' XFSZ; true >"$ob_step/state" || return 0
  echo "#$1" >>"$ob_step/state"
  # Where it is read-only, the names must be taken apart without it.
  command unset IFS 2>/dev/null || :
  if [ "$ob_all" ]; then
    for ob_n in $(ob_exported); do
      case $ob_n in PWD | OLDPWD | SHLVL | _ | OPSBOOK_STEP | ob_*) continue ;; esac
      eval "ob_v=\${$ob_n-} ob_w=\${ob_was_$ob_n-} ob_x=\${ob_was_$ob_n+x}"
      if [ -z "$ob_x" ] || [ "$ob_v" != "$ob_w" ]; then ob_saved="$ob_saved $ob_n"; fi
    done
  fi
  # An array is one for bash alone.
  eval "set -- $ob_saved"
  ob_a=; if [ $# -gt 0 ] && [ "${BASH_VERSION-}" ]; then ob_a=$(declare -p "$@"); fi 2>/dev/null
  case $ob_a in *'declare -a'* | *'declare -A'*) ;; *) ob_a= ;; esac
  for ob_n do
    eval "ob_v=\${$ob_n-} ob_w=\${$ob_n+x}"
    if [ "$ob_a" ] && ob_array "$ob_n"; then
      ob_put '[ -z "${BASH_VERSION-}" ] || eval ' "$ob_v"
    elif [ "$ob_w" ]; then ob_put "$ob_n=" "$ob_v"; fi
  done >>"$ob_step/state"
  # What is exported stays exported.
  ob_w=; [ $# = 0 ] || ob_w=$(export -p)
  for ob_n do
    case $ob_w in *"export $ob_n="* | *"declare -x $ob_n="*) echo "export $ob_n" ;; esac
  done >>"$ob_step/state"
  ob_fold
  # The last line says that all of it was written.
  { ob_put 'cd ' "${PWD:-$(pwd)}"; echo '#'; } >>"$ob_step/state"
}
# Root shares its folder with root. Where the bundle is another's, that user goes on in the
# folder before, if it may not enter the one in which root has ended.
ob_fold() {
  ob_from=$ob_step/../from
  if [ -O "$ob_step/../.." ]; then
    [ ! -e "$ob_from" ] || rm -f "$ob_from"
  elif [ ! -e "$ob_from" ] && [ -d "$PWD" ]; then
    { ob_put '[ ! -O / ] && cd ' "$ob_began"; } >"$ob_from"
  fi
} 2>/dev/null
ob_array() {
  ob_r=$(declare -p "$1" 2>/dev/null) || return
  ob_q=${ob_r#declare -}
  case ${ob_q%% *} in *[aA]*) ob_v=$ob_r ;; *) return 1 ;; esac
}
ob_put() {
  ob_r=$2 ob_q=
  while :; do
    case $ob_r in *"'"*) ob_q=$ob_q${ob_r%%"'"*}"'\\''"; ob_r=${ob_r#*"'"} ;; *) break ;; esac
  done
  printf "%s'%s'\n" "$1" "$ob_q$ob_r"
}
# Another shell reads its values itself: what is exported, others can see.
case $ob_exec in dash | ksh | zsh) ob_other=$ob_exec ob_exec='' ;; *) ob_other='' ;; esac
if [ -z "$ob_other" ] && [ -e "$ob_step/values" ]; then . "$ob_step/values"; : >"$ob_step/values"; fi
# What a step set itself is nearer than what the node was given.
if [ -f "$ob_step/../../state" ]; then
  # It enters the folder in which the step before ended. This shell ends where that is gone.
  trap 'true >"$ob_step/no-folder"' 0
  # In a file that is sourced, dash obeys -e where another shell does not.
  set +e
  . "$ob_step/../../state" 2>/dev/null || { [ -e "$ob_step/../from" ] && . "$ob_step/../from" 2>/dev/null; } || exit 1
  set -e
  trap - 0
else cd "$ob_step/../.."; fi
ob_began=$PWD
if [ "$ob_other" ]; then
  exec "$ob_other" -c '
    if [ -e "$1/values" ]; then . "$1/values"; : >"$1/values"; fi
    if [ -e "$1/../../state" ]; then . "$1/../../state"; fi 2>/dev/null
    ob_step=$1; shift; set -eu
    . "$ob_step/script"' "$ob_other" "$ob_step"
fi
if [ "$ob_exec" ]; then exec $ob_exec "$ob_step/script"; fi
# What comes after the script is not traced. Its status is taken while the name of /dev/null is
# made up: where no file can be opened any more, it would be lost afterwards.
# The variable for it has a name that the script cannot have meant for one of its own.
ob_kept='' ob_null=/dev/null ob_x=ob_status_$$; unset "$ob_x"
ob_end="{ ob_hush; } 2>\"\${ob_null%\"\${$ob_x:=\$?}\"}\" >&2 || ob_hush; ob_keep \"\$$ob_x\"; exit \"\$$ob_x\""
trap "$ob_end" 0
# The script may have a trap of its own in the place of that one. All on one line: the shell may echo what it reads.
eval ". \"\$ob_step/script\"; $ob_end"
