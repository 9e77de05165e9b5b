# group: a group of users
#
# Local groups are read from `/etc/group`; for others (LDAP and similar), the check asks `getent`.
#
#: key groupname text -- name of the group
#: fact exists bool gate = true -- the system knows the group
#: fact gid int -- number of the group
#: fact members list -- users who have it as a supplementary group
#: tools none for local groups; `getent` for others
#: example www-data: {gid: 33}
found_with 'getent group {groupname}'
groups_db
if [ -z "$ob_groups" ] && ! has getent; then
  cannot_look 'no readable `/etc/group` and no `getent`'
  return
fi
if entry "$ob_groups" "$arg_groupname"; then
  :
elif ! has getent; then
  if others_know group; then
    cannot_look 'no `getent`, and the system also looks for groups elsewhere than in `/etc/group`'
    return
  fi
else
  ob_entry=$(getent group "$arg_groupname" 2>/dev/null)
  # 2 is a name that was not found; anything else is not knowing
  case $? in
    0 | 2) ;;
    *)
      cannot_look 'getent does not answer'
      return
      ;;
  esac
  case $ob_entry in "$arg_groupname":*) ;; *) ob_entry='' ;; esac
fi
if [ -z "$ob_entry" ]; then
  fact exists false
  return
fi
fact exists true
ob_members=${ob_entry##*:}
ob_entry=${ob_entry%:*}
fact gid "${ob_entry##*:}"
[ -n "$ob_members" ] || none members
ob_ifs=$IFS
IFS=,
set -f
for ob_l in $ob_members; do fact members "$ob_l"; done
set +f
IFS=$ob_ifs
