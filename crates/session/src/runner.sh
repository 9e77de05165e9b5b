# The node's side of a session. Its text is written to the standard input of a POSIX sh,
# which then takes one command a line: ob_more, ob_run, ob_call, ob_here, ob_cancel, ob_watch.
# Nothing of a script or a value ever stands in an argument list.
#
# A few workers, each the leader of a process group, take jobs from a queue and run them in a
# subshell: one fork a job. One shipper prints the results, many with one cat. Forks are what
# a session costs, so that what the shell can do itself is not asked of a program, and what
# quick jobs do not need, more workers and the watchdog, is not started for them.
#
# Descriptors: 3 one newline per queued job, 4 the queue, 5 the turn (one newline: who
# holds it may take a job or kill a worker), 6 ended jobs. This shell alone holds 6 open to
# write, so that the shipper sees its end when this shell ends; it is closed with exec, as some
# shells keep open what is closed for a function only. 7 to 9 belong to whoever uses the
# session; workers do not inherit them.
ob_n=@NONCE@
# Root would make a file of that name, and everything would go into it.
[ -c /dev/null ] || { printf '\n%s N\n' "$ob_n"; exit 70; }
PATH=${PATH:-/usr/bin:/bin}; export PATH
for ob_x in /usr/local/sbin /usr/sbin /sbin; do
  case :$PATH: in *:$ob_x:*) ;; *) PATH=$PATH:$ob_x ;; esac
done
ob_w=0 ob_want=1 ob_q=0 ob_r=0

ob_worker='
ob_d=$1 ob_um=$2 ob_ss=$3 ob_shell=$4 ob_k=$5
exec 6>&- 7>&- 8>&- 9>&-
ob_over() { [ -e "$ob_d/over" ] || [ ! -e "$ob_d/pid" ]; }
ob_named() {
  ob_x=$1 ob_st= ob_l=; read -r ob_l </proc/$$/stat && { set -- ${ob_l##*) }; ob_st=${20-}; }
  ob_over || echo "$$ $ob_st" >"$ob_d/$ob_x.p"; if ob_over; then exit; fi
}
# Is the main shell gone? A read that fails may as well have been interrupted.
ob_orphan() {
  ob_x=; read -r ob_x <"$ob_d/pid"; [ -n "$ob_x" ] || return 0
  [ ! -e "/proc/$ob_x/exe" ] && [ -e /proc/self/exe ]
}
case $6 in
hire | spare)
  # Of t and x it holds the reading end alone, so that it sees the end of who writes there: the main
  # shell, and the watchdog. For the moment of opening it holds both: to open a pipe that nobody
  # will write to takes for ever.
  exec 8<>"$ob_d/t" 3<"$ob_d/t" 4<>"$ob_d/q" 5<>"$ob_d/m" || exit
  exec 8>&-
  if [ $6 = spare ]; then
    ob_named h0; exec 8<>"$ob_d/x" 7<"$ob_d/x"
    until [ -s "$ob_d/dog.x" ] || ob_orphan; do sleep 0.1 || sleep 1; done
    exec 8>&-; read -r ob_k <&7 || exit; exec 7<&-
    set -- "$ob_shell" "$ob_d/w" "$ob_d" "$ob_um" "$ob_ss" "$ob_shell" w0 spare
    if [ -z "$ob_ss" ]; then "$@" & else setsid -f "$@" || setsid setsid "$@"; fi
  fi
  ob_named "h${ob_k#w}"; ob_c=0
  while [ $ob_c -lt 5 ] && [ -e "$ob_d/pid" ]; do
    : >"$ob_d/$ob_k.j"
    $ob_ss "$ob_shell" "$ob_d/w" "$ob_d" "$ob_um" "$ob_ss" "$ob_shell" "$ob_k" work
    ob_s=$? ob_j=""
    read -r ob_j ob_x <"$ob_d/$ob_k.j"
    if [ -n "$ob_j" ]; then echo "$ob_j $ob_s" 1<>"$ob_d/f"; else ob_c=$((ob_c+1)); fi
  done
  exit ;;
esac
trap : TERM HUP INT
ob_named "$ob_k"
while :; do
  read -r ob_x <&3 || { ob_orphan && exit; continue; }
  until read -r ob_x <&5; do :; done
  read -r ob_j ob_t ob_g ob_f ob_i <&4
  echo "$ob_j $ob_t $ob_g" >"$ob_d/$ob_k.j"
  echo >&5
  if [ -e "$ob_d/$ob_j.c" ]; then ob_s=143; else
    ( umask "$ob_um"; ulimit -S -f "$ob_f"; set --
      case $ob_i in
      sh)
        if [ -e "$ob_d/$ob_j.v" ]; then . "$ob_d/$ob_j.v"; : >"$ob_d/$ob_j.v"; fi
        set -eu; . "$ob_d/$ob_j.s" ;;
      own) exec sh -eu "$ob_d/b" "$ob_d/$ob_j.v" "$ob_d/$ob_j.s" ;;
      bash) exec bash -euo pipefail "$ob_d/b" "$ob_d/$ob_j.v" "$ob_d/$ob_j.s" ;;
      dash|ash|ksh|mksh|zsh) exec "$ob_i" -eu "$ob_d/b" "$ob_d/$ob_j.v" "$ob_d/$ob_j.s" ;;
      *)
        if [ -e "$ob_d/$ob_j.v" ]; then set -a; . "$ob_d/$ob_j.v"; set +a; : >"$ob_d/$ob_j.v"; fi
        exec "$ob_i" "$ob_d/$ob_j.s" ;;
      esac
    ) </dev/null >"$ob_d/$ob_j.o" 2>"$ob_d/$ob_j.e" 3>&- 4>&- 5>&-
    ob_s=$?
  fi
  echo "$ob_j $ob_s" 1<>"$ob_d/f"
  : >"$ob_d/$ob_k.j"
