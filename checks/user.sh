# user: a user of the system
#
# Local users are read from `/etc/passwd`; for others (LDAP and similar), the check asks `getent`.
#
#: key username text -- login name
#: fact exists bool gate = true -- the system knows the user
#: fact uid int -- number of the user
#: fact gid int -- number of the primary group
#: fact groups list -- names of all groups, including the primary one
#: fact home text -- home directory
#: fact shell text -- login shell
#: tools none for local users; `getent` and `id` for others
#: example www-data: {uid: 33, groups: [www-data], shell: /usr/sbin/nologin}
found_with 'getent passwd {username} && id {username}'
passwd
if [ -z "$ob_passwd" ] && ! has getent; then
  cannot_look 'no readable `/etc/passwd` and no `getent`'
  return
fi
ob_local=1
if ! entry "$ob_passwd" "$arg_username"; then
  ob_local=''
  if has getent; then
    ob_entry=$(getent passwd "$arg_username" 2>/dev/null)
    # 2 is a name that was not found; anything else is not knowing
    case $? in
      0 | 2) ;;
      *)
        cannot_look 'getent does not answer'
        return
        ;;
    esac
    case $ob_entry in "$arg_username":*) ;; *) ob_entry='' ;; esac
  elif others_know passwd; then
    cannot_look 'no `getent`, and the system also looks for users elsewhere than in `/etc/passwd`'
    return
  fi
fi
if [ -z "$ob_entry" ]; then
  fact exists false
  return
fi
fact exists true
ob_ifs=$IFS
IFS=:
set -f
# shellcheck disable=SC2086 # fields are wanted
set -- $ob_entry
set +f
IFS=$ob_ifs
fact uid "${3-}"
fact gid "${4-}"
fact home "${6-}"
fact shell "${7-}"
wants groups || return 0
if [ -z "$ob_local" ] && has id; then
  for ob_l in $(id -Gn "$arg_username" 2>/dev/null); do fact groups "$ob_l"; done
  return
fi
groups_db
if [ -z "$ob_groups" ]; then
  cannot_look 'no readable `/etc/group`'
  return
fi
ob_gid=${4-} ob_any=''
ob_ifs=$IFS
IFS=$ob_lf
set -f
for ob_l in $ob_groups; do
  ob_members=${ob_l##*:}
  ob_id=${ob_l%:*}
  if [ "${ob_id##*:}" = "$ob_gid" ]; then
    fact groups "${ob_l%%:*}"
    ob_any=1
  else
    case ,$ob_members, in
      *",$arg_username,"*)
        fact groups "${ob_l%%:*}"
        ob_any=1
        ;;
    esac
  fi
done
set +f
IFS=$ob_ifs
[ -n "$ob_any" ] || none groups
