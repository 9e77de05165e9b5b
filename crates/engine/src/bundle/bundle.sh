# shellcheck disable=SC2086,SC2046,SC2013,SC2030,SC2031,SC1007,SC2154,SC2034,SC2016 # words are meant, ob_* is the runner's
# The bundle and the steps in it, on the node. Loaded once into the session's shell, after
# runner.sh; POSIX sh (dash, busybox ash, bash). Each function prints one answer line first.
#
# obb_dir is the bundle. A controller holds a lock on `lock`, and everything that belongs to
# the run holds one on `live`, steps included: nobody on `lock` and nobody on `live` is stale.

obb_dir='' obb_token='' obb_run='' obb_go='' obb_fate='' obb_scope=''
obb_boot=none; read -r obb_boot 2>/dev/null </proc/sys/kernel/random/boot_id || :

# Answers before the function that calls it is at its end.
obb_say() { ob_later=1; echo "$ob_id 0 c $*" >&6; }

# Start time of a process in ticks since boot; fails where it is gone or a zombie.
obb_start() {
  # Whatever is no number would be another file below /proc.
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  obb_st=; read -r obb_l 2>/dev/null <"/proc/$1/stat" || return 1
  obb_l=${obb_l##*) }; set -f; set -- $obb_l; set +f
  [ "$1" != Z ] || return 1
  obb_is=$1 obb_sid=$4; shift 19; obb_st=$1
}

# obb_ours DIR...: directories that are ours alone, no links: else nothing in them can be trusted.
# Looked at before anything in them is opened: a FIFO hangs who opens it.
obb_ours() {
  for obb_f do
    [ ! -L "$obb_f" ] || { echo "REFUSED $obb_f is a symbolic link"; return 1; }
    [ -d "$obb_f" ] || { echo "REFUSED $obb_f is not a directory"; return 1; }
    [ -O "$obb_f" ] || { echo "REFUSED $obb_f belongs to somebody else"; return 1; }
  done
  # One process for all of them. Where it is not sure, each again.
  case "
$(ls -ldn "$@")" in
  *"
"d????[!-]* | *"
"d???????[!-]*) ;;
  "
d"*) return 0 ;;
  esac
  for obb_f do
    case $(ls -ldn "$obb_f") in
    d????-??-*) ;;
    *) echo "REFUSED $obb_f can be written by others"; return 1 ;;
    esac
  done
}

# The folder of a bundle, its history and the bundle itself, as far as they are there.
obb_all_ours() {
  set -- "${1%/*}" "$1"
  for obb_f in "$1/history" "$2"; do
    if [ -e "$obb_f" ] || [ -L "$obb_f" ]; then set -- "$@" "$obb_f"; fi
  done
  obb_f=$1; shift 2
  obb_ours "$obb_f" "$@"
}

obb_owner() { if [ -f "$1/owner" ]; then head -c 16384 "$1/owner"; fi; } 2>/dev/null

# Is anything of the run alive? live | stale | unknown
obb_alive() {
  command -v flock >/dev/null 2>&1 || { echo unknown; return; }
  # What ends together with its session takes a moment.
  if [ ! -f "$1/live" ] || obb_free "$1" || { sleep 0.5 || sleep 1; obb_free "$1"; } 2>/dev/null
  then obb_elsewhere "$1" || echo stale; else echo live; fi
}

