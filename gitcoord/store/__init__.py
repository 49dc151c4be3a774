"""The git repository as gitcoord uses it: where it is, its objects, the log's ref, and what `init` puts beside them.

`repository` finds it, `objects` reads and writes objects in a directory of gitcoord's own: in small `packs`, which are
merged (`merging`) as they come; `spool` holds what is built and not yet published. `refs` moves the log's
ref by compare-and-swap, `setup` makes and checks the runtime directory, `disk` is the few file operations below them.
Nothing here knows what a session or a lock is.
"""
