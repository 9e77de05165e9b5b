# matching: a value in the manual itself, against a matcher
#
# The check does not ask the node. It compares values of `nodes.yaml`: the content `${app_port}`
# is checked for each node, with its value.
#
#: key name text -- what the check is called
#: arg content any -- the value: text, a number, a list or a map
#: arg as-reader bool -- the value is text, and a list of expectations is patterns for its lines
#: fact matches given -- what it must be
#: example workers are enough: {content: "${workers}", matches: {ge: 2}}
