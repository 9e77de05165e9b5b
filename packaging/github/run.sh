#!/usr/bin/env bash
# Does what the inputs say. All commands are tried; the status is that of the first that failed.
set -euo pipefail
# Arguments are words, and no patterns of file names.
set -f
cd "${MANUAL:-.}"
if [ -n "${SSH_KEY:-}" ]; then
  eval "$(ssh-agent)" > /dev/null
  trap 'ssh-agent -k > /dev/null' EXIT
  # The key is never on the disk, and in no argument.
  printf '%s\n' "$SSH_KEY" | ssh-add -q -
  unset SSH_KEY
fi
if [ -n "${KNOWN_HOSTS:-}" ]; then
  mkdir -p ~/.ssh
  chmod 0700 ~/.ssh
  printf '%s\n' "$KNOWN_HOSTS" >> ~/.ssh/known_hosts
fi
status=0
note() { local ended=$?; if [ "$status" = 0 ]; then status=$ended; fi; }
for what in ${DO:-lint test}; do
  case $what in
    lint) opsbook lint --format github || note ;;
    build) opsbook build || note ;;
    test)
      words=(--report github)
      if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then words+=(--report "summary=$GITHUB_STEP_SUMMARY"); fi
      if [ -n "${JUNIT:-}" ]; then words+=(--report "junit=$JUNIT"); fi
      if [ -n "${NODES:-}" ]; then words+=(--nodes "$NODES"); fi
      # shellcheck disable=SC2086 # arguments are words
      opsbook test "${words[@]}" ${ARGUMENTS:-} || note ;;
    *) echo "::error title=opsbook::there is no command \`$what\`: lint, test, build"; exit 2 ;;
  esac
done
exit "$status"
