#!/bin/bash
# Counts what a run costs on both sides, in numbers that do not depend on the machine's load:
# processes, programs, system calls, syncs, and the processor time that was used.
#
#   benches/count.sh OPSBOOK ssh|steps|kept|test [NODES [ROUNDS]]
#
#   ssh    one plain `ssh` for each node, with the same commands: the floor of the others
#   steps  `opsbook run` of ten trivial steps
#   kept   the second `opsbook run` of one step over a kept connection
#   test   `opsbook test` of five checks for each node, 32 nodes at once
#
# Needs root, perf, openssh-server and the cgroups of the machine. Prints the mean of the rounds.
#
# shellcheck disable=SC2013,SC2016,SC2046 # words are meant
set -eu
opsbook=$1 what=$2 nodes=${3:-1} rounds=${4:-5}
name=opsbook-count-$$
lab=$(mktemp -d /tmp/$name.XXXX)
port=$((20000 + $$ % 20000))
user=$(id -un)
v2=/sys/fs/cgroup/unified; [ -d $v2 ] || v2=/sys/fs/cgroup
v1=/sys/fs/cgroup/cpuacct
groups=
for side in controller node; do
  mkdir -p "$v2/$name-$side"; groups="$groups $v2/$name-$side"
  if [ -d $v1 ]; then mkdir -p "$v1/$name-$side"; groups="$groups $v1/$name-$side"; fi
done
into() { for g in $groups; do case $g in *-"$1") echo "$2" >"$g/cgroup.procs" ;; esac; done; }
servers=()
end() {
  into node $$ || :
  for g in $v2/$name-node; do
    for _ in 1 2 3 4 5; do
      for p in $(cat "$g/cgroup.procs"); do [ "$p" = $$ ] || kill -KILL "$p" 2>/dev/null || :; done; wait 2>/dev/null
    done
  done
  for g in ${v2%/} $v1; do [ ! -d "$g" ] || echo $$ >"$g/cgroup.procs"; done
  sleep 0.2
  for g in $groups; do rmdir "$g" 2>/dev/null || :; done
  rm -rf "$lab"
}
trap end EXIT

mkdir -p /run/sshd "$lab/project/manual"; mkfifo "$lab/over"
for key in host login; do ssh-keygen -q -t ed25519 -N '' -f "$lab/$key"; done
address() { echo "127.66.$((100 + $1 / 250)).$((1 + $1 % 250))"; }
: >"$lab/known"
{ echo 'opsbook: 1'; echo 'nodes:'; } >"$lab/project/nodes.yaml"
keep=; [ "$what" != kept ] || keep='keep_connection: 1m, '
kex=${KEX:-} transport=${TRANSPORT:-ssh}
for n in $(seq 0 $((nodes - 1))); do
  d=$lab/$n; mkdir -p "$d/home" "$d/bin"; ln -s /bin/sh "$d/bin/sh"
  cp "$lab/login.pub" "$d/authorized"
  cat >"$d/login" <<S
#!/bin/sh
HOME='$d/home'; PATH='$d/bin':\$PATH; export HOME PATH; unset XDG_RUNTIME_DIR; cd
exec sh -c "\$SSH_ORIGINAL_COMMAND"
S
  chmod 755 "$d/login"
  cat >"$d/sshd_config" <<S
ListenAddress $(address "$n"):$port
HostKey $lab/host
PidFile none
StrictModes no
UsePAM no
AuthorizedKeysFile $d/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
ForceCommand $d/login
SetEnv HOME=/nonexistent
S
  echo "[$(address "$n")]:$port $(cat "$lab/host.pub")" >>"$lab/known"
  printf '  n%03d: {transport: %s, %saddress: "%s", port: %s, user: %s, identity: "%s", ssh_options: ["UserKnownHostsFile=%s", "GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes"%s]}\n' \
    "$n" "$transport" "$keep" "$(address "$n")" "$port" "$user" "$lab/login" "$lab/known" "${kex:+, \"KexAlgorithms=$kex\"}" >>"$lab/project/nodes.yaml"
done
into node $$
for n in $(seq 0 $((nodes - 1))); do
  /usr/sbin/sshd -D -f "$lab/$n/sshd_config" -E "$lab/$n/log" </dev/null >/dev/null 2>&1 & servers+=($!)
done
for g in ${v2%/} $v1; do [ ! -d "$g" ] || echo $$ >"$g/cgroup.procs"; done
for n in $(seq 0 $((nodes - 1))); do
  until (exec 3<>"/dev/tcp/$(address "$n")/$port") 2>/dev/null; do sleep 0.02; done
