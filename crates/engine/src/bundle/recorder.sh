# shellcheck disable=SC2086,SC2046,SC2238,SC2013,SC2094,SC2016 # words are meant, numbers and /proc names only
# Runs the steps of one session, one after the other, each in a shell of its own that stands
# ready ahead of it (run), and records how they end. Detached: it outlives its session for as
# long as a step runs. Stands outside the process groups that it may have to kill. In a
# step's directory:
#   script values    what to run, and the variables that it mentions (emptied at once)
#   out err          what it printed, cut at $cap bytes
#   pid              who runs, who records: process id and start time each, boot id
#   timed-out stop   why it was told to end; left: what could not be ended or stayed behind
#   unset            variables that it may have set, and that its shell could not keep
#   status           exit status, how it ended, bytes of out and err, a dot; written over the
#                    word `running` in one piece, so that a full disk cannot take it away
# usage: sh recorder BUNDLE NAME BOOT SESSION GO [PLACE]; a line of GO starts a step, its end
# stands at the end of the session's standing input. Descriptors: 9 GO, read by the ready
# shell; 5 and 8 what that says of itself; 4 and 3 what is to be watched. The bundle is at PLACE
# until a first line of GO tells that it is published.
#
# The ready shell is no job in the background: what is started with `&` ignores SIGINT and
# SIGQUIT for good, and with it all that a step starts. So it reads GO itself, and this shell
# waits for it.
cap=67108864
bundle=$1 name=$2 boot=$3 session=$4 go=$5
# It may be published between two looks.
cd "${6:-$bundle}/steps" 2>/dev/null || cd "$bundle/steps" || exit 1
# A session that has ended meanwhile writes to GO no more, and to open a pipe that nobody writes
# to takes for ever: it is held open for writing for that moment.
exec 6<>"$go" 9<"$go" 5<>"$go.n" 8<"$go.n" 4<>"$go.w" 3<"$go.w" || exit 1
exec 6>&-
trap '' HUP INT QUIT PIPE
if command -v setsid >/dev/null 2>&1; then setsid=setsid; else setsid=; fi
nn=; p=; hired=0; turn=0

