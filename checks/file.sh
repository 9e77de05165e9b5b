# file: a file, directory, symbolic link, socket, pipe or device
#
# Looks at the path itself, not at what a symbolic link points to; contents and checksums
# are those of the file behind a link. If there is nothing at the path, the other
# attributes are not evaluated. If the node may not search the directory, the check is an error.
#
#: key path path -- absolute path; `~` and `~user` stand for a home directory
#: fact exists bool gate = true -- whether there is anything at the path
#: fact filetype text -- `file`, `directory`, `symlink`, `socket`, `pipe`, `block-device` or `character-device`
#: fact mode mode -- permissions in octal, such as `"0644"` or `0644`
#: fact owner text -- name of the owner, or the number if it has no name
#: fact group text -- name of the group, or the number if it has no name
#: fact uid int -- number of the owner
#: fact gid int -- number of the group
#: fact size int -- bytes
#: fact linked-to text -- target of a symbolic link, as the link contains it
#: fact contents lines alias contains -- patterns for its lines; the first MiB is read
#: fact md5 text -- checksum in hexadecimal
#: fact sha256 text -- checksum in hexadecimal
#: fact sha512 text -- checksum in hexadecimal
#: tools `stat` or `ls`; for checksums `sha256sum` and its kind, `openssl` or `shasum`
#: example /etc/passwd: {mode: "0644", owner: root, contents: ["/^root:/", "!::0:"]}
ob_path=$arg_path
# shellcheck disable=SC2088 # the author wrote it for opsbook, not for this shell
case $ob_path in
  '~' | '~/'*)
    if [ -z "${HOME-}" ]; then
      cannot_look 'there is no `HOME`'
      return
    fi
    ob_path=$HOME${ob_path#'~'}
    ;;
  '~'*)
    ob_user=${ob_path#'~'}
    ob_user=${ob_user%%/*}
    passwd
    if ! entry "$ob_passwd" "$ob_user"; then
      cannot_look "no local user \`$ob_user\`"
      return
    fi
    ob_ifs=$IFS
    IFS=:
    set -f
    # shellcheck disable=SC2086 # fields are wanted
    set -- $ob_entry
    set +f
    IFS=$ob_ifs
    ob_path=${6-}${ob_path#"~$ob_user"}
    ;;
  -*) ob_path=./$ob_path ;;
esac
by_hand ls -ld -- "$ob_path"
if ! [ -e "$ob_path" ] && ! [ -L "$ob_path" ]; then
  if missing "$ob_path"; then fact exists false; fi
  return
fi
fact exists true
if wants filetype; then
  if [ -L "$ob_path" ]; then
    fact filetype symlink
  elif [ -d "$ob_path" ]; then
    fact filetype directory
  elif [ -S "$ob_path" ]; then
    fact filetype socket
  elif [ -p "$ob_path" ]; then
    fact filetype pipe
  elif [ -b "$ob_path" ]; then
    fact filetype block-device
  elif [ -c "$ob_path" ]; then
    fact filetype character-device
  else
    fact filetype file
  fi
fi
if wants mode owner group uid gid size; then
  # of several files, one stat has looked already
  case ${ob_stats-} in
    *" $ob_path$ob_lf"*)
      ob_stat=${ob_stats%%" $ob_path$ob_lf"*}
      ob_stat=${ob_stat##*"$ob_lf"}
      ;;
    *) ob_stat='' ;;
  esac
  if [ -n "$ob_stat" ] || ob_stat=$(LC_ALL=C stat -c '%a %u %g %s %U:%G' -- "$ob_path" 2>/dev/null); then
    ob_names=${ob_stat#* * * * }
    # shellcheck disable=SC2086 # fields are wanted
    set -- $ob_stat
    ob_owner=${ob_names%%:*} ob_group=${ob_names#*:}
    case $1 in
      ?) ob_mode=000$1 ;;
      ??) ob_mode=00$1 ;;
      ???) ob_mode=0$1 ;;
      *) ob_mode=$1 ;;
    esac
  elif ob_stat=$(LC_ALL=C ls -ldn -- "$ob_path" 2>/dev/null); then
    ob_names=$(LC_ALL=C ls -ld -- "$ob_path" 2>/dev/null)
    set -f
    # shellcheck disable=SC2086 # fields are wanted
    set -- $ob_names
    ob_owner=${3-} ob_group=${4-}
    # shellcheck disable=SC2086 # fields are wanted
    set -- $ob_stat
    set +f
    ob_mode='' ob_special=0 ob_bits=${1#?}
    for ob_bit in 4 2 1; do
      ob_digit=0
      case $ob_bits in r*) ob_digit=4 ;; esac
      case $ob_bits in ?w*) ob_digit=$((ob_digit + 2)) ;; esac
      case $ob_bits in ??[xst]*) ob_digit=$((ob_digit + 1)) ;; esac
      case $ob_bits in ??[sStT]*) ob_special=$((ob_special + ob_bit)) ;; esac
      ob_mode=$ob_mode$ob_digit ob_bits=${ob_bits#???}
    done
    ob_mode=$ob_special$ob_mode
    set -- "$ob_mode" "$3" "$4" "$5"
  else
    cannot_look "neither \`stat\` nor \`ls\` can read it"
    return
  fi
  case $ob_owner in UNKNOWN) ob_owner=$2 ;; esac
  case $ob_group in UNKNOWN) ob_group=$3 ;; esac
  fact mode "$ob_mode"
  fact uid "$2"
  fact gid "$3"
  fact owner "$ob_owner"
  fact group "$ob_group"
  fact size "$4"
fi
if wants linked-to; then
  if ! [ -L "$ob_path" ]; then
    absent linked-to
  elif ob_link=$(readlink -- "$ob_path" 2>/dev/null) || ob_link=$(ls -ld -- "$ob_path" 2>/dev/null); then
    fact linked-to "${ob_link#*"$ob_path -> "}"
  fi
fi
if wants contents md5 sha256 sha512; then
  if ! [ -e "$ob_path" ]; then
    cannot_look "the target of the link does not exist"
    return
  elif [ -d "$ob_path" ]; then
    cannot_look "a directory has no contents to read"
    return
  elif ! [ -f "$ob_path" ]; then
    cannot_look "it is not a file with contents that end"
    return
  elif ! [ -r "$ob_path" ]; then
    cannot_look "no permission to read \`$ob_path\`"
    return
  fi
fi
if wants contents; then
  stream contents
  if has head; then head -c 1048577 <"$ob_path"; else cat <"$ob_path"; fi
  ob_status=$?
  stream_end
  if [ "$ob_status" -ne 0 ]; then unknown contents "\`$ob_path\` cannot be read to its end"; fi
fi
for ob_sum in md5 sha256 sha512; do
  if wants "$ob_sum"; then
    by_hand "${ob_sum}sum" "$ob_path"
    if has "${ob_sum}sum"; then
      ob_hash=$("${ob_sum}sum" <"$ob_path")
    elif has openssl; then
      ob_hash=$(openssl dgst -r "-$ob_sum" <"$ob_path")
    elif has shasum && [ "$ob_sum" != md5 ]; then
      ob_hash=$(shasum -a "${ob_sum#sha}" <"$ob_path")
    else
      cannot_look "no \`${ob_sum}sum\` or \`openssl\`"
      return
    fi
    case $ob_hash in
      [0-9a-f][0-9a-f]*) fact "$ob_sum" "${ob_hash%% *}" ;;
      *) cannot_look "there is no checksum of \`$ob_path\`" ;;
    esac
  fi
done
