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

# ob_say PATH NAME TOOL: the sum
ob_say() { ob_at "$1" "$2"; ob_said "$3" && echo "$ob_s"; }

ob_said() {
  ob_s=$(ob_sum "$1") || return 1
  case $1 in cksum) ;; *) ob_s=${ob_s%% *} ;; esac
}

# ob_proven TOOL SUM; the tool is "proven" where somebody has compared it already
ob_proven() {
  [ "$1" != proven ] || return 0
  ob_said "$1" || return 1
  [ "$ob_s" = "$2" ] || { echo "sum $ob_s"; return 1; }
}

# ob_keep PATH NAME TOOL SUM MODE
ob_keep() {
  ob_at "$1" "$2"
  if ob_proven "$3" "$4"; then
    if [ -d "$ob_p" ]; then echo "is a directory" >&2
    elif chmod "$5" "$ob_t" && mv -f "$ob_t" "$ob_p"; then return 0
    fi
  fi
  rm -f "$ob_t"; return 1
}

# ob_unpack PATH NAME TOOL SUM: a folder, unpacked aside, and renamed when whole
ob_unpack() {
  umask 077; ob_at "$1" "$2"
  ob_proven "$3" "$4" && rm -rf "$ob_p.part" && mkdir "$ob_p.part" &&
    (cd "$ob_p.part" && tar -xof -) <"$ob_t" && rm -rf "$ob_p" "$ob_t" && mv "$ob_p.part" "$ob_p" && return 0
  rm -rf "$ob_t" "$ob_p.part"; return 1
}
# ob_drop PATH NAME [folder]
ob_drop() { ob_at "$1" "$2"; rm -f "$ob_t"; [ -z "${3-}" ] || rm -rf "$ob_p.part"; }
