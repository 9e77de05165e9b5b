# socket: a socket and the states of its connections
#
# `tcp:PORT` counts IPv4 and IPv6, and connections to this port of the node. `port` checks the
# addresses on which something listens.
#
#: key address socket -- `tcp:443`, or `unix:/run/x.sock`
#: fact listening bool -- something listens there
#: fact established int -- connections that are open
#: fact syn-recv int -- connections that are being made
#: fact time-wait int -- connections that have ended, and are kept for a while
#: fact close-wait int -- connections that the other side has closed, but not the service
#: fact connections int -- all of them
#: tools the kernel's `/proc/net`; for `tcp` also `awk`
#: example tcp:443: {listening: true, close-wait: {lt: 100}}
case $arg_address in
  unix:?*)
    ob_path=${arg_address#unix:}
    by_hand ss -xa src "$ob_path"
    if ! [ -r "$ob_root/proc/net/unix" ]; then
      cannot_look 'no `/proc/net/unix`'
      return
    fi
    [ -n "${ob_unix-}" ] || ob_unix=$(cat "$ob_root/proc/net/unix")
    ob_listening=false ob_count=0
    ob_ifs=$IFS
    set -f
    IFS=$ob_lf
    for ob_l in $ob_unix; do
      case $ob_l in *" $ob_path") ;; *) continue ;; esac
      IFS=$ob_ifs
      # shellcheck disable=SC2086 # fields are wanted
      set -- $ob_l
      # The flag that it accepts connections, and the state of being connected.
      case $4 in *1????) ob_listening=true ;; esac
      case $6 in 03) ob_count=$((ob_count + 1)) ;; esac
    done
    set +f
    IFS=$ob_ifs
    # The kernel lists those of its own network namespace only.
    case $ob_listening$ob_count in
      false0)
        if [ -S "$ob_path" ]; then
          unix_answers "$ob_path"
          case $ob_status in
            0)
              fact listening true
              cannot_look 'it is in another network, whose connections cannot be seen'
              return
              ;;
            '')
              cannot_look "$ob_first"
              return
              ;;
          esac
        else
          case $ob_path in /*) [ -e "$ob_path" ] || missing "$ob_path" || return 0 ;; esac
        fi
        ;;
    esac
    fact listening "$ob_listening"
    fact established "$ob_count"
    fact connections "$ob_count"
    for ob_l in syn-recv time-wait close-wait; do fact "$ob_l" 0; done
    ;;
  tcp:*)
    ob_port=${arg_address#tcp:}
    case $ob_port in
      '' | *[!0-9]* | ??????*)
        cannot_look "\`$ob_port\` is not a port number"
        return
        ;;
    esac
    by_hand ss -atn "sport = :$ob_port"
    if ! [ -r "$ob_root/proc/net/tcp" ]; then
      cannot_look 'no `/proc/net/tcp`'
      return
    elif ! has awk; then
      cannot_look 'no `awk`'
      return
    fi
    set -- "$ob_root/proc/net/tcp"
    if [ -r "$ob_root/proc/net/tcp6" ]; then set -- "$@" "$ob_root/proc/net/tcp6"; fi
    awk -v "port=$ob_port" '
      BEGIN { want = sprintf(":%04X", port) }
      FNR > 1 && substr($2, length($2) - 4) == want { n[$4]++; if ($4 != "0A") all++ }
      END {
        print "listening " (n["0A"] ? "true" : "false")
        print "established " n["01"] + 0
        print "syn-recv " n["03"] + n["0C"] + 0
        print "time-wait " n["06"] + 0
        print "close-wait " n["08"] + 0
        print "connections " all + 0
      }' "$@" || unknown listening 'awk cannot read the tables of the kernel'
    ;;
  *) cannot_look "\`$arg_address\` is neither \`tcp:PORT\` nor \`unix:PATH\`" ;;
esac