# A step of another user has a bundle of its own, with locks that nobody else can see: what its
# recorder was called with is there for everybody. Only a process of that user counts, as anybody
# can call a process like that. Says live where there is one.
obb_elsewhere() {
  obb_r=$(obb_owner "$1" | sed -n 's|.*"run":"\([^"]*\)".*|\1|p')
  obb_us=' '
  for obb_f in "$1"/steps/as.*; do
    if [ -f "$obb_f" ] && read -r obb_u obb_p <"$obb_f"; then echo "$obb_r:$obb_p/steps"; obb_us="$obb_us$obb_u "; fi
  done >"$ob_d/other"
  [ -s "$ob_d/other" ] || return 1
  obb_l=$(grep -lzF -f "$ob_d/other" "$ob_d/other" /proc/[0-9]*/cmdline)
  # Some greps see nothing behind a NUL.
  case $obb_l in "$ob_d/other"*) ;; *)
    obb_l=$(for obb_f in /proc/[0-9]*/cmdline; do
      if tr '\0' ' ' <"$obb_f" | grep -qF -f "$ob_d/other"; then echo "$obb_f"; fi
    done) ;;
  esac
  for obb_f in $obb_l; do
    case $obb_f in /proc/*) ;; *) continue ;; esac
    set -- $(ls -ldn "${obb_f%/cmdline}")
    case $obb_us in *" ${3:-none} "*) echo live; return 0 ;; esac
  done
  return 1
} 2>/dev/null

obb_free() { (flock -n -x 9) 9<"$1/live" 2>/dev/null; }

# Is its controller alive? Only then may nobody else go on with it.
obb_held() {
  command -v flock >/dev/null 2>&1 || return 1
  [ -f "$1/lock" ] && ! (flock -n -x 9) 9<"$1/lock" 2>/dev/null
}

obb_hold() {
  [ -f "$obb_dir/lock" ] && [ -f "$obb_dir/live" ] || return 1
  exec 8<"$obb_dir/lock" 7<"$obb_dir/live" || return 1
  command -v flock >/dev/null 2>&1 || return 0
  flock -s -n 8 && flock -s -n 7
}

# Why nothing can be written in a folder; nothing where it can. obb_cause DIR
obb_cause() {
  obb_w=$(LC_ALL=C dd if=/dev/zero of="$1/.why" bs=65536 count=1 2>&1 >/dev/null)
  rm -f "$1/.why"
  # dd also says how much it wrote: before the reason, or after it.
  case $obb_w in *'dd: '*) obb_w=${obb_w#*dd: } obb_w=${obb_w%%
*}; echo "${obb_w##*: }" ;; esac
}

# Some shells say "I/O error" of whatever a disk refuses. obb_why MESSAGE DIR
obb_why() {
  case $1 in *'I/O error'* | *'cannot be begun')
    obb_w=$(obb_cause "$2"); [ -z "$obb_w" ] || { echo "FAILED $obb_w"; return; } ;;
  esac
  echo "FAILED ${1:-its files cannot be written}"
}

# obb_place NAME: where the bundle of this user is, who works for another's: below its own home,
# else in /var/tmp under a name that nobody can know before. PLACE dir | FAILED why
obb_place() {
  obb_h=
  case ${HOME-} in
  # These are emptied by age or at the next start.
  '' | / | /tmp | /tmp/* | /var/tmp | /var/tmp/* | /run | /run/* | /var/run/* | /dev/*) ;;
  /*) if [ -d "$HOME" ] && [ -O "$HOME" ] && [ -w "$HOME" ] && ob_safe "$HOME"; then obb_h=$HOME; fi ;;
  esac
  if [ "$obb_h" ]; then echo "PLACE $obb_h/.opsbook/for-$1/bundle"; return 0; fi
  for obb_f in /var/tmp/.opsbook-for-"$1".*; do
    if [ ! -L "$obb_f" ] && [ -d "$obb_f" ] && [ -O "$obb_f" ]; then echo "PLACE $obb_f/bundle"; return 0; fi
  done
  if [ ! -k /var/tmp ]; then echo "FAILED no place: there is no home of its own, and others can replace what is in /var/tmp"; return 0; fi
  if obb_e=$(mktemp -d "/var/tmp/.opsbook-for-$1.XXXXXXXXXX" 2>&1); then echo "PLACE $obb_e/bundle"
  else echo "FAILED no place: there is no home of its own, and $obb_e"; fi
}

# obb_open DIR OWNER TOKEN RUN STATE STEPS: OPENED fate | HELD live|stale|unknown + owner | REFUSED why | FAILED why
# or ENDED: the history has steps of this run
obb_open() {
  obb_dir=$1 obb_token=$3 obb_run=$4
  # A step would look for it elsewhere.
  case $1 in /*) ;; *) echo "REFUSED the bundle $1 has no absolute path: the login sets HOME so; set bundle_dir of the node"; return 0 ;; esac
  obb_parent=${obb_dir%/*}
  if [ ! -e "$obb_parent" ] && [ ! -L "$obb_parent" ]; then
    obb_e=$( (umask 077; mkdir -p "$obb_parent") 2>&1) || { echo "FAILED $obb_e"; return 0; }
  fi
  obb_all_ours "$obb_dir" || return 0
  if [ -e "$obb_dir" ]; then obb_blocked; return 0; fi
  if [ "$6" ] && [ -e "$obb_parent/history/$4" ]; then
    obb_entry "$obb_parent" "$4" "$2"
    for obb_f in "$obb_past/end" "$obb_past"/*/status; do
      if [ -e "$obb_f" ]; then echo ENDED; return 0; fi
    done
  fi
  obb_new=$obb_parent/.new.$3
  obb_e=$( (umask 077
    obb_o=$2 obb_t=$5
    for obb_n in $6; do set -- "$@" "$obb_new/steps/$obb_n"; done; shift 6
    mkdir "$obb_new" "$obb_new/steps" "$@" &&
    : >"$obb_new/lock" && : >"$obb_new/live" && : >"$obb_new/token.turn" &&
    printf '%s\n' "$obb_o" >"$obb_new/owner" && printf '%s\n' "$obb_o" >"$obb_new/steps/owner" && printf '%s\n' "$obb_token" >"$obb_new/token" &&
    printf %s "$obb_file_recorder" >"$obb_new/recorder" && printf %s "$obb_file_run" >"$obb_new/run" &&
    printf %s "$obb_file_hand" >"$obb_new/steps/by-hand" &&
    if [ "$obb_t" ]; then printf '%s\n' "$obb_t" >"$obb_new/state"; fi) 2>&1) ||
    { obb_why "$obb_e" "$obb_new"; rm -rf "$obb_new"; return 0; }
  # A short write on a full disk is silent in some shells: what is published must be whole.
  obb_e=; read -r obb_e <"$obb_new/owner"
  [ "$obb_e" = "$2" ] || { rm -rf "$obb_new"; echo "FAILED the owner file could not be written"; return 0; }
  exec 8<"$obb_new/lock" 7<"$obb_new/live"
  # Its recorder is started while it is locked and published, and goes on once it is. One of a
  # bundle before, in this session, is not its own.
  exec 9<&-
  obb_go=
  obb_login
  if printf %s "$obb_file_recorder" >"$ob_d/recorder"; then obb_ready "$ob_d/recorder" "$obb_new"; fi
  if command -v flock >/dev/null 2>&1; then flock -s -n 8 & flock -s -n 7; wait $!; fi
  if obb_e=$(mv -T "$obb_new" "$obb_dir" 2>&1); then
    obb_say "OPENED $obb_fate"
    if [ "$obb_go" ]; then echo >&9; else obb_ready; fi
    return 0
  fi
  exec 7<&- 8<&- 9<&-
  obb_go=
  rm -rf "$obb_new"
  if [ -e "$obb_dir" ]; then obb_blocked; else echo "FAILED $obb_e"; fi
}