done'

# How another shell is given values and script, with the line numbers of the script kept.
ob_other='ob_1=$1 ob_2=$2; shift 2
if [ -e "$ob_1" ]; then set +e; . "$ob_1"; set -e; : >"$ob_1"; fi
. "$ob_2"'

# ob_start PID: its parent and when it began, in ticks since boot. Fails where there is no /proc.
ob_start() {
  ob_st=''; read -r ob_l <"/proc/$1/stat" || return 1
  # shellcheck disable=SC2086 # fields
  set -- ${ob_l##*) }
  ob_pp=${2-} ob_st=${20-}
}

# ob_note FILE PID: a number may be another's process by and by, a number and its start may not.
ob_note() { ob_start "$2"; echo "$2 $ob_st" >"$ob_d/$1"; }

# ob_is PID START: is it still the process that was noted?
ob_is() {
  [ "${1:-0}" -gt 1 ] || return 1
  if [ -n "$2" ]; then ob_start "$1" && [ "$ob_st" = "$2" ]; else [ ! -e /proc/self/stat ]; fi
}

# Of a subshell: is the main shell still there? It is our parent then.
ob_main() { if ob_start self; then [ "$ob_pp" = $$ ]; else kill -0 $$; fi; }

# What tells this machine, its boot, its process namespace and its user from others that may share
# a folder. The namespace's number is in fdinfo since Linux 5.14, without a process.
ob_know() {
  ob_bid='' ob_ns='' ob_uid='' ob_st=''
  read -r ob_bid </proc/sys/kernel/random/boot_id
  {
    while read -r ob_x ob_y ob_z; do if [ "$ob_x" = ino: ]; then ob_ns=$ob_y; fi; done </proc/self/fdinfo/9
  } 9</proc/self/ns/pid
  if [ -z "$ob_ns" ] && [ -n "$ob_bid" ]; then ob_ns=$(readlink /proc/self/ns/pid); fi
  while read -r ob_x ob_y ob_z && [ -z "$ob_uid" ]; do
    if [ "$ob_x" = Uid: ]; then ob_uid=${ob_z%%[!0-9]*}; fi
  done </proc/self/status
  ob_uid=${ob_uid:-$(id -u)}
}

# ob_safe DIR: can nobody else take away or replace what is made in it? It is ours or root's, and
# others cannot write in it, or it has the sticky bit.
ob_safe() {
  case $1 in
  "/run/user/$ob_uid") if [ -O "$1" ] && [ ! -L "$1" ]; then return 0; fi ;;
  /dev/shm | /tmp) if [ -k "$1" ]; then return 0; fi ;;
  "${HOME-}") ;;
  *) [ ! -L "$1" ] || return 1 ;;
  esac
  # shellcheck disable=SC2046,SC2012 # fields; POSIX has no other program that tells modes
  set -- $(ls -ldn "$1/.")
  case ${3-} in 0 | "$ob_uid") ;; *) return 1 ;; esac
  case $1 in d????-??-* | d????????[tT]*) ;; *) return 1 ;; esac
}