start() {
  st=; read -r l 2>/dev/null <"/proc/$1/stat" || return 1
  l=${l##*) }; set -f; set -- $l; set +f
  [ "$1" != Z ] || return 1
  shift 19; st=$1
}
# Not a zombie either.
lives() { [ -e "/proc/$1/exe" ]; }
tell() {
  if [ "$setsid" ]; then kill -s "$1" -- "-$p" 2>/dev/null || kill -s "$1" "-$p" 2>/dev/null; return; fi
  strays | while read -r q c; do kill -s "$1" "$q"; done 2>/dev/null
}
# Zombies answer to kill -0 too: look at the processes themselves. Without setsid a step has no
# group of its own.
members() {
  if [ -z "$setsid" ]; then strays; return; fi
  for f in /proc/[0-9]*/stat; do
    l=; read -r l 2>/dev/null <"$f" || continue
    q=${f#/proc/}; q=${q%/stat}; c=${l#*\(}; c=${c%)*}; l=${l##*) }
    set -f; set -- $l; set +f
    [ "$1" != Z ] && [ "${3-}" = "$p" ] && echo "$q $c"
  done
}
alive() { tell 0 && [ -n "$(members)" ]; }
end() {
  tell TERM
  n=0; while [ $n -lt 10 ] && alive; do sleep 1; n=$((n+1)); done
  if alive; then tell KILL; n=0; while [ $n -lt 5 ] && alive; do sleep 1; n=$((n+1)); done; fi
}
# Those that left the group are found by their environment. What the step's shell has forked
# has the one in which that shell stood ready.
strays() {
  for f in $(heirs -e "OPSBOOK_STEP=$name/$nn" -e "OPSBOOK_STEP=$name/+$$.$turn"); do
    q=${f#/proc/}; q=${q%/environ}
    start "$q" || continue
    c='?'; read -r c 2>/dev/null <"/proc/$q/comm" || :
    echo "$q $c"
  done
}
# As obb_heirs in bundle.sh.
heirs() {
  r=$(grep -lzF "$@" -e 'ob_d=$1' "$session/w" /proc/[0-9]*/environ)
  case $r in "$session/w"*) echo "${r#"$session/w"}"; return ;; esac
  for f in /proc/[0-9]*/environ; do
    if [ -e "${f%environ}exe" ] && tr '\0' '\n' <"$f" | grep -qF "$@"; then echo "$f"; fi
  done
} 2>/dev/null
cut_off() {
  o=0 e=0
  # Of a FIFO that a step has put there, nobody would see the end.
  if [ -s "$nn/out" ] || [ -s "$nn/err" ]; then
    if [ -f "$nn/out" ] && [ -f "$nn/err" ]; then set -- $(wc -c "$nn/out" "$nn/err"); o=$1 e=$3; fi
  fi
  if [ "$o" -gt $cap ]; then o=$cap; cut out; fi
  if [ "$e" -gt $cap ]; then e=$cap; cut err; fi
}
cut() { true >"$nn/cut"; dd if=/dev/null of="$nn/$1" bs=1 seek=$cap count=0 2>/dev/null; }
# Where the step's own streams stand tells what it has printed, and costs no process: a look
# each tenth of a second, more often while much comes. The sizes have the last word.
glance() {
  a=0 b=0
  read -r _ a <"/proc/$p/fdinfo/1"; read -r _ b <"/proc/$p/fdinfo/2"
  grown=$((a+b-seen)) seen=$((a+b)) pause=0.1
  if [ $grown != 0 ] && { [ "$a" -gt $cap ] || [ "$b" -gt $cap ]; }; then cut_off; pause=0.02
  elif [ $grown -gt 4194304 ]; then pause=0.02; fi
}
# Has a second begun since the last one that was seen? However long a machine sleeps, it
# counts once.
second() {
  read -r u _ </proc/uptime || { sleep 1; return 0; }
  [ "${u%.*}" != "$now" ] && now=${u%.*}
}
over() { dot=; [ -f "$nn/status" ] && read -r _ _ _ _ dot <"$nn/status"; [ "$dot" = . ]; }
attend() {
  t=-1 seen=0 pause=0.1 now=; second
  until over; do
    sleep $pause 7<&- || sleep 1 7<&- || return
    glance
    second || continue
    t=$((t+1)); cut_off
    lives $$ || alive || return
    # Where its record is gone from under it, the step itself tells.
    [ -d "$nn" ] || alive || return 0
    [ $t -ge "$limit" ] || continue
    # One that has ended, and waits for its recorder, was in time.
    if lives "$p" || alive; then true >"$nn/timed-out"; end; fi
    return 0
  done
}

# The time limits and the cap, of all steps. The recorder may be killed: both hold for as
# long as anything of the step at hand lives.
watch() {
  while [ -z "$nn" ] || attend; do
    # What a watch that was killed did not read is of steps before.
    turn=0; until [ "$turn" -gt $hired ]; do read -r turn nn p limit <&3 || return; done
  done
}
# It ends where its line does, so it must not hold the other end itself: some shells keep what
# is closed for a function only.
guard() { (exec </dev/null >/dev/null 2>&1 4>&- 5>&- 8<&- 9<&-; watch) & w=$!; }

# A shell for the step to come; s is its status. It is given the pipe GO open, for to open
# one that nobody will write to again takes for ever. What this shell ignores, a script must
# not; without setsid, a hangup would reach what the step starts.
hire() {
  hired=$((hired+1))
  ( trap - INT QUIT PIPE; if [ "$setsid" ]; then trap - HUP; fi
    OPSBOOK_STEP=$name/+$$.$hired; export OPSBOOK_STEP
    exec $setsid sh "$bundle/run" $hired "$bundle" "$name" "$session" "$w" "$self"
  ) 6<&9 </dev/null >/dev/null 2>&1 3<&- 7<&- 8<&- 9<&-
  s=$?
  # What it has said of itself, and nothing of an earlier one.
  echo none >&5; said=none
  while IFS= read -r l <&8 && [ "$l" != none ]; do
    case $l in "$hired "*) said=${l#* } ;; esac
  done
}

# What cannot be written any more was not kept: output, or what the script has set. The first
# line of the state is the script's own status, which what came after it does not change; the
# last line is written at the end of all, and so tells of both.
kept() {
  all=; last=; first=
  if [ -f "$nn/state" ]; then
    while IFS= read -r l || [ -n "$l" ]; do first=${first:-$l} last=$l; all="$all$l
"; done <"$nn/state"
    case $first in \#[0-9]*) s=${first#?} all=${all#*
} ;; esac
  fi
  # Of one that failed, nobody goes on with what it has set.
  case $accepted in *" $s "*) ;; *) [ ! -e "$nn/state" ] || true >"$nn/state"; [ "$last" = '#' ] || room; return ;; esac
  if [ "$last" != '#' ]; then
    room || return
    # Its shell could not, or is not there any more: the script has called `exec`.
    if [ -z "$exec" ] && [ "$saved" ]; then echo "$saved" >"$nn/unset"; fi
    return 0
  fi
  old=
  if [ -f ../state ]; then
    while IFS= read -r l || [ -n "$l" ]; do old="$old$l