obb_blocked() {
  echo "HELD $(obb_alive "$obb_dir")"
  obb_n=0
  for obb_f in "$obb_dir"/steps/*/status; do
    obb_f=${obb_f%/status}; obb_f=${obb_f##*/}; obb_f=${obb_f%%[!0-9]*}
    [ "${obb_f:-0}" -le $obb_n ] || obb_n=$obb_f
  done
  # What leaves no record here: a delivery, a step of the controller or of a person.
  obb_f=; [ ! -f "$obb_dir/steps/at" ] || read -r obb_f 2>/dev/null <"$obb_dir/steps/at" || :
  case $obb_f in '' | *[!0-9]*) ;; *) [ "$obb_f" -le $obb_n ] || obb_n=$obb_f ;; esac
  echo "STEP $obb_n"
  obb_owner "$obb_dir"
}

# obb_reopen DIR RUN TOKEN OLDTOKEN OWNER: OPENED fate | GONE | HELD … (another run, or its controller lives)
obb_reopen() {
  obb_dir=$1 obb_token=$3 obb_run=$2
  if [ ! -e "$obb_dir" ] && [ ! -L "$obb_dir" ]; then obb_tidy; echo GONE; return 0; fi
  obb_all_ours "$obb_dir" || return 0
  case $(obb_owner "$obb_dir") in
    *"\"run\":\"$2\""*) ;;
    *) obb_blocked; return 0 ;;
  esac
  # Of several that come at once one goes on: each looks, takes the token and the lock while
  # the others wait.
  { if command -v flock >/dev/null 2>&1; then flock -x 9; fi; obb_take "$3" "$4" "$5"; } 9>>"$obb_dir/token.turn"
  [ "$obb_t" != "$3" ] || obb_ready
}

# obb_take TOKEN OLDTOKEN OWNER: the caller knows that the holder of the old token is no more: it
# holds the journal. It may have taken the bundle just before, and have lost the answer.
obb_take() {
  obb_t=; if [ -f "$obb_dir/token" ]; then read -r obb_t 2>/dev/null <"$obb_dir/token" || :; fi
  if [ "$obb_t" != "$2" ] && [ "$obb_t" != "$1" ] && obb_held "$obb_dir"; then obb_blocked; return 0; fi
  obb_e=$( (umask 077; printf '%s\n' "$1" >"$obb_dir/token.$1" &&
    { [ -z "$3" ] || { printf '%s\n' "$3" >"$obb_dir/steps/owner" && printf '%s\n' "$3" >"$obb_dir/token.o.$1" &&
      mv "$obb_dir/token.o.$1" "$obb_dir/owner"; }; } &&
    mv "$obb_dir/token.$1" "$obb_dir/token") 2>&1) ||
    { rm -f "$obb_dir/token.$1" "$obb_dir/token.o.$1"; obb_why "$obb_e" "$obb_dir"; return 0; }
  obb_hold || { obb_blocked; return 0; }
  obb_t=$1
  obb_login
  obb_say "OPENED $obb_fate"
}

# obb_join DIR RUN TOKEN: another user of the same run takes part. OPENED fate | HELD …
obb_join() {
  obb_dir=$1 obb_run=$2 obb_token=$3
  obb_mine || return 0
  [ -f "$obb_dir/live" ] && exec 7<"$obb_dir/live" || { echo "FAILED $obb_dir cannot be read by $(id -un)"; return 0; }
  if command -v flock >/dev/null 2>&1; then flock -s -n 7; fi
  obb_login
  obb_say "OPENED $obb_fate"; obb_ready
}

# obb_disown: what root made in the bundle becomes its owner's, who has to remove it.
obb_disown() {
  obb_mine || return 0
  set -- $(ls -ldn "$obb_dir") || return 0
  # What is mounted in it is others'.
  if obb_mounted "$obb_dir"; then
    for obb_f in "$obb_dir/steps" "$obb_dir/state"; do
      obb_mounted "$obb_f" || chown -hR "$3:$4" "$obb_f" 2>/dev/null
    done
  else chown -hR "$3:$4" "$obb_dir"; fi
  echo OK
}

# obb_forget NN: what a step printed is not kept on the node: it was given a secret.
obb_forget() {
  obb_mine || return 0
  for obb_f in "$obb_dir/steps/$1/out" "$obb_dir/steps/$1/err"; do
    if [ -s "$obb_f" ]; then echo '[not kept: this step was given a secret]' >"$obb_f"; fi
  done
  echo OK
}

