# sshd-config: what the SSH server's configuration comes to, includes and all
#
# Asks `sshd -T`, which needs to read the host keys: as a rule, with `sudo: true`.
#
#: key option text -- name of an option, in any case: `PermitRootLogin`
#: arg connection text -- for whom: as `user=ana,host=h,addr=10.0.0.9`, for `Match` blocks
#: fact value text -- its value; where it may be given several times, one a line
#: tools `sshd`
#: example PermitRootLogin: {value: "no", sudo: true}
if ! has sshd; then
  cannot_look 'no `sshd`'
  return
fi
# sshd starts itself again, and so wants to be called by its whole path.
ob_sshd=$(command -v sshd)
set -- -T
if [ -n "$arg_connection" ]; then set -- "$@" -C "$arg_connection"; fi
ob_name=$(printf '%s' "$arg_option" | tr '[:upper:]' '[:lower:]')
if [ -z "$ob_name" ]; then
  cannot_look 'no `tr`, or no name'
  return
fi
words "$ob_sshd" "$@"
ob_rest=$ob_words
words "^$ob_name "
found_with "$ob_rest | grep -- $ob_words"
case ${ob_sshd_of-} in
  "x$arg_connection") ;;
  *)
    if ! ob_sshd_text=$("$ob_sshd" "$@" 2>&1); then
      first_line "$ob_sshd_text"
      cannot_look "sshd: $ob_first"
      return
    fi
    ob_sshd_of=x$arg_connection
    ;;
esac
ob_any=''
ob_ifs=$IFS
set -f
IFS=$ob_lf
for ob_l in $ob_sshd_text; do
  case $ob_l in
    "$ob_name "*)
      ob_any=1
      fact value "${ob_l#* }"
      ;;
  esac
done
set +f
IFS=$ob_ifs
[ -n "$ob_any" ] || absent value 'sshd knows no such option, or it is not set'