"; done <../state
  fi
  [ "$all" = "${old#\#[0-9]*
}" ] || mv "$nn/state" ../state
}
room() {
  # Where the step has no way to it any more, it is not there for that.
  [ -w "$bundle/steps/$nn" ] || return 1
  if printf '%4096s' '' >"$nn/room"; then true >"$nn/room"; return 0; fi 2>/dev/null
  true >"$nn/room"; return 1
}

# After the end of the step's first process, whose status is s.
conclude() {
  how=exited
  # One that did its work before it could be stopped was not stopped.
  case $accepted in *" $s "*) stopped= ;; *) stopped=$nn/stop ;; esac
  if [ -e "$nn/timed-out" ]; then how=timed-out; elif [ -e "${stopped:-none}" ]; then how=stopped; fi
  if [ $how != exited ]; then kill $w 2>/dev/null; end; fi
  if tell 0; then l=$(members); [ -z "$l" ] || echo "$l" >"$nn/left"; fi
  if [ $how != exited ] && [ "$setsid" ]; then l=$(strays); [ -z "$l" ] || echo "$l" >>"$nn/left"; fi
  cut_off
  if [ -e "$nn/no-folder" ]; then how=no-folder; fi
  if [ $how = exited ]; then kept || how=disk-full; fi
  printf '%-38s .\n' "$s $how $o $e" 1<>"$nn/status"
}

# The session may be gone: it reads the status where it is then. It reads it now, too, and is
# only told that it is there.
report() {
  l=; read -r l _ 2>/dev/null <"$session/pid"
  lives "${l:-0}" || return 0
  if [ -e "$nn/left" ] || [ -e "$nn/cut" ] || [ -e "$nn/unset" ] || [ $((o+e)) != 0 ]; then
    { if [ -e "$nn/left" ]; then while read -r l; do echo "LEFT $l"; done <"$nn/left"; fi
      if [ -e "$nn/cut" ]; then echo CUT; fi
      if [ -e "$nn/unset" ]; then read -r l <"$nn/unset"; echo "UNSET $l"; fi
      if [ $((o+e)) -gt 0 ] && [ $((o+e)) -le 65536 ] && [ -f "$nn/out" ] && [ -f "$nn/err" ]; then
        echo OUTPUT; cat "$nn/out" "$nn/err"
      fi
    } >"$session/$id.o" || { true >"$session/$id.o"; echo "$id 0 c FULL" 1<>"$session/f"; return 0; }
  fi
  echo "$id 0 c DONE" 1<>"$session/f"
}

start $$; self="$$ ${st:-0} $boot"
echo "$$ ${st:-0}" >"$go.p"
guard
# Where it cannot be published, there is nothing to record.
[ -z "${6-}" ] || read -r l <&9 || { kill $w; exit; }
idle=0
while [ $idle -lt 5 ]; do
  lives "$w" || guard
  hire
  case $said in
  step\|*)
    idle=0 turn=$hired
    IFS='|'; set -f; set -- $said; set +f; unset IFS
    id=$2 nn=$3 p=$4 accepted=$5 exec=$6 saved=$7
    conclude || break
    report ;;
  # The watch was killed: the line comes again, once there is another.
  again\|*) echo "${said#again|}" 1<>"$go" ;;
  over) break ;;
  # It was killed before it had a line.
  *) idle=$((idle+1)) ;;
  esac
done
kill $w
