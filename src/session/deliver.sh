# Files that arrive: written beside their place, proven, given their mode, renamed.

# ob_at PATH NAME: the place (from the home directory) and the temporary file beside it
ob_at() {
  case $1 in /*) ob_p=$1 ;; *) ob_p=${HOME:?}/$1 ;; esac
  ob_t=${ob_p%/*}/.$2.part
}

ob_add() { umask 077; ob_at "$1" "$2"; printf %s "$3" >>"$ob_t"; }
ob_add_octal() { umask 077; ob_at "$1" "$2"; printf %b "$3" >>"$ob_t"; }
ob_add_base64() { umask 077; ob_at "$1" "$2"; printf %s "$3" | base64 -d >>"$ob_t"; }

# ob_sum TOOL, of what has arrived. openssl uses the processor's own instructions, which
# many a sha256sum does not.
ob_sum() {
  case $1 in
  openssl) openssl dgst -sha256 -r <"$ob_t" 2>/dev/null || sha256sum <"$ob_t" ;;
  *) "$1" <"$ob_t" ;;
  esac
}

# ob_keep PATH NAME MODE TOOL SUM
ob_keep() {
  ob_at "$1" "$2"
  if ob_s=$(ob_sum "$4"); then
    case $4 in cksum) ;; *) ob_s=${ob_s%% *} ;; esac
    if [ "$ob_s" != "$5" ]; then rm -f "$ob_t"; echo "sum $ob_s"; return 1; fi
    if [ -d "$ob_p" ]; then echo "is a directory" >&2
    elif chmod "$3" "$ob_t" && mv -f "$ob_t" "$ob_p"; then return 0
    fi
  fi
  rm -f "$ob_t"; return 1
}
ob_drop() { ob_at "$1" "$2"; rm -f "$ob_t"; }