done

cd "$lab/project"
printf '[book]\ntitle = "B"\nsrc = "manual"\n' >book.toml
echo '- [Page](page.md)' >manual/SUMMARY.md
count=10; [ "$what" != kept ] || count=1
script=
if [ "$what" = test ] || { [ "$what" = ssh ] && [ "$nodes" -gt 1 ]; }; then
  cat >manual/page.md <<'S'
# Page

```yaml checks
id: bench
file:
  /etc/passwd: {exists: true, owner: root}
  /etc/group: {exists: true, owner: root}
  /bin/sh: {exists: true, owner: root}
  /etc: {exists: true, owner: root}
command:
  "test $(( 4 % 2 )) -lt 2": {exit-status: 0}
```
S
  for f in /etc/passwd /etc/group /bin/sh /etc; do script="${script}stat -c '%F %a %U' $f
"; done
  script="${script}test 0 -lt 2
"
else
  printf '# B\n\n```yaml procedure\nid: b\n```\n\n' >manual/page.md
  for n in $(seq $count); do
    printf '```sh step\necho %s > /dev/null\n```\n\n' "$n" >>manual/page.md
    script="${script}echo $n > /dev/null
"
  done
fi
printf '%s' "$script" >"$lab/script"
export XDG_RUNTIME_DIR=$lab/run; mkdir -m 700 "$lab/run"
ssh=(ssh -T -F none -o BatchMode=yes -o UserKnownHostsFile="$lab/known" -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes
  ${kex:+-o KexAlgorithms=$kex} -p "$port" -l "$user" -o IdentitiesOnly=yes -i "$lab/login")
cat >"$lab/one" <<S
#!/bin/sh
exec ${ssh[*]} "\$1" 'exec sh' <$lab/script >/dev/null
S
chmod +x "$lab/one"
for n in $(seq 0 $((nodes - 1))); do address "$n"; done >"$lab/hosts"
case $what in
  ssh) command=(xargs -P 32 -n 1 -a "$lab/hosts" "$lab/one") ;;
  steps) command=("$opsbook" run b n000 --yes) ;;
  kept) command=("$opsbook" run b n000 --yes) ;;
  test) command=("$opsbook" test --parallel 32) ;;
esac
go() { sh -c 'for g; do [ "$g" != -- ] || break; echo $$ >"$g/cgroup.procs"; shift; done; shift; exec "$@"' sh \
  $(for g in $groups; do case $g in *-controller) echo "$g" ;; esac; done) -- "${command[@]}" </dev/null >"$lab/out" 2>&1 || { cat "$lab/out"; exit 1; }; }
go; go
events=(sched:sched_process_fork sched:sched_process_exec raw_syscalls:sys_enter sched:sched_switch syscalls:sys_enter_fsync syscalls:sys_enter_fdatasync)
args=()
for side in controller node; do for e in "${events[@]}"; do args+=(-e "$e" -G "$name-$side"); done; done
cpu() { [ -d $v1 ] && cat "$v1/$name-$1/cpuacct.usage" || echo 0; }
c0=$(cpu controller) n0=$(cpu node)
perf stat -x, -a -o "$lab/perf" "${args[@]}" -- sh -c 'read x <"$1"' sh "$lab/over" & perf=$!
sleep 0.3
for _ in $(seq "$rounds"); do go; done
# What ends on the node a moment later counts, too.
sleep 0.5
echo >"$lab/over"; wait $perf
c1=$(cpu controller) n1=$(cpu node)
awk -F, -v rounds="$rounds" -v what="$what" -v nodes="$nodes" -v c=$((c1 - c0)) -v n=$((n1 - n0)) '
  /^[0-9]/ { side = $4; sub(/.*-/, "", side); e = $3; sub(/.*:/, "", e); sub(/sys_enter_/, "", e); v[side "," e] += $1 }
  END {
    k = split("sched_process_fork sched_process_exec sys_enter sched_switch fsync fdatasync", names, " ")
    printf "%-11s %8s %8s %9s %9s %6s %8s %8s\n", what "x" nodes, "forks", "execs", "syscalls", "switches", "fsync", "fdatasy", "cpu ms"
    for (s = 1; s <= 2; s++) {
      side = s == 1 ? "controller" : "node"
      printf "%-11s", side
      for (i = 1; i <= k; i++) printf " %8.1f", v[side "," names[i]] / rounds
      printf " %8.1f\n", (s == 1 ? c : n) / 1e6 / rounds
    }
  }' "$lab/perf"