# ob_cmd NAME: can it be started? A busybox may name applets of its own that stand nowhere: it starts
# them by /proc.
ob_cmd() {
  command -v "$1" >/dev/null || return 1
  [ -e /proc/self/exe ] || case $(command -v "$1") in */*) ;; *) return 1 ;; esac
}

# Below these a shell ends without a message, or waits for ever. Root may have more processes.
ob_enough() { case $2 in *[!0-9]*|'') ;; *) [ "$2" -ge "$3" ] || { printf '\n%s L %s\n' "$ob_n" "$*"; exit 70; } ;; esac; }

ob_boot() {
  # If the login may start no process, this line is where the shell says so: its standard error is
  # still the one of the login.
  # shellcheck disable=SC2046,SC3045 # three words; shells that do not know -u know -p
  set -- $(ulimit -n; ulimit -f; { ulimit -u || ulimit -p; } 2>/dev/null)
  ob_enough n "$1" 32; ob_enough f "$2" 256; [ -w / ] || ob_enough u "${3-}" 32
  set --
  exec 2>/dev/null
  ob_know
  for ob_b in "${XDG_RUNTIME_DIR-}" /dev/shm "${TMPDIR-}" /tmp "${HOME-}"; do
    [ -n "$ob_b" ] && [ -d "$ob_b" ] && [ -w "$ob_b" ] && ob_safe "$ob_b" || continue
    ob_d=$ob_b/.opsbook-@DIR@.$$
    mkdir -m 700 "$ob_d" && [ -O "$ob_d" ] && [ ! -L "$ob_d" ] || continue
    # A folder without room is none: what a session keeps in it is small.
    printf '%65536s' '' >"$ob_d/u" || { rm -rf "$ob_d"; continue; }
    # With a mask that takes its own permissions away, it cannot be written or read a second time.
    ob_um=''; umask >"$ob_d/u" && read -r ob_um <"$ob_d/u"
    [ -n "$ob_um" ] || ob_um=$(umask)
    umask 077
    ob_shell=sh; command -v sh >"$ob_d/sh"; read -r ob_shell <"$ob_d/sh"
    ob_start $$
    # `go` is for whoever uses the session: one process makes them all.
    if mkfifo "$ob_d/t" "$ob_d/q" "$ob_d/m" "$ob_d/f" "$ob_d/x" "$ob_d/go" "$ob_d/go.n" "$ob_d/go.w" && echo "$$ $ob_st $ob_bid $ob_ns ." >"$ob_d/id" &&
      echo $$ >"$ob_d/pid" &&
      printf '%s\n' "$ob_worker" >"$ob_d/w" && printf '%s\n' "$ob_other" >"$ob_d/b" &&
      printf '\n%s.\n' "$ob_n" >"$ob_d/d"
    then
      exec 3<>"$ob_d/t" 4<>"$ob_d/q" 5<>"$ob_d/m" 6<>"$ob_d/f"
      echo >&5
      trap 'ob_rc=$?; ob_forks; ob_end' EXIT; trap 'exit 129' HUP TERM INT; trap '' PIPE
      if ob_cmd setsid; then ob_ss=setsid ob_g=-; else ob_ss='' ob_g=''; fi
      # It opens the pipe to read while it still has it to write, too: this shell may be gone by then.
      (exec </dev/null 3>&- 4>&- 5>&- 6<"$ob_d/f"; ob_tend) & ob_note t.p $!
      ob_hello; ob_sweep; return 0
    fi
    rm -rf "$ob_d"; umask "$ob_um"
  done
  printf '\n%s F\n' "$ob_n"; exit 70
}

ob_hello() {
  ob_host='' ob_os='' ob_rel='' ob_nc='' ob_who=@WHO@
  { read -r ob_host </proc/sys/kernel/hostname && read -r ob_os </proc/sys/kernel/ostype &&
    read -r ob_rel </proc/sys/kernel/osrelease; } ||
    { ob_host=$(uname -n) ob_os=$(uname -s) ob_rel=$(uname -r); }
  # A login has set it; elsewhere it may be anybody's.
  if [ -n "$ob_who" ]; then ob_who=${LOGNAME-}; fi
  read -r ob_nc </sys/devices/system/cpu/online
  case $ob_nc in
  0) ob_nc=1 ;;
  0-*[!0-9]* | '') ob_nc=$(nproc || getconf _NPROCESSORS_ONLN) ;;
  *) ob_nc=$((${ob_nc#0-} + 1)) ;;
  esac
  # shellcheck disable=SC3013 # a shell that does not know -ef is told by its name
  if [ -n "${BASH_VERSION-}" ]; then ob_sh=bash
  elif [ -n "${BB_ASH_VERSION-}" ]; then ob_sh=busybox
  elif [ /proc/$$/exe -ef /bin/dash ]; then ob_sh=dash
  else ob_sh=$(readlink /proc/$$/exe); ob_sh=${ob_sh##*/}; ob_sh=${ob_sh:-sh}; fi
  ob_k=${ob_nc:-2}; [ "$ob_k" -le 8 ] || ob_k=8
  ob_has=''
  for ob_x in setsid flock base64 sha256sum bash sudo tar; do
    if ob_cmd $ob_x; then ob_has="${ob_has}has=$ob_x
