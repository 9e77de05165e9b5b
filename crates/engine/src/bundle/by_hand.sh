# shellcheck disable=SC1090,SC2154,SC2086,SC2034,SC2059,SC2016,SC1003,SC1007 # words are meant, a sheet sets the rest
# For a person who goes on by hand: a hand-off sheet sources it in a shell of the terminal, with
# `at`, the place, and `bundle`. What the sheet calls keeps its input; `ob_go` does all of that in
# order, up to the first error. So nothing is read from the terminal while something runs, and an
# interruption leaves no half of a script behind that would be taken for commands.
#   ob_step ob_check    a script: NAME on=PLACE id=FOLDER as=USER in=BUNDLE exit=… saves=… takes=…
#                       moves=1 shell=… exec=… ask=QUESTION every=S for=S
#   ob_values           what the one below it is given: secrets=NAMES captures=NAME:STEP
#   ob_prints ob_looks  what the one above it must print; the second is for eyes
#   ob_person           what a person does
#   ob_stop             nothing below it is run
[ -z "${ob_q-}" ] || rm -rf "$ob_q"
ob_n=0 ob_cut= ob_going= ob_signs= ob_q=$(mktemp -d) && trap 'rm -rf "$ob_q"' 0
for ob_a in /usr/local/sbin /usr/sbin /sbin; do case :$PATH: in *:$ob_a:*) ;; *) PATH=$PATH:$ob_a ;; esac; done
# After an interruption everything is to be pasted again.
ob_anew() { if [ "$ob_going" ]; then ob_n=0 ob_cut= ob_going=; fi; }
ob_keep() {
  ob_anew
  for ob_a do case $ob_a in
    on="$at") ;;
    on=*) : "${ob_cut:=$2: it belongs on ${ob_a#on=}; do it there, then paste here what comes after it}" ;;
  esac; done
  if [ "$ob_cut" ]; then cat >/dev/null; ob_signs=; return 0; fi
  ob_n=$((ob_n+1)); printf '%s\n' "$@" >"$ob_q/$ob_n"; ob_plain >"$ob_q/$ob_n.text"
}
ob_step() { ob_keep step "$@"; }
ob_check() { ob_keep check "$@"; }
ob_values() { ob_keep values "values" "$@"; }
ob_prints() { ob_keep prints "prints" "$@"; }
ob_looks() { ob_keep looks "looks" "$@"; }
ob_person() { ob_keep person "$@"; }
ob_stop() { ob_anew; : "${ob_cut:=$1: $2}"; }
# A sign stands for what a terminal cannot take; a line with the first at its end goes on in the next.
ob_plain() {
  if [ -z "$ob_signs" ]; then cat; return; fi
  set -f; set -- $ob_signs; set +f; ob_signs=
  ob_e=":a
/$1\$/{
N
s/$1\\n//
ba
}"; shift
  for ob_a do ob_e="$ob_e
s/${ob_a%%=*}/$(printf "${ob_a#*=}")/g"; done
  sed -e "$ob_e"
}
ob_put() {
  ob_r=$2 ob_x=
  while :; do case $ob_r in
    *"'"*) ob_x=$ob_x${ob_r%%"'"*}"'\\''"; ob_r=${ob_r#*"'"} ;;
    *) break ;;
  esac; done
  printf "%s'%s'\n" "$1" "$ob_x$ob_r"
}
ob_yes() {
  printf '%s [y/n] ' "$1" >&2; ob_a=; read -r ob_a </dev/tty
  case $ob_a in [yY]*) return 0 ;; esac; return 1
}
ob_bad() { ob_wrong=1; printf '%s\n' "$1; nothing below it was run" >&2; return 1; }
ob_go() {
  if [ "$ob_going" ] || [ "$ob_n$ob_cut" = 0 ]; then ob_n=0 ob_cut= ob_going=; echo 'ob_go: nothing is kept: paste the steps that are to run' >&2; return 1; fi
  ob_going=1 ob_i=0 ob_wrong= ob_with= ob_secrets= ob_captures=
  while [ -z "$ob_wrong" ] && [ $ob_i -lt $ob_n ]; do ob_i=$((ob_i+1)); ob_one; done
  if [ -z "$ob_wrong" ] && [ "$ob_cut" ]; then ob_bad "NOT BEGUN: $ob_cut" || :; fi
  ob_n=0 ob_cut= ob_going=; [ -z "$ob_wrong" ]
}
ob_one() {
  ob_id= ob_as= ob_in= ob_exit=0 ob_saves= ob_takes= ob_moves= ob_shell='sh -eu' ob_exec= ob_ask= ob_every=1 ob_for=0
  { read -r ob_kind; read -r ob_name; while IFS= read -r ob_a; do eval "ob_${ob_a%%=*}=\${ob_a#*=}"; done; } <"$ob_q/$ob_i"
  case $ob_kind in
  values) ob_with=$ob_i; return ;;
  person) ob_fill "$ob_i" || return 0; ob_yes "$ob_name: is it done?" || ob_bad "$ob_name: NOT DONE"; return ;;
  esac
  for ob_a in $ob_secrets; do ob_secret "$ob_a"; done
  for ob_a in $ob_captures; do ob_captured "$ob_a" || return 0; done
  ob_want=; if [ -f "$ob_q/$((ob_i+1))" ]; then read -r ob_want <"$ob_q/$((ob_i+1))"; fi
  case $ob_want in prints | looks) ob_text=$(ob_fill $((ob_i+1))) || { ob_wrong=1; return 0; } ;; *) ob_want= ;; esac
  if [ "$ob_ask" ] && ! ob_yes "$ob_name: $ob_ask"; then ob_bad "$ob_name: NOT BEGUN"; return; fi
  if [ ! -d "$bundle/steps" ]; then ob_bad "$ob_name: NOT BEGUN: $bundle is gone"; return; fi
  ob_d=$bundle/steps/by-hand.$ob_id ob_e=${ob_in:-$bundle}/steps/by-hand.$ob_id
  case $ob_as in '' | "$(id -un)") set -- ;; *) set -- sudo -H -u "$ob_as" -- ;; esac
  ob_waited=0
  # What was interrupted has no end, and is not tried again.
  while ob_try "$@"; [ "$ob_why" ] && [ "$ob_end" ] && [ "$ob_waited" -lt "$ob_for" ]; do sleep "$ob_every"; ob_waited=$((ob_waited+ob_every)); done
  if [ -z "$ob_why" ] && [ "$ob_want" = looks ]; then
    printf '%s\n' "$ob_name must print:" "$ob_text"
    ob_yes "$ob_name: did it?" || ob_why='it did not print what it must'
  fi
  if [ -z "$ob_why" ] && [ "$ob_kind" = step ] && [ -z "$ob_exec" ]; then ob_left "$@"; fi
  if [ -z "$ob_why" ]; then echo "$ob_end" >"$ob_d/ended"; fi
  if [ "$ob_secrets" ]; then echo '[not kept: this step was given a secret]' >"$ob_d/out"; fi
  ob_with= ob_secrets= ob_captures=; [ -z "$ob_want" ] || ob_i=$((ob_i+1))
  if [ "$ob_why" ]; then ob_bad "$ob_name: FAILED: $ob_why"
  elif [ "$ob_kind" = check ]; then echo "$ob_name: it holds"
  else echo "$ob_name: OK"; fi
}
# One try, by the words that make its user; ob_why says why it did not succeed.
ob_try() {
  ob_why='its files cannot be written' ob_end=
  # The login owns its folder, as it keeps there what a step of root prints.
  "$@" rm -rf "$ob_e" && (umask 077; mkdir -p "$ob_d" && rm -f "$ob_d/ended") && true >"$ob_q/status" &&
    "$@" sh -c 'umask 077; mkdir -p "$1" && cat >"$1/script"' sh "$ob_e" <"$ob_q/$ob_i.text" &&
    { if [ "$ob_in" ]; then ob_give "$@"; fi; } &&
    ob_given | "$@" sh -c 'umask 077; cat >"$1/values"' sh "$ob_e" || return 0
  { "$@" $ob_shell "${ob_in:-$bundle}/run" "$ob_e" "$ob_saves" "$ob_exec" </dev/null; echo $? >"$ob_q/status"; } | tee "$ob_d/out"
  # An interruption that this shell drops can end the part that notes the status: nothing is in it then.
  ob_why=; read -r ob_end <"$ob_q/status" || { ob_why='it was interrupted'; return 0; }
  case ",$ob_exit," in *",$ob_end,"*) ;; *) ob_why="its exit status is $ob_end, not $ob_exit"; return 0 ;; esac
  if [ "$ob_want" = prints ] && [ "$(sed 's/[[:space:]]*$//' "$ob_d/out")" != "$ob_text" ]; then
    ob_why='it did not print what it must'; printf '%s\n' "$ob_name must print:" "$ob_text"
  fi
}
ob_given() {
  ob_put bundle= "${ob_in:-$bundle}"
  [ -z "$ob_with" ] || cat "$ob_q/$ob_with.text"
  for ob_a in $ob_secrets; do eval "ob_put $ob_a= \"\$ob_s_$ob_a\""; done
  for ob_a in $ob_captures; do
    ob_captured "$ob_a" && ob_put "${ob_a%%:*}=" "$ob_v"
    [ -z "$ob_exec" ] || echo "export ${ob_a%%:*}"
  done
}
# A variable of this shell, or what is typed and not shown.
ob_secret() {
  eval "[ -z \"\${ob_s_$1+x}\" ]" || return 0
  if eval "[ -z \"\${$1+x}\" ]"; then
    printf '%s needs the secret %s (not shown; %s=… in this shell does as well): ' "$ob_name" "$1" "$1" >&2
    ob_v=$(trap 'stty echo </dev/tty' 0; trap 'exit 1' INT; stty -echo </dev/tty; IFS= read -r ob_v </dev/tty; printf %s "$ob_v")
    echo >&2
  else eval "ob_v=\$$1"; fi
  eval "ob_s_$1=\$ob_v"
}
# ob_fill NUMBER: prints a text with what steps have captured.
ob_fill() {
  ob_t=$(cat "$ob_q/$1.text"); ob_c=
  while IFS= read -r ob_a; do case $ob_a in captures=*) ob_c=${ob_a#*=} ;; esac; done <"$ob_q/$1"
  for ob_a in $ob_c; do
    ob_captured "$ob_a" || return 1
    ob_x=
    while :; do case $ob_t in
      *"{=${ob_a%%:*}}"*) ob_x=$ob_x${ob_t%%"{=${ob_a%%:*}}"*}$ob_v; ob_t=${ob_t#*"{=${ob_a%%:*}}"} ;;
      *) break ;;
    esac; done
    ob_t=$ob_x$ob_t
  done
  printf '%s\n' "$ob_t"
}
# ob_captured NAME:STEP: what that step has printed here; else a variable of this shell, or what
# is typed.
ob_captured() {
  ob_v=$bundle/steps/by-hand.${1#*:}
  if [ -f "$ob_v/ended" ]; then
    ob_v=$(cat "$ob_v/out"); ob_v=${ob_v#"${ob_v%%[![:space:]]*}"}; ob_v=${ob_v%"${ob_v##*[![:space:]]}"}
    return 0
  fi
  ob_v=${1%%:*}
  if eval "[ -z \"\${$ob_v+x}\" ]"; then
    printf '%s needs %s, which step %s has printed elsewhere: ' "$ob_name" "$ob_v" "${1#*:}" >&2
    ob_r=; IFS= read -r ob_r </dev/tty
    if [ -z "$ob_r" ]; then ob_bad "$ob_name: NOT BEGUN"; return 1; fi
    eval "$ob_v=\$ob_r"
  fi
  eval "ob_v=\$$ob_v"
}
# What the steps have set, for another user, whose own bundle is ob_in.
ob_give() {
  if [ ! -f "$bundle/state" ]; then "$@" rm -f "$ob_in/state"; return; fi
  ob_f=$(. "$bundle/state" 2>/dev/null; pwd)
  case $ob_f/ in "$bundle"/*) ob_f=$ob_in${ob_f#"$bundle"} ;; esac
  { cat "$bundle/state"; ob_put 'cd ' "$ob_f"; ob_put 'cd "$PWD" || cd ' "$ob_in"; } | "$@" sh -c 'umask 077; cat >"$1/state"' sh "$ob_in"
}
# What it has set is for the steps below it. From another user it is data: whole assignments of
# names that this step sets, and nothing else.
ob_left() {
  if [ "$("$@" tail -n 1 "$ob_e/state")" != '#' ]; then
    [ -z "$ob_saves" ] || ob_why='it ended well, but its variables and its folder could not be kept'
    return 0
  fi
  if [ -z "$ob_in" ]; then mv -f "$ob_d/state" "$bundle/state" || ob_why='what it has set cannot be kept'; return 0; fi
  "$@" head -c 4194304 "$ob_e/state" >"$ob_q/theirs"
  { if [ -f "$bundle/state" ]; then sed '$!b
/^#$/d' "$bundle/state"; else ob_put 'cd ' "$bundle"; fi
    for ob_a in $ob_takes; do
      sed -n -e "/^$ob_a='\\([^']*'\\\\''\\)*[^']*'\$/p" -e "/^export $ob_a\$/p" "$ob_q/theirs" >"$ob_q/ours"
      if [ "$(grep -c "^$ob_a=" "$ob_q/theirs")" = "$(grep -c "^$ob_a=" "$ob_q/ours")" ]; then cat "$ob_q/ours"
      else ob_why="it ended well, but $ob_a could not be taken over from $ob_as"; fi
    done
    if [ "$ob_moves" ]; then sed -n "/^cd '\\(\\/[^']*'\\\\''\\)*[^']*'\$/p" "$ob_q/theirs" | tail -n 1; fi
    echo '#'
  } >"$ob_q/state"
  cat "$ob_q/state" >"$bundle/.state.part" && mv -f "$bundle/.state.part" "$bundle/state" || ob_why='what it has set cannot be kept'
}
