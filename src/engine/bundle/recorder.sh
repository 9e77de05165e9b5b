# shellcheck disable=SC2086,SC2046,SC2238,SC2013 # words are meant, numbers and /proc names only
# Runs one step, detached, and records how it ends. Stands outside the process group that
# it may have to kill. In the step's directory:
#   script values    what to run, and the variables that it mentions (emptied at once)
#   out err          what it printed, cut at $cap bytes
#   recorder pid     who records, who runs: process id, start time, boot id
#   timed-out stop   why it was told to end; left: what could not be ended or stayed behind
#   status           exit status and how it ended; comes last, by rename
# usage: sh recorder DIR NAME BOOT LIMIT ACCEPTED SHELL EXEC SAVED
cap=67108864
dir=$1 name=$2 boot=$3 limit=$4 accepted=$5 shell=$6 exec=$7 saved=$8
cd "$dir" || exit 1
trap '' HUP INT QUIT PIPE
if command -v setsid >/dev/null 2>&1; then setsid=setsid; else setsid=; fi

start() {
  st=; read -r l 2>/dev/null <"/proc/$1/stat" || return 1
  l=${l##*) }; set -f; set -- $l; set +f
  [ "$1" != Z ] || return 1
  shift 19; st=$1
}
tell() { kill -s "$1" -- "-$p" 2>/dev/null || kill -s "$1" "-$p" 2>/dev/null || { [ -z "$setsid" ] && kill -s "$1" "$p" 2>/dev/null; }; }
# Zombies answer to kill -0 too: look at the processes themselves.
members() {
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
cut_off() {
  set -- $(wc -c <out) $(wc -c <err)
  if [ "$1" -gt $cap ]; then : >cut; dd if=/dev/null of=out bs=1 seek=$cap count=0 2>/dev/null; fi
  if [ "$2" -gt $cap ]; then : >cut; dd if=/dev/null of=err bs=1 seek=$cap count=0 2>/dev/null; fi
}
watch() {
  t=0
  while sleep 1; do
    t=$((t+1)); cut_off
    # The recorder may be killed: the limit holds for as long as anything of the step lives.
    kill -0 $$ 2>/dev/null || alive || return
    if [ $t -ge "$limit" ]; then : >timed-out; end; return; fi
  done
}

start $$; echo "$$ ${st:-0} $boot" >recorder
case $shell in bash) flags='-euo pipefail' ;; *) flags=-eu ;; esac
OPSBOOK_STEP=$name $setsid $shell $flags ../../run "$dir" "$saved" "$exec" </dev/null >>out 2>>err 7<&- &
p=$!
start $p; echo "$p ${st:-0}" >pid
watch </dev/null >/dev/null 2>&1 7<&- &
w=$!
wait $p; s=$?
kill $w 2>/dev/null
how=exited
# One that did its work before it could be stopped was not stopped.
case $accepted in *" $s "*) stopped= ;; *) stopped=stop ;; esac
if [ -e timed-out ]; then how=timed-out; elif [ -e "${stopped:-none}" ]; then how=stopped; fi
[ $how = exited ] || end
if tell 0; then l=$(members); [ -z "$l" ] || echo "$l" >left; fi
if [ $how != exited ]; then
  # Those that left the group are found by their environment, and named.
  l=$(for f in $(grep -lF "OPSBOOK_STEP=$name" /proc/[0-9]*/environ 2>/dev/null); do
    q=${f#/proc/}; q=${q%/environ}
    start "$q" || continue
    c='?'; read -r c 2>/dev/null <"/proc/$q/comm" || :
    echo "$q $c"
  done)
  [ -z "$l" ] || echo "$l" >>left
fi
if [ -s out ] || [ -s err ]; then cut_off; fi
# What cannot be written any more was not kept: output, or what the script has set.
if [ $how = exited ]; then
  if ! printf '%4096s' '' >room; then how=disk-full; fi 2>/dev/null
  : >room
fi
case $accepted in
  *" $s "*)
    if [ $how = exited ] && [ -f state ]; then
      all=; last=; while IFS= read -r l || [ -n "$l" ]; do last=$l; all="$all$l
"; done <state
      old=; while IFS= read -r l || [ -n "$l" ]; do old="$old$l
"; done 2>/dev/null <../../state
      case $last in "cd '"*) [ "$all" = "$old" ] || mv state ../../state ;; *) how=disk-full ;; esac
    fi ;;
esac
printf '%-40s\n' "$s $how" 1<>status.n && mv status.n status
