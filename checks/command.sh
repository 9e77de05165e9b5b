# command: what a command prints, and its exit status
#
# The command runs in its own shell, as with `sh -c`, and its standard input is empty. Its text
# is in no argument list. It must change nothing; opsbook cannot know whether it does.
#
#: key exec shell -- the command; values of the node are its shell variables
#: arg timeout milliseconds = 10000 -- after this it is killed, and the check is an error
#: fact exit-status int = 0 -- 127 is a command that was not found
#: fact stdout lines -- patterns for the lines of its standard output
#: fact stderr lines -- patterns for the lines of its standard error
#: waits for the command
#: example 'nginx -t': {exit-status: 0, stderr: [successful]}
found_with '{=exec}'
# by what name and line its shell will speak of the first line of the command
fact speaks-as "$((${LINENO:-0} + 4)) $0"
stream stdout
(
  unset -f fact stream stream_end none absent note found_with cannot_look wants has first_line entry passwd groups_db
  eval "$arg_exec"
) </dev/null
ob_status=$?
stream_end
fact exit-status "$ob_status"