"; fi
  done
  # In one piece, as in ob_ship.
  printf '\n%s H\nuser=%s\nuid=%s\nhome=%s\nhostname=%s\nkernel=%s\nshell=%s\nboot=%s\npid=%s\ncores=%s\ndir=%s\n%sworkers=%s\n%s.\n' \
    "$ob_n" "${ob_who:-$(id -un)}" "$ob_uid" "${HOME-}" "$ob_host" "$ob_os $ob_rel" "$ob_sh" "$ob_bid" $$ "$ob_nc" "$ob_d" \
    "$ob_has" "$ob_k" "$ob_n"
}

# Without its shipper a session is silent, and looks like one that works: it ends with it.
ob_tend() {
  ob_rc=''; trap ob_tended EXIT; trap - HUP TERM INT
  ob_ship & ob_p=$!; ob_note s.p $ob_p; wait $ob_p; ob_rc=$?
  ob_forks; exit
}
ob_tended() {
  # It could not start its shipper.
  [ -n "$ob_rc" ] || printf '\n%s E\n' "$ob_n"
  if ob_main; then kill -s KILL $$; fi
  ob_end ship
}

# A shell that can start no process ends at once, with one of these statuses, and here as well: it
# has said E by then, and not e.
ob_forks() { case $ob_rc in 2 | 126 | 254) printf '\n%s E\n' "$ob_n"; (:) && printf '%s e\n' "$ob_n" ;; esac; }

# A job may have a record, a file that $ob_j.r names: its end is what stands there in one whole line,
# ended by a dot, whoever says that it has ended. That it has failed to start is believed where
# there is no record any more.
ob_believe() {
  if [ ! -e "$ob_d/$ob_j.r" ]; then case $ob_say in DONE*) return 1 ;; esac; return 0; fi
  ob_x='' ob_y='' ob_dot=''
  read -r ob_x <"$ob_d/$ob_j.r"
  case $ob_say in
  FAILED*) [ ! -e "$ob_x" ]; return ;;
  FULL) return 0 ;;
  esac
  [ -f "$ob_x" ] && read -r ob_y ob_how ob_out ob_err ob_dot <"$ob_x"
  [ "$ob_dot" = . ] && ob_say="DONE $ob_y $ob_how $ob_out $ob_err"
}

