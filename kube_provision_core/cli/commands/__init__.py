"""One command per module: parse, call, print. A module's `command` is what `program` loads."""
