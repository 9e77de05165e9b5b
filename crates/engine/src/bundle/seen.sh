# obb_seen DIR: the runs of which there is a trace: HOLDS name, of the one that has the bundle, and
# PAST name, of the newest of the history beside it; then END. Only names are looked at, and the
# owner's first line, bounded. What belongs to somebody else, or is a link, is passed over.
obb_seen() {
  obb_h=${1%/*}/history
  if [ ! -L "$1" ] && [ -d "$1" ] && [ -O "$1" ] && [ ! -L "$1/owner" ] && [ -f "$1/owner" ]; then
    obb_o=$(head -c 16384 "$1/owner" 2>/dev/null)
    case $obb_o in *'"run":"'*) obb_o=${obb_o#*'"run":"'}; echo "HOLDS ${obb_o%%'"'*}" ;; esac
  fi
  if [ ! -L "$obb_h" ] && [ -d "$obb_h" ] && [ -O "$obb_h" ]; then
    set -- "$obb_h"/*
    # Names of runs sort by time.
    if [ $# -gt 200 ]; then shift $(($#-200)); fi
    for obb_f do
      obb_f=${obb_f##*/}
      case $obb_f in *[!0-9a-z-]*) ;; *) echo "PAST $obb_f" ;; esac
    done
  fi
  echo END
}