# Prints ended jobs: one line with several, then their outputs. While others of the queue are
# at work, ends are held back, at most 24 of them, and at most to the next look of the
# watchdog (a line with +). The end of a call (c) never waits, and may say its output, one
# line, itself: no file, and no cat.
ob_ship() {
  trap - EXIT HUP TERM INT PIPE
  ob_rm='' ob_c=0 ob_l='' ob_hold=0 ob_ended=0 ob_go='' ob_fs=''
  while read -r ob_j ob_s ob_go ob_say <&6; do
    if [ "$ob_j" != + ]; then
      ob_believe || continue
      ob_x=''
      if [ -n "$ob_say" ]; then ob_x=o; else
        if [ -s "$ob_d/$ob_j.o" ]; then ob_x=o ob_fs="$ob_fs $ob_j.o"; fi
        if [ -s "$ob_d/$ob_j.e" ]; then ob_x=${ob_x}e ob_fs="$ob_fs $ob_j.e"; fi
      fi
      if [ -e "$ob_d/$ob_j.c" ]; then ob_x=${ob_x}c; fi
      if [ -e "$ob_d/$ob_j.x" ]; then ob_x=${ob_x}x; fi
      if [ -e "$ob_d/$ob_j.k" ]; then ob_x=${ob_x}k; fi
      ob_l="$ob_l $ob_j:$ob_s:$ob_x" ob_rm="$ob_rm $ob_j" ob_c=$((ob_c+1)) ob_hold=$((ob_hold+1))
      if [ -z "$ob_go" ]; then
        ob_ended=$((ob_ended+1)) ob_y=''
        read -r ob_x ob_y ob_z <"$ob_d/n"
        if [ "$ob_hold" -lt 24 ] && [ "$ob_ended" -lt "${ob_y:-0}" ]; then continue; fi
      fi
    fi
    # In one piece where it can be: each costs a packet, and three processes that wake for it.
    if [ -n "$ob_say" ] && [ -z "$ob_fs" ] && [ ! -s "$ob_d/$ob_j.o" ]; then
      printf '%s R%s\n%s\n\n%s.\n' "$ob_n" "$ob_l" "$ob_say" "$ob_n"
      ob_l='' ob_hold=0
    elif [ "$ob_hold" -gt 0 ]; then
      printf '%s R%s\n' "$ob_n" "$ob_l"
      if [ -n "$ob_fs" ]; then
        set --; for ob_x in $ob_fs; do set -- "$@" "$ob_d/$ob_x" "$ob_d/d"; done
        cat "$@"
        for ob_x in $ob_fs; do : >"$ob_d/$ob_x"; done
      fi
      # Of a call, which never waits: it is the last of the line.
      if [ -n "$ob_say" ]; then
        printf '%s\n' "$ob_say"
        if [ -s "$ob_d/$ob_j.o" ]; then cat "$ob_d/$ob_j.o"; fi
        printf '\n%s.\n' "$ob_n"
      fi
      ob_l='' ob_hold=0 ob_fs=''
    fi
    if [ $ob_c -ge 200 ]; then
      # By name: a pattern each would read the directory as often.
      set --; for ob_x in $ob_rm; do set -- "$@" $ob_x.s $ob_x.o $ob_x.e $ob_x.v $ob_x.c $ob_x.x $ob_x.k $ob_x.r c$ob_x.j c$ob_x.p; done
      ( cd "$ob_d" && rm -f "$@" ); ob_rm='' ob_c=0
    fi
  done
}

# ob_away COMMAND...: starts it detached. Not with `&`: what a shell without job control starts so
# ignores SIGINT and SIGQUIT for good, and so does all that comes of it. `setsid` leaves by itself:
# with -f, or, where it does not know that, as the leader that the first one has made it.
ob_away() {
  if [ -z "$ob_ss" ]; then
    ( trap - HUP TERM INT QUIT PIPE; exec "$@" ) </dev/null >/dev/null 3>&- 4>&- 5>&- 6>&- 8>&- 9>&- &
  else
    ( trap - HUP TERM INT QUIT PIPE; setsid -f "$@" || exec setsid setsid "$@" ) </dev/null >/dev/null 3>&- 4>&- 5>&- 6>&- 8>&- 9>&-
  fi
}

