# sshd-config: the SSH server's effective configuration, with all included files
#
# The check asks `sshd -T`, which reads the host keys; this usually needs `sudo: true`.
#
#: key option text -- name of an option, in any case: `PermitRootLogin`
#: arg connection text -- for which connection, such as `user=ana,host=h,addr=10.0.0.9`, for `Match` blocks
#: fact value text -- its value; an option that may occur several times has one value per line
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
