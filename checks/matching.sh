# matching: a value in the manual itself, against a matcher
#
# Asks nothing of the node. It holds or not by what the values of the node say: a content of
# `${app_port}` is checked for each node.
#
#: key name text -- what the check is called
#: arg content any -- the value: text, a number, a list or a map
#: arg as-reader bool -- the value is text, and a list of expectations is patterns for its lines
#: fact matches given -- what it must be
#: example workers are enough: {content: "${workers}", matches: {ge: 2}}