# obb_look DIR: FREE | HELD … | REFUSED why
obb_look() {
  obb_dir=$1
  if [ ! -e "${obb_dir%/*}" ] && [ ! -L "${obb_dir%/*}" ]; then echo FREE; return 0; fi
  obb_all_ours "$obb_dir" || return 0
  if [ -e "$obb_dir" ]; then obb_blocked; else echo FREE; fi
}

# obb_list FOLDER: what it has of each step: number|status|claim
obb_list() {
  for obb_s in "$1"/*/; do
    obb_s=${obb_s%/} obb_x= obb_c=
    [ -f "$obb_s/status" ] && [ ! -L "$obb_s/status" ] || continue
    # Earlier tries are put aside with a dot.
    case ${obb_s##*/} in *[!0-9-]*) continue ;; esac
    read -r obb_x 2>/dev/null <"$obb_s/status" || :
    if [ -f "$obb_s/sha256" ] && [ ! -L "$obb_s/sha256" ]; then read -r obb_c 2>/dev/null <"$obb_s/sha256" || :; fi
    echo "${obb_s##*/}|$obb_x|$obb_c"
  done
}

# obb_tale: TALE, the owner, and what the bundle has of each step.
obb_tale() {
  obb_mine || return 0
  echo TALE; obb_owner "$obb_dir"
  obb_list "$obb_dir/steps"
}

# obb_node OWNER: sets obb_n, the node's name among the nodes of its run.
obb_node() {
  case $1 in *'"node":"'*) obb_n=${1#*\"node\":\"}; obb_n=${obb_n%%\"*} ;; *) obb_n= ;; esac
  case $obb_n in *[!A-Za-z0-9._-]*) obb_n= ;; esac
}

# obb_entry FOLDER RUN OWNER: sets obb_past, where the history in the folder has a run. One
# account may be several nodes of one run.
obb_entry() {
  obb_past=$1/history/$2
  [ -e "$obb_past" ] || return 0
  obb_node "$(obb_owner "$obb_past")"; obb_x=$obb_n
  obb_node "$3"; [ "$obb_x" = "$obb_n" ] || obb_past=$obb_past.$obb_n
}

# obb_history DIR RUN OWNER: the same of the history beside it: TALE …, END claim where it was closed | NONE
obb_history() {
  [ -e "${1%/*}" ] || [ -L "${1%/*}" ] || { echo NONE; return 0; }
  obb_all_ours "$1" || return 0
  obb_entry "${1%/*}" "$2" "$3"
  if [ -L "$obb_past" ] || [ ! -d "$obb_past" ]; then echo NONE; return 0; fi
  obb_ours "$obb_past" || return 0
  echo TALE
  obb_owner "$obb_past"
  if [ -f "$obb_past/end" ]; then read -r obb_c <"$obb_past/end"; echo "END $obb_c"; fi
  obb_list "$obb_past"
}

# obb_at NN: at which step the run is. READY | LOST | TAKEN | GONE
obb_at() { obb_mine || return 0; printf '%s\n' "$1" >"$obb_dir/steps/at"; echo READY; }

# Do we still own it? Read again before every step: a controller that lost it must not go on.
# Says LOST where another run has it, TAKEN where another controller goes on with this one.
obb_mine() {
  obb_t=; if [ -f "$obb_dir/token" ]; then read -r obb_t 2>/dev/null <"$obb_dir/token" || :; fi
  [ "$obb_t" = "$obb_token" ] && return 0
  if [ ! -e "$obb_dir" ]; then echo GONE; return 1; fi
  case $(obb_owner "$obb_dir") in *"\"run\":\"$obb_run\""*) echo TAKEN; return 1 ;; esac
  echo LOST
  echo "STEP 0"
  obb_owner "$obb_dir"
  return 1
}

# obb_prepare NN: makes the step's directory. READY | EXISTS | LOST | TAKEN | GONE | FAILED why
obb_prepare() {
  obb_mine || return 0
  obb_s=$obb_dir/steps/$1
  if [ -e "$obb_s" ]; then echo EXISTS; return 0; fi
  obb_e=$( (umask 077; mkdir "$obb_s") 2>&1) || { echo "FAILED $obb_e"; return 0; }
  echo READY
}

# obb_aside NN: puts an earlier try aside, so that it can be run again; nothing is lost.
obb_aside() {
  obb_mine || return 0
  obb_n=1; while [ -e "$obb_dir/steps/$1.$obb_n" ]; do obb_n=$((obb_n+1)); done
  mv "$obb_dir/steps/$1" "$obb_dir/steps/$1.$obb_n" && echo READY
}

