# failed-units: units of systemd that have failed
#
#: key pattern text -- which units: a pattern such as `*.service` or `shop-*`; `all` means every unit
#: fact count int = 0 -- how many have failed
#: fact units list -- their names
#: tools `systemctl`
#: example all: {units: {consist-of: []}}
if ! [ -d "$ob_root/run/systemd/system" ] || ! has systemctl; then
  cannot_look 'systemd does not run here'
  return
fi
ob_pattern=$arg_pattern
case $ob_pattern in all) ob_pattern='*' ;; esac
by_hand systemctl list-units --state=failed --all -- "$ob_pattern"
if ! ob_out=$(LC_ALL=C systemctl list-units --state=failed --all --plain --no-legend --no-pager -- "$ob_pattern" 2>&1); then
  first_line "$ob_out"
  cannot_look "systemctl: $ob_first"
  return
fi
ob_count=0
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_out; do
  ob_l=${ob_l#'● '}
  ob_count=$((ob_count + 1))
  fact units "${ob_l%%[ 	]*}"
done
set +f
IFS=$ob_ifs
fact count "$ob_count"
[ "$ob_count" -gt 0 ] || none units