# ob_hire w1 hire | w0 spare: one worker, and another after it should a job kill it; who looks
# after it stands outside its group. A spare one does so once the watchdog asks for it, and ends
# with the watchdog.
# Each writes down itself who it is and looks then whether the session is over: who ends the
# session says so before it looks for them, so that none is missed.
ob_hire() { ob_away "$ob_shell" "$ob_d/w" "$ob_d" "$ob_um" "$ob_ss" "$ob_shell" "$1" "$2"; }

# ob_more COUNT WORKERS: so many jobs come now, and are worth so many workers
ob_more() { ob_r=$((ob_r+$1)) ob_want=$2; if [ "$ob_want" -gt "$ob_k" ]; then ob_want=$ob_k; fi; }

# ob_help WORKERS: what is queued is not quick: so many workers, at once
ob_help() { ob_more 0 "$1"; while [ $ob_w -lt "$ob_want" ]; do ob_w=$((ob_w+1)); ob_hire w$ob_w hire; done; }

# ob_run ID SECONDS GRACE BLOCKS INTERPRETER VALUES SCRIPT
ob_run() {
  ob_q=$((ob_q+1))
  echo $ob_q $ob_r $1 >"$ob_d/n"
  if { [ -z "$6" ] || printf '%s\n' "$6" >"$ob_d/$1.v"; } && printf '%s\n' "$7" >"$ob_d/$1.s"; then
    if [ $ob_w -lt "$ob_want" ]; then
      ob_w=$((ob_w+1)); ob_hire w$ob_w hire
    fi
    echo "$1 $2 $3 $4 $5" >&4; echo >&3
  else
    : >"$ob_d/$1.s"; echo "$1 full" >&6
  fi
}

# ob_call ID SECONDS GRACE CODE &
# It may outlive this shell and the shipper: to open a pipe for writing that nobody reads takes
# for ever, and what it holds open keeps others waiting.
ob_call() {
  # Whose folder was removed can tell nothing any more.
  [ -p "$ob_d/f" ] || { if ob_main; then kill -s KILL $$; fi; exit; }
  ob_j=$1; echo "$1 $2 $3" >"$ob_d/c$1.j"
  command exec 3>&- 4>&- 5>&- 6>&- 9>&- </dev/null >"$ob_d/$1.o" 2>"$ob_d/$1.e" || { echo "$1 full c" 1<>"$ob_d/f"; exit; }
  trap - HUP INT PIPE; trap 'ob_s=$?; echo "$ob_j $ob_s c" 1<>"$ob_d/f"; : >"$ob_d/c$ob_j.j"' EXIT; trap 'exit 143' TERM
  umask "$ob_um"; command eval "$4"
}

# ob_called ID: after it, because only this shell knows the process id
ob_called() { ob_note "c$1.p" $!; ob_q=$((ob_q+1)); echo $ob_q $ob_r 0 >"$ob_d/n"; }

# ob_here ID CODE: in this very shell. The code may set ob_later: its end is told, as
# "$ob_id STATUS c OUTPUT", by itself or by what it has started.
ob_here() {
  # shellcheck disable=SC2034 # for the code
  ob_id=$1 ob_later=''
  { command eval "$2"; } </dev/null >"$ob_d/$1.o" 2>"$ob_d/$1.e"
  ob_s=$?; umask 077; if [ -z "$ob_later" ]; then echo "$1 $ob_s c" >&6; fi
}

# ob_cancel ID
ob_cancel() {
  : >"$ob_d/$1.c"
  for ob_f in "$ob_d"/*.j; do
    ob_j=''; read -r ob_j ob_x <"$ob_f" || continue
    if [ "$ob_j" = "$1" ]; then ob_b=${ob_f##*/}; ob_stop "${ob_b%.j}" "$1" TERM; fi
  done
}