# Where logind kills what a login leaves behind, a step would end with the connection. A scope of
# its own lives on: root may always have one, another user where it lingers. Sets obb_scope to the
# command that starts in one, and obb_fate to MORTAL where logind kills and there is none. Asked
# once a session, and only in one that logind knows.
obb_login() {
  case $obb_fate in ?*) return ;; esac
  obb_fate=OUTLIVES obb_n=
  while read -r obb_l; do
    case $obb_l in */user-*.slice/session-*.scope*) obb_n=${obb_l#*/user-}; obb_n=${obb_n%%.*} ;; esac
  done </proc/self/cgroup
  case $obb_n in '' | *[!0-9]*) return ;; esac
  obb_a=$(loginctl show-session -p KillUserProcesses -p KillOnlyUsers -p KillExcludeUsers) || return
  case $obb_a in *KillUserProcesses=yes*) ;; *) return ;; esac
  obb_n=$(id -un "$obb_n")
  obb_o=${obb_a#*KillOnlyUsers=}; obb_o=${obb_o%%
*}
  case ${obb_o:+" $obb_o "} in '' | *" $obb_n "*) ;; *) return ;; esac
  obb_o=${obb_a#*KillExcludeUsers=}; obb_o=${obb_o%%
*}
  # Where nobody is named, it is root.
  case " ${obb_o:-root} " in *" $obb_n "*) return ;; esac
  obb_fate=MORTAL
  obb_scope='systemd-run --quiet --collect --scope env -u INVOCATION_ID'
  if [ "$ob_uid" != 0 ]; then
    [ -e "/var/lib/systemd/linger/$(id -un)" ] || { obb_scope=; return; }
    if [ "${XDG_RUNTIME_DIR-}" = "/run/user/$ob_uid" ]; then obb_o=; else obb_o='-u XDG_RUNTIME_DIR'; fi
    obb_scope="env XDG_RUNTIME_DIR=/run/user/$ob_uid systemd-run --user --quiet --collect --scope env -u INVOCATION_ID $obb_o"
  fi
  if $obb_scope true; then obb_fate=OUTLIVES; else obb_scope=; fi
} </dev/null >/dev/null 2>&1

# A recorder that stands and waits for the next step: started ahead, and again where it was
# killed. A line that it did not read must not reach another: each has pipes of its own. It
# ends when this shell, who alone can write to it, does. obb_ready [RECORDER PLACE]: as it has this
# text, and until an empty line tells that the bundle is published, it is at PLACE.
obb_ready() {
  if [ "$obb_go" ]; then
    obb_r= obb_rst=; read -r obb_r obb_rst 2>/dev/null <"$obb_go.p" || :
    # One that is only starting has not said yet who it is. Another process of its number has not
    # this pipe; where that cannot be asked, when it began tells.
    # shellcheck disable=SC3013 # as in runner.sh
    if [ -z "$obb_r" ] || [ "/proc/$obb_r/fd/9" -ef "$obb_go" ] 2>/dev/null || obb_lives "$obb_r" "$obb_rst"; then return 0; fi
  fi
  obb_go=$ob_d/go
  # The pipes of the first one are there.
  if [ -e "$obb_go.p" ]; then
    obb_go=$obb_go.$ob_id
    mkfifo "$obb_go" "$obb_go.n" "$obb_go.w" || { obb_go=; return 1; }
  fi
  true >"$obb_go.p"
  command exec 9<>"$obb_go" || { obb_go=; return 1; }
  umask "${obb_umask:-$ob_um}"
  ob_away $obb_scope sh "${1:-$obb_dir/recorder}" "$obb_dir" "$obb_run:$obb_dir/steps" "$obb_boot" "$ob_d" "$obb_go" "${2-}"
  umask 077
}

# obb_recorded FILE: the end of what is at hand is what this record says, whoever tells of it
# (ob_believe). Where that cannot be noted, the answer does not go through a file.
obb_recorded() {
  printf '%s\n' "$1" 2>/dev/null >"$ob_d/$ob_id.r" && return
  obb_say "FAILED the folder of its session, $ob_d, cannot be written: it is full, or gone"; return 1
}

# obb_step NN LIMIT ACCEPTED SHELL EXEC SAVED VALUES SCRIPT CLAIM: has the step started, detached;
# its recorder answers at its end, as obb_state. Or EXISTS | LOST | TAKEN | GONE | FAILED why
#   LIMIT     seconds
#   ACCEPTED  exit statuses that are OK, " 0 3 "
#   SHELL     sh or bash; EXEC the interpreter of another language, empty for a shell's
#   SAVED     variables that the steps may have set, "a b": kept for the next step, as is
#             the working directory
#   CLAIM     who starts it, with which text, and what is done before it: kept in sha256
obb_step() {
  obb_mine || return 0
  for obb_f in recorder run; do
    if [ ! -e "$obb_dir/$obb_f" ]; then echo "FAILED $obb_dir/$obb_f is gone"; return 0; fi
  done
  obb_s=$obb_dir/steps/$1
  if [ ! -d "$obb_s" ]; then
    obb_e=$(mkdir "$obb_s" 2>&1) || { obb_why "$obb_e" "$obb_s"; return 0; }
    if [ ! -O "$obb_dir" ]; then set -- "$@" $(ls -ldn "$obb_dir") && chown "${12}:${13}" "$obb_s"; fi
  fi
  # One start for each directory, whatever happens to the connection in between.
  set -C
  if true >"$obb_s/status"; then set +C; else
    set +C
    if [ -e "$obb_s/status" ]; then echo EXISTS; else obb_why "the record cannot be begun" "$obb_s"; fi
    return 0
  fi 2>/dev/null
  # Room for the status is taken now: a step must not lose its end to a full disk.
  if { printf '%-38s .\n' running 1<>"$obb_s/status" && printf '%s' "$8" >"$obb_s/script" &&
    printf '%s\n' "$9" >"$obb_s/sha256" &&
    { [ -z "$7" ] || printf '%s\n' "$7" >"$obb_s/values"; } &&
    true >>"$obb_s/out" && true >>"$obb_s/err" && obb_ready; } 2>"$ob_d/why"; then
    obb_recorded "$obb_s/status" || { rm -f "$obb_s/status" "$obb_s/values"; return 0; }
    ob_later=1; echo "$ob_id|$1|$2|$3|$4|$5|$6" >&9; return 0
  fi
  obb_e=$(cat "$ob_d/why"); rm -f "$obb_s/status" "$obb_s/values"
  obb_why "$obb_e" "$obb_s"
}

