# shellcheck disable=SC2154,SC2086,SC2046,SC2012,SC2030,SC2031,SC2164 # the variables are given
# Puts a text into its place. Given are ob_file_to, an absolute path; ob_file_text; ob_file_mode
# and ob_file_owner, each of which may be empty; ob_file_how: whole, append or edit.
# The way there is walked folder by folder. Each folder and each link on it must belong to root or
# to who places, so that nobody else can lead it elsewhere. The file is written beside its place
# and renamed: a reader sees the old one or the new one, whole.
(
unset IFS
set -f
umask 077
me=$(id -u)
no() { printf '%s: %s\n' "$ob_file_to" "$1" >&2; exit 1; }
# facts NAME: kind, rights, uid, gid; an empty kind where there is nothing
facts() {
  kind='' rights='' uid='' gid=''
  set -- $(ls -ldn "$1" 2>/dev/null)
  [ $# -ge 4 ] || return 0
  case $1 in -*) kind=file ;; d*) kind=folder ;; l*) kind=link ;; *) kind=other ;; esac
  rights=$1 uid=$3 gid=$4
}
ours() { [ "$uid" = 0 ] || [ "$uid" = "$me" ]; }
# The folder in which this shell stands: may others lead the way elsewhere?
stand() {
  here=$(pwd -P) || no 'its folder is gone'
  facts .
  ours || no "the folder $here belongs to user $uid, who could lead it elsewhere: let that user place it (sudo=USER)"
  case $rights in
  ????????w[xs-]*) no "everybody may write in the folder $here" ;;
  ????????w*) shared=1 ;;
  *) shared='' ;;
  esac
}
ob_go() { cd -P "$1" || no "the folder $1 cannot be entered"; }
hops=0 rest=$ob_file_to
ob_go /
stand
while :; do
  while :; do case $rest in /*) rest=${rest#/} ;; *) break ;; esac; done
  part=${rest%%/*} more='' last=1
  case $rest in */*) more=${rest#*/} last='' ;; esac
  case $part in
  '') no 'a folder is there' ;;
  .) rest=$more; [ -z "$last" ] || no 'a folder is there'; continue ;;
  ..) ob_go ..; stand; rest=$more; [ -z "$last" ] || no 'a folder is there'; continue ;;
  esac
  facts "./$part"
  if [ "$kind" = link ]; then
    ours || no "the link ${here%/}/$part belongs to user $uid, who could lead it elsewhere"
    hops=$((hops + 1))
    [ "$hops" -le 20 ] || no 'there are more than 20 links on the way'
    target=$(readlink "./$part") || no "the link ${here%/}/$part cannot be read"
    case $target in /*) ob_go /; stand ;; esac
    rest=$target
    [ "$last" ] || rest=$target/$more
    continue
  fi
  [ -z "$last" ] || break
  case $kind in
  folder) ;;
  '') no "there is no folder ${here%/}/$part" ;;
  *) no "${here%/}/$part is no folder" ;;
  esac
  before=${here%/}/$part
  ob_go "./$part"
  stand
  [ "$here" = "$before" ] || no "$before was changed meanwhile"
  rest=$more
done
case $kind in
'' | file) ;;
folder) no 'a folder is there' ;;
*) no 'what is there is no plain file' ;;
esac
if [ "$shared" ] && [ "$kind" ]; then
  ours || no "it belongs to user $uid, in a folder where everybody may write"
fi
was="$rights $uid $gid" had=$kind
case $ob_file_how in
whole) ;;
append) [ "$had" ] || [ "$ob_file_mode" ] || no 'there is no such file; with mode= it is made' ;;
*) [ "$had" ] || no 'there is no such file to change' ;;
esac
case $ob_file_how$rights in
whole*) ;;
*+) no 'it has an access list, which would be lost: change it by hand' ;;
esac
new=.ob-$$.part
(set -C; : >"./$new") || no "nothing can be written in $here"
trap 'rm -f "./$new"' 0
if [ "$ob_file_how" = whole ] || [ -z "$had" ]; then
  printf %s "$ob_file_text" >"./$new"
else
  printf %s "$ob_file_text" | awk -v how="$ob_file_how" '
    function no(why) { print why | "cat 1>&2"; close("cat 1>&2"); failed = 1; exit 1 }
    # Numbers that are written otherwise are other lines.
    function stands(list, k, count, i,   j) {
      for (j = 1; j <= count; j++) if ((L[i + j - 1] "") != (list[k, j] "")) return 0
      return 1
    }
    function change(k,   i, j, d, inside, found, place, done, rest) {
      d = 0; found = 0
      if (!o[k]) no("nothing says where the new lines go")
      for (i = 1; n[k] && i <= m - n[k] + 1; i++) if (stands(N, k, n[k], i)) done[++d] = i
      for (i = 1; i <= m - o[k] + 1; i++) {
        if (!stands(O, k, o[k], i)) continue
        inside = 0
        for (j = 1; j <= d; j++) if (done[j] <= i && i + o[k] <= done[j] + n[k]) inside = 1
        if (!inside) { found++; place = i }
      }
      if (found > 1) no("the lines to change stand in it " found " times; show more of the lines around them:\n" O[k, 1])
      # Lines that are to be gone, and are.
      if (!found && (d || !n[k])) return
      if (!found) no("the lines to change do not stand in it:\n" O[k, 1])
      for (i = place + o[k]; i <= m; i++) rest[i - place - o[k]] = L[i]
      for (i = 1; i <= n[k]; i++) L[place + i - 1] = N[k, i]
      for (i = 0; i < m - place - o[k] + 1; i++) L[place + n[k] + i] = rest[i]
      m += n[k] - o[k]
    }
    NR == FNR { E[++e] = $0; next }
    { L[++m] = $0 }
    END {
      if (failed) exit 1
      if (how == "append") {
        for (i = 1; i <= e; i++) N[1, i] = E[i]
        for (i = 1; i <= m - e + 1; i++) if (stands(N, 1, e, i)) e = 0
        for (i = 1; i <= e; i++) L[++m] = E[i]
      } else {
        k = 1
        if (substr(E[1], 1, 4) == "--- " && substr(E[2], 1, 4) == "+++ ") k = 3
        for (h = 1; k <= e; k++) {
          c = substr(E[k], 1, 1); text = substr(E[k], 2)
          if (substr(E[k], 1, 2) == "@@") { if (o[h] + n[h]) h++; continue }
          if (c == "\\") continue
          if (c != "" && c != " " && c != "+" && c != "-") no("a line says neither what goes nor what comes:\n" E[k])
          if (c != "+") O[h, ++o[h]] = text
          if (c != "-") N[h, ++n[h]] = text
        }
        for (k = 1; k <= h; k++) if (o[k] + n[k]) change(k)
      }
      for (i = 1; i <= m; i++) print L[i]
    }' - "./$part" >"./$new" || no 'nothing was changed'
fi
owner=$ob_file_owner mode=$ob_file_mode
if [ "$had" ] && [ "$ob_file_how" != whole ]; then
  [ "$owner" ] || owner=$uid:$gid
  [ "$mode" ] || mode=$(printf '%s\n' "$rights" |
    sed 's/^.\(...\)\(...\)\(...\).*/u=\1,g=\2,o=\3/; s/-//g; s/s/xs/g; s/S/s/g; s/t/xt/g; s/T/t/g')
fi
[ -z "$owner" ] || chown "$owner" "./$new" || no "it cannot be given to $owner"
chmod "$mode" "./$new"
facts "./$new"
if [ "$rights $uid $gid" = "$was" ] && cmp -s "./$new" "./$part"; then
  printf '%s is as it should be\n' "$ob_file_to"
  exit 0
fi
mv -f "./$new" "./$part"
trap - 0
[ ! -e /sys/fs/selinux/enforce ] || restorecon "${here%/}/$part" || :
printf '%s is placed\n' "$ob_file_to"
)
