"""The git repository as gitcoord uses it: where it is, its objects, the log's ref, and what `init` puts beside them.

`repository` finds it, `objects` reads and writes loose objects in a directory of gitcoord's own, `refs` moves the log's
ref by compare-and-swap, `setup` makes and checks the runtime directory, `disk` is the few file operations below them.
Nothing here knows what a session or a lock is.
"""