# Has the step ended? Only a whole line tells.
obb_ended() {
  obb_x= obb_how= obb_o= obb_e= obb_dot=
  # A step may have put a FIFO there, which nobody writes to.
  [ -f "$obb_dir/steps/$1/status" ] || return 1
  read -r obb_x obb_how obb_o obb_e obb_dot 2>/dev/null <"$obb_dir/steps/$1/status" || :
  [ "$obb_dot" = . ]
}

# Is that process still the one that was started then?
obb_lives() { obb_start "$1" && [ "$obb_st" = "$2" ]; }
obb_records() { obb_lives "$1" "$2" && [ "$obb_is" != T ]; }

# obb_state NN: DONE status how sizes | RUNNING pid | REBOOTED | UNKNOWN | NONE
obb_state() {
  # After a takeover the steps in it are another run's.
  obb_mine || return 0
  obb_s=$obb_dir/steps/$1
  [ -e "$obb_s/status" ] || { echo NONE; return 0; }
  if obb_ended "$1"; then obb_done "$1"; return 0; fi
  # Started a moment ago: its recorder may not have said who it is.
  [ -s "$obb_s/pid" ] || sleep 1
  obb_p= obb_pst= obb_r= obb_rst= obb_b=
  [ ! -e "$obb_s/pid" ] || [ -f "$obb_s/pid" ] || { echo UNKNOWN; return 0; }
  if [ -f "$obb_s/pid" ]; then read -r obb_p obb_pst obb_r obb_rst obb_b 2>/dev/null <"$obb_s/pid" || :; fi
  # Without its recorder, or with one that is frozen, it may run all the same; how it ends,
  # nobody will know.
  if [ "$obb_b" = "$obb_boot" ] && { obb_records "$obb_r" "$obb_rst" || obb_lives "$obb_p" "$obb_pst"; }; then
    # It may have ended between the two looks.
    if obb_ended "$1"; then obb_done "$1"; else echo "RUNNING $obb_p"; fi
  elif obb_ended "$1"; then obb_done "$1"
  elif [ -n "$obb_b" ] && [ "$obb_b" != "$obb_boot" ]; then echo REBOOTED
  else echo UNKNOWN; fi
}

# The output comes along where it is small enough.
obb_done() {
  obb_s=$obb_dir/steps/$1
  echo "DONE $obb_x $obb_how $obb_o $obb_e"
  if [ -f "$obb_s/left" ]; then sed 's/^/LEFT /' "$obb_s/left"; fi
  if [ -e "$obb_s/cut" ]; then echo CUT; fi
  if [ -f "$obb_s/unset" ]; then sed 's/^/UNSET /;1q' "$obb_s/unset"; fi
  if [ $((obb_o+obb_e)) -gt 0 ] && [ $((obb_o+obb_e)) -le 65536 ] && [ -f "$obb_s/out" ] && [ -f "$obb_s/err" ]; then echo OUTPUT; cat "$obb_s/out" "$obb_s/err"; fi
}

# obb_wait NN SECONDS: waits for the end of a step that this session did not start.
obb_wait() {
  obb_w=0
  until obb_ended "$1" || [ "$obb_w" -ge "$2" ]; do
    case $(obb_state "$1") in RUNNING*) ;; *) break ;; esac
    sleep 1; obb_w=$((obb_w+1))
  done
  obb_state "$1"
}

# obb_tail NN STREAM OFFSET COUNT: bytes from an offset (from 0).
obb_tail() {
  obb_mine >/dev/null || return 0
  # What a step puts in its place may never end.
  [ -f "$obb_dir/steps/$1/$2" ] || return 0
  tail -c "+$(($3+1))" "$obb_dir/steps/$1/$2" | dd bs=65536 count="$4" 2>/dev/null
}

# obb_stop NN: TERM, ten seconds, KILL to the step's group; its recorder says how it ended.
obb_stop() {
  obb_mine || return 0
  obb_s=$obb_dir/steps/$1
  (umask 077; : >"$obb_s/stop")
  # Started a moment ago: who runs may not be known yet.
  obb_w=0
  until [ -s "$obb_s/pid" ] || [ $obb_w -ge 5 ]; do sleep 1; obb_w=$((obb_w+1)); done
  obb_p= obb_pst= obb_b=
  if [ -f "$obb_s/pid" ]; then read -r obb_p obb_pst obb_x obb_x obb_b 2>/dev/null <"$obb_s/pid" || :; fi
  obb_ended "$1" || ! obb_steps || obb_kill "$obb_p" TERM
  obb_w=0
  until obb_ended "$1" || [ $obb_w -ge 10 ]; do sleep 1; obb_w=$((obb_w+1)); done
  obb_ended "$1" || ! obb_steps || obb_kill "$obb_p" KILL
  obb_w=0
  until obb_ended "$1" || [ $obb_w -ge 5 ]; do sleep 1; obb_w=$((obb_w+1)); done
  obb_state "$1"
}

