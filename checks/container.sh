# container: a container of Docker or Podman
#
#: key name text -- name or id
#: arg engine text -- `docker` or `podman`; the first one found if absent
#: fact exists bool gate = true -- the engine knows it
#: fact running bool = true -- it runs
#: fact status text -- `running`, `exited`, `restarting` …
#: fact health text -- `healthy`, `unhealthy`, `starting`; `none` if it has no health check
#: fact image text -- the image, as it was named when the container was made
#: fact restarts int -- how often the engine has restarted it
#: fact exit-status int -- exit status of its last end
#: tools `docker` or `podman`
#: waits for the daemon
#: example shop-web: {running: true, health: healthy, restarts: {lt: 3}}
case $arg_name in
  '' | -*)
    cannot_look "\`$arg_name\` is not a valid name for a container"
    return
    ;;
esac
ob_engine=$arg_engine
if [ -z "$ob_engine" ]; then
  if has docker; then
    ob_engine=docker
  elif has podman; then
    ob_engine=podman
  else
    cannot_look 'no `docker` or `podman`'
    return
  fi
fi
if ! has "$ob_engine"; then
  cannot_look "no \`$ob_engine\`"
  return
fi
by_hand "$ob_engine" container inspect "$arg_name"
ob_out=$("$ob_engine" container inspect -f '{{.State.Running}}|{{.State.Status}}|{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}|{{.RestartCount}}|{{.State.ExitCode}}|{{.Config.Image}}' "$arg_name" 2>&1)
case $?$ob_out in
  0*'|'*'|'*'|'*'|'*'|'*) ;;
  *[Nn]'o such container'* | *'no container with name'*)
    fact exists false
    return
    ;;
  *)
    first_line "$ob_out"
    cannot_look "$ob_engine: $ob_first"
    return
    ;;
esac
ob_ifs=$IFS
IFS='|'
set -f
# shellcheck disable=SC2086 # fields are wanted
set -- $ob_out
set +f
IFS=$ob_ifs
fact exists true
fact running "$1"
fact status "$2"
fact health "${3:-none}"
fact restarts "$4"
fact exit-status "$5"
fact image "$6"
