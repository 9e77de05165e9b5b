# shellcheck disable=SC1090,SC1091,SC2154,SC2086,SC2034,SC2164,SC3044,SC2016,SC3047 # sources what the run wrote
# Runs a step's script with the working directory and the variables that the steps before it
# left, and keeps its own for the next one. Sources files, so that nothing stands in an
# argument list and line numbers stay the author's.
# usage: sh run NUMBER BUNDLE NAME: waits for the line with its number on descriptor 6, which
# says what to run; or sh -eu run DIR SAVED EXEC
# SAVED names variables; @ among them stands for all that are exported and were not so before:
# a script that sources a file sets what cannot be seen.
case $1 in
/*) ob_step=$1 ob_saved=$2 ob_exec=$3 ;;
*)
  while IFS='|' read -r ob_x ob_nn ob_shell ob_saved ob_exec <&6; do
    if [ "$ob_x" = "$1" ]; then break; fi
  done
  [ "$ob_x" = "$1" ] || exit 1
  ob_step=$2/steps/$ob_nn OPSBOOK_STEP=$3/$ob_nn; export OPSBOOK_STEP
  exec 6<&- >>"$ob_step/out" 2>>"$ob_step/err"
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
ob_hush() { set +xv; [ -z "${BASH_VERSION-}" ] || trap - DEBUG RETURN ERR; }
ob_keep() {
  [ -z "$ob_kept" ] || return 0
  ob_kept=1
  set +eu
  # The script may have functions of these names.
  unset -f printf export sed echo eval
  unset IFS
  if [ "$ob_all" ]; then
    for ob_n in $(ob_exported); do
      case $ob_n in PWD | OLDPWD | SHLVL | _ | OPSBOOK_STEP | ob_*) continue ;; esac
      eval "ob_v=\${$ob_n-} ob_w=\${ob_was_$ob_n-} ob_x=\${ob_was_$ob_n+x}"
      if [ -z "$ob_x" ] || [ "$ob_v" != "$ob_w" ]; then ob_saved="$ob_saved $ob_n"; fi
    done
  fi
  # An array is one for bash alone.
  ob_a=; if [ "$ob_saved" ] && [ "${BASH_VERSION-}" ]; then ob_a=$(declare -p $ob_saved); fi 2>/dev/null
  case $ob_a in *'declare -a'* | *'declare -A'*) ;; *) ob_a= ;; esac
  for ob_n in $ob_saved; do
    eval "ob_v=\${$ob_n-} ob_w=\${$ob_n+x}"
    if [ "$ob_a" ] && ob_array "$ob_n"; then
      ob_put '[ -z "${BASH_VERSION-}" ] || eval ' "$ob_v"
    elif [ "$ob_w" ]; then ob_put "$ob_n=" "$ob_v"; fi
  done >"$ob_step/state"
  # What is exported stays exported.
  ob_w=; [ -z "$ob_saved" ] || ob_w=$(export -p)
  for ob_n in $ob_saved; do
    case $ob_w in *"export $ob_n="* | *"declare -x $ob_n="*) echo "export $ob_n" ;; esac
  done >>"$ob_step/state"
  # The last line says that all of it was written.
  { ob_put 'cd ' "${PWD:-$(pwd)}"; echo '#'; } >>"$ob_step/state"
}
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
if [ -e "$ob_step/values" ]; then . "$ob_step/values"; : >"$ob_step/values"; fi
# What a step set itself is nearer than what the node was given.
if [ -f "$ob_step/../../state" ]; then
  # It enters the folder in which the step before ended, and ends this shell where that is gone.
  trap 'true >"$ob_step/no-folder"' 0
  . "$ob_step/../../state"
  trap - 0
else cd "$ob_step/../.."; fi
if [ "$ob_exec" ]; then exec $ob_exec "$ob_step/script"; fi
ob_kept=
trap '{ ob_status=$?; ob_hush; } >/dev/null 2>&1; ob_keep; exit $ob_status' 0
. "$ob_step/script"
# The script may have a trap of its own in the place of that one.
{ ob_status=$?; ob_hush; } >/dev/null 2>&1; ob_keep; exit $ob_status