# ob_stop WORKER ID SIGNAL: only while that worker still has that job
ob_stop() {
  read -r ob_y <&5; ob_j='' ob_p='' ob_b=''
  read -r ob_j ob_y <"$ob_d/$1.j"; read -r ob_p ob_b <"$ob_d/$1.p"
  if [ "$ob_j" = "$2" ] && ob_is "$ob_p" "$ob_b"; then
    # Its end may be told the moment that it is dead: the mark comes first.
    if [ "$3" = KILL ]; then : >"$ob_d/$2.k"; fi
    case $1 in
      c*) kill -s "$3" "$ob_p" ;;
      *) kill -s "$3" -- "$ob_g$ob_p" || kill -s "$3" "$ob_g$ob_p" ;;
    esac
    if [ "$3" = KILL ]; then case $1 in c*) echo "$2 137 c" 1<>"$ob_d/f"; : >"$ob_d/$1.j" ;; esac; fi
  fi
  echo >&5
}

# ob_killed CALL: its process is no more, and has not told its end. A zombie has no program.
ob_killed() {
  ob_p='' ob_b=''; read -r ob_p ob_b <"$ob_d/$1.p"
  [ -n "$ob_p" ] && [ -e /proc/self/exe ] && { [ ! -e "/proc/$ob_p/exe" ] || ! ob_is "$ob_p" "$ob_b"; }
}

# Starts the watchdog unless it runs. The controller asks for it where something takes its
# time: most jobs end sooner than it would begin to count. It writes down that it leaves before
# it looks at the count in n for the last time, as the count was written before this looks for it.
ob_watch() {
  if [ ! -s "$ob_d/dog.p" ]; then (exec </dev/null >/dev/null 6>&- 7>&- 8>&- 9>&-; ob_dog) & ob_note dog.p $!; ob_hire w0 spare; fi
}

# The time limits: a look each second, while anything runs. Where jobs still wait then, they
# wait for others that are slow: one more worker.
ob_dog() {
  trap - EXIT HUP TERM INT PIPE; ob_last='' ob_w=$ob_k
  exec 7<>"$ob_d/x"; echo 1 >"$ob_d/dog.x"
  while :; do
    ob_main || ob_end dog
    echo + 1<>"$ob_d/f"
    ob_busy='' ob_top=0
    for ob_f in "$ob_d"/*.j; do
      ob_i='' ob_t='' ob_gr=''; read -r ob_i ob_t ob_gr <"$ob_f"; [ -n "$ob_i" ] || continue
      ob_busy=1 ob_wk=${ob_f##*/}; ob_wk=${ob_wk%.j}
      case $ob_wk in
      w*) if [ "$ob_i" -gt "$ob_top" ]; then ob_top=$ob_i; fi ;;
      *) if ob_killed "$ob_wk" && [ -s "$ob_f" ]; then echo "$ob_i gone c" 1<>"$ob_d/f"; : >"$ob_f"; fi ;;
      esac
      eval "ob_o=\${ob_o_$ob_wk-} ob_e=\${ob_e_$ob_wk-}"
      if [ "$ob_o" != "$ob_i" ]; then ob_o=$ob_i ob_e=$((ob_t+1)); fi
      if [ "$ob_e" -gt 0 ] && [ -e "$ob_d/$ob_i.c" ]; then ob_e=-1; fi
      ob_e=$((ob_e-1))
      if [ "$ob_e" = 0 ]; then
        : >"$ob_d/$ob_i.x"; ob_stop "$ob_wk" "$ob_i" TERM
      elif [ "$ob_e" -lt 0 ] && [ $((-ob_e)) -gt "$ob_gr" ]; then
        ob_stop "$ob_wk" "$ob_i" KILL
      fi
      eval "ob_o_$ob_wk=\$ob_o ob_e_$ob_wk=\$ob_e"
    done
    read -r ob_x ob_y ob_z <"$ob_d/n"
    while [ -e "$ob_d/w$((ob_w+1)).j" ]; do ob_w=$((ob_w+1)); done
    if [ "$ob_top" -gt 0 ] && [ "${ob_z:-0}" -gt "$ob_top" ] && [ $ob_w -lt 16 ]; then
      ob_w=$((ob_w+1)); echo w$ob_w >&7
    fi
    if [ -z "$ob_busy" ]; then
      if [ "$ob_x" = "$ob_last" ]; then
        : >"$ob_d/dog.x"; : >"$ob_d/dog.p"; read -r ob_x ob_y <"$ob_d/n"
        if [ "$ob_x" = "$ob_last" ]; then exit 0; fi
        echo 1 >"$ob_d/dog.p"; echo 1 >"$ob_d/dog.x"
      fi
      ob_last=$ob_x
    fi
    sleep 1
  done
}