# Is the group still the step's? Its shell is the one that was started then, or one of its
# processes has the step's name in its environment. A number alone may be anybody's by now.
obb_steps() {
  [ "${obb_p:-0}" -gt 1 ] && [ "$obb_b" = "$obb_boot" ] || return 1
  if [ ! -e /proc/self/stat ] || obb_lives "$obb_p" "$obb_pst"; then return 0; fi
  obb_heirs >"$ob_d/heirs"
  while read -r obb_f; do
    obb_f=${obb_f#/proc/}
    [ "$obb_f" ] || continue
    if obb_start "${obb_f%/environ}" && [ "$obb_sid" = "$obb_p" ]; then return 0; fi
  done <"$ob_d/heirs"
  return 1
}

# Without setsid there is no group; what comes from that process is its recorder's to end.
obb_kill() {
  kill -s "$2" -- "-$1" 2>/dev/null || kill -s "$2" "-$1" 2>/dev/null ||
    { [ -z "$obb_setsid" ] && kill -s "$2" "$1" 2>/dev/null; } || :
}

# obb_left STEPS LIST: processes of this run that outlive it, "step pid command" each. Their
# environment tells: a process may leave its group, but rarely what it inherited. STEPS is
# where the record of the steps is, LIST the processes that obb_heirs has found.
obb_left() {
  while read -r obb_f; do
    [ "$obb_f" ] || continue
    obb_p=${obb_f#/proc/}; obb_p=${obb_p%/environ}
    obb_start "$obb_p" || continue
    obb_c='?'; read -r obb_c 2>/dev/null <"/proc/$obb_p/comm" || :
    obb_n=$(tr '\0' '\n' 2>/dev/null <"$obb_f" | sed -n "s|^OPSBOOK_STEP=.*/||p")
    # Forked off a step's shell, which stood ready before it had a step. Or that shell itself.
    case $obb_n in +*) obb_n=$(obb_whose "$1") || continue ;; esac
    # One that was at its end has no environment any more.
    if [ "$obb_n" ]; then echo "$obb_n $obb_p $obb_c"; fi
  done <"$2"
}

# Some greps see nothing behind a NUL: one that finds what it must, by records that end in
# NUL, is none of those.
obb_heirs() {
  set -- -e "OPSBOOK_STEP=$obb_run:$obb_dir/steps/"
  obb_f=$(grep -lzF "$@" -e 'ob_d=$1' "$ob_d/w" /proc/[0-9]*/environ)
  case $obb_f in "$ob_d/w") return ;; "$ob_d/w"*) echo "${obb_f#"$ob_d/w"}"; return ;; esac
  for obb_f in /proc/[0-9]*/environ; do
    if [ -e "${obb_f%environ}exe" ] && tr '\0' '\n' <"$obb_f" | grep -qF "$@"; then echo "$obb_f"; fi
  done
} 2>/dev/null

obb_whose() {
  for obb_f in "$1"/*/pid; do
    [ -f "$obb_f" ] && read -r obb_p obb_x 2>/dev/null <"$obb_f" || continue
    if [ "$obb_p" = "$obb_sid" ]; then obb_f=${obb_f%/pid}; echo "${obb_f##*/}"; return; fi
  done
  return 1
}

# Bundles half made by a controller, or half removed by a shell, that died over them; the living
# hold theirs.
obb_tidy() {
  command -v flock >/dev/null 2>&1 || return 0
  for obb_f in "${obb_dir%/*}"/.new.* "${obb_dir%/*}"/.old.*; do
    if [ -d "$obb_f" ] && ! obb_held "$obb_f"; then obb_away "$obb_f"; fi
  done
}

# Removes what may have anything in it. What cannot be removed, or has something mounted in it
# that belongs to others, is set aside under a name that nobody looks at again, and named in
# obb_kept. obb_away DIR [own]: one of this run is named also where it keeps its name.
obb_away() {
  if ! obb_mounted "$1"; then
    rm -rf "$1" && return
    # A folder of one's own may be closed to oneself.
    chmod -R u+rwX "$1"; rm -rf "$1" && return
  fi 2>/dev/null
  obb_n=1; obb_l=${1%/*}/.left
  while [ -e "$obb_l.$obb_n" ] || [ -L "$obb_l.$obb_n" ]; do obb_n=$((obb_n+1)); done
  if mv -T "$1" "$obb_l.$obb_n" 2>/dev/null; then obb_l=$obb_l.$obb_n
  elif [ "${2-}" ]; then obb_l=$1; else return 0; fi
  obb_kept="${obb_kept}KEPT $obb_l
"
}

# Is anything mounted on it or in it?
obb_mounted() {
  obb_x=$1
  case $1 in *[' \']*) obb_x=$(printf '%s' "$1" | sed 's/\\/\\134/g;s/ /\\040/g') ;; esac
  grep -qF -e " $obb_x " -e " $obb_x/" /proc/self/mountinfo
} 2>/dev/null

# obb_outdated NEWEST: if the history has more than NEWEST runs, starts a process that lists old
# entries in $ob_d/old; obb_i is its id, obb_new the names of the NEWEST runs. Run ids sort by time.
# A history may have thousands of runs, so each one is handled once.
obb_outdated() {
  obb_k=$1 obb_i= obb_new=' '; set -- "$obb_h"/*
  # The run that is closed comes to them.
  obb_k=$(($#+1-obb_k)); [ $obb_k -gt 0 ] || return 0
  shift $obb_k; for obb_f do obb_new="$obb_new${obb_f##*/} "; done
  find "$obb_h" -mindepth 1 -maxdepth 1 -mtime +6 2>/dev/null >"$ob_d/old" & obb_i=$!
}