# ob_all SIGNAL FILES [-]: to the processes, or groups, that this session has noted
ob_all() {
  for ob_f in "$ob_d"/$2.p; do
    ob_p='' ob_b=''; read -r ob_p ob_b <"$ob_f"; ob_is "$ob_p" "$ob_b" || continue
    kill -s "$1" -- "$3$ob_p" || kill -s "$1" "$3$ob_p"
  done
}

# The end of the channel: what runs is stopped, and nothing stays. Where the main shell can start no
# process for that, who tends the shipper does it.
ob_end() {
  trap - EXIT; trap '' HUP TERM INT PIPE
  exec >/dev/null
  true >"$ob_d/over"
  case ${1-} in ship) ;; *) ob_all KILL t ''; ob_all KILL s '' ;; esac
  ob_all KILL 'h[0-9]*' ''
  case ${1-} in dog) ;; *) ob_all KILL dog '' ;; esac
  for ob_f in "$ob_d"/c*.j; do if [ -s "$ob_f" ]; then ob_x=${ob_f##*/}; ob_all TERM "${ob_x%.j}" ''; fi; done
  for ob_x in 1 2 3 4 5 6 7 8 9 10; do
    ob_busy=''
    for ob_f in "$ob_d"/w*.j; do if [ -s "$ob_f" ]; then ob_busy=1; fi; done
    [ -n "$ob_busy" ] || break
    if [ $ob_x = 1 ]; then ob_all TERM 'w[0-9]*' "$ob_g"; fi
    sleep 0.1 || sleep 1
  done
  ob_all KILL 'w[0-9]*' "$ob_g"
  rm -rf "$ob_d"; exit
}

# What runners of this user, on this boot and in this process namespace have left behind that were
# killed. Whoever shares the place from elsewhere, or has another user, is nobody of whom anything
# can be known here; nothing of theirs is opened.
ob_sweep() {
  [ -n "$ob_bid" ] && [ -n "$ob_ns" ] || return 0
  for ob_f in "${ob_d%/*}"/.opsbook-*.*; do
    [ "$ob_f" != "$ob_d" ] && [ ! -L "$ob_f" ] && [ -d "$ob_f" ] && [ -O "$ob_f" ] || continue
    # Its main shell holds its pipe: many may live here, and to look costs two system calls.
    # shellcheck disable=SC3013 # a shell that does not know -ef reads who it is
    if [ "/proc/${ob_f##*.}/fd/3" -ef "$ob_f/t" ]; then continue; fi
    ob_p='' ob_b='' ob_x='' ob_y='' ob_z=''
    if [ -f "$ob_f/id" ]; then
      read -r ob_p ob_b ob_x ob_y ob_z <"$ob_f/id"
      [ "$ob_x $ob_y $ob_z" = "$ob_bid $ob_ns ." ] && ! ob_is "$ob_p" "$ob_b" || continue
      ( trap - EXIT HUP TERM INT PIPE; ob_d=$ob_f
        true >"$ob_d/over"
        ob_all KILL 'h[0-9]*' ''; ob_all KILL t ''; ob_all KILL s ''; ob_all KILL dog ''; ob_all KILL 'w[0-9]*' "$ob_g"
        rm -rf "$ob_d" ) </dev/null >/dev/null 3>&- 4>&- 5>&- 6>&- &
    else
      # It was killed before it had anything. One that is only beginning elsewhere takes another place.
      kill -0 "${ob_f##*.}" || rmdir "$ob_f" </dev/null >/dev/null 3>&- 4>&- 5>&- 6>&- &
    fi
  done
}
ob_boot