# obb_outlived FILE: whether this old entry may be removed. Only runs are, and not the newest ones.
obb_outlived() {
  case ${1##*/} in .* | *[!A-Za-z0-9._-]*) return 1 ;; esac
  case $1 in "$obb_h"/*) ;; *) return 1 ;; esac
  case $obb_new in *" ${1##*/} "*) return 1 ;; esac
}

# What is kept of a run: scripts, output, statuses; no values, no state, no delivered files.
# obb_archive RUN NEWEST: the newest, and all of the last seven days
obb_archive() {
  obb_h=${obb_dir%/*}/history
  if [ -L "$obb_h" ] || { [ -e "$obb_h" ] && [ ! -O "$obb_h" ]; }; then
    echo "REFUSED $obb_h is a link, or belongs to somebody else"; return 1
  fi
  if [ ! -d "$obb_h" ]; then
    obb_e=$( (umask 077; mkdir -p "$obb_h") 2>&1) || { echo "FAILED $obb_e"; return 1; }
  # A folder of one's own may be closed to oneself.
  elif ! [ -w "$obb_h" ] || ! [ -x "$obb_h" ]; then
    obb_e=$(chmod u+rwx "$obb_h" 2>&1) || { echo "FAILED $obb_e"; return 1; }
  fi
  # What takes its time stands beside the rest.
  obb_mounted "${obb_dir%/*}" &
  obb_m=$!
  obb_outdated "$2"
  rm -f "$obb_dir"/steps/as.* "$obb_dir"/steps/given.* "$obb_dir"/steps/copy.* "$obb_dir"/steps/*/values "$obb_dir"/steps/*/state "$obb_dir"/steps/*/room "$obb_dir/steps/from"
  obb_past=$obb_h/$1
  if [ -e "$obb_past" ]; then obb_entry "${obb_dir%/*}" "$1" "$(obb_owner "$obb_dir")"; fi
  mv -T "$obb_dir/steps" "$obb_past" 2>/dev/null ||
    (umask 077; mkdir -p "$obb_past" && cp -R "$obb_dir/owner" "$obb_dir"/steps/* "$obb_past/") 2>/dev/null || :
  [ -d "$obb_past" ] || { echo "FAILED $obb_past cannot be made: the record of this run has no place"; return 1; }
  obb_old=${obb_dir%/*}/.old.$$
  obb_e=$(mv -T "$obb_dir" "$obb_old" 2>&1) || { echo "FAILED $obb_e"; return 1; }
  set --
  if [ "$obb_i" ]; then
    wait $obb_i
    while IFS= read -r obb_f; do if obb_outlived "$obb_f"; then set -- "$@" "$obb_f"; fi; done <"$ob_d/old"
  fi
  set -- "$obb_old" "$@"
  obb_kept=
  # Most often one call does it.
  if wait $obb_m || ! rm -rf "$@" 2>/dev/null; then
    for obb_f do [ ! -e "$obb_f" ] || obb_away "$obb_f" own; done
  fi
  obb_tidy
  return 0
}

# obb_remain: what runs of the run, while it is open.
obb_remain() { obb_heirs >"$ob_d/heirs"; obb_left "$obb_dir/steps" "$ob_d/heirs"; }

# obb_close RUN NEWEST END: CLOSED | LOST | GONE | FAILED why, then what could not be removed
# (KEPT path) and what is still running
obb_close() {
  obb_mine || return 0
  # What its controller knows, for another one that does not.
  [ -z "$3" ] || printf '%s\n' "$3" >"$obb_dir/steps/end"
  exec 9<&-
  obb_go=
  obb_heirs >"$ob_d/heirs" &
  obb_p=$!
  obb_archive "$1" "$2" || return 0
  wait $obb_p
  exec 7<&- 8<&-
  # A single line needs no file, and nobody to print that.
  if [ -z "$obb_kept" ] && [ ! -s "$ob_d/heirs" ]; then obb_say CLOSED; return 0; fi
  echo CLOSED
  printf %s "$obb_kept"
  obb_left "$obb_past" "$ob_d/heirs"
}

# obb_release DIR RUN NEWEST: gives the bundle up. RELEASED | GONE | HELD … by another run
obb_release() {
  obb_dir=$1
  if [ ! -e "$obb_dir" ] && [ ! -L "$obb_dir" ]; then echo GONE; return 0; fi
  obb_all_ours "$obb_dir" || return 0
  case $(obb_owner "$obb_dir") in
    '') set -- "$1" "unknown-$$" "$3" ;;
    *"\"run\":\"$2\""*) ;;
    *) obb_blocked; return 0 ;;
  esac
  obb_archive "$2" "$3" || return 0
  echo RELEASED
  printf %s "$obb_kept"
}

if command -v setsid >/dev/null 2>&1; then obb_setsid=setsid; else obb_setsid=; fi
