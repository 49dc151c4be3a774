"""Sharing between clones: the team's git remote decides, by compare-and-swap on its own ref.

Every clone has the whole log and reads it without the network. What needs agreement (a lock, a sign-on, a
compare-and-set) is a *candidate*: a commit on the local tip that is pushed with the value that the remote's ref must
have, and that becomes the local tip only when the remote took it. What needs none (a plain store, a release, a
renewal) is written here at once and published a little later.

- `sound` tells whether a commit that somebody pushed can be one of the log at all;
- `growth` tells how the tip that the remote has now lies to the one that it was last seen to have;
- `flights` are pushes whose end matters: noted before they begin, found out about where the answer was lost;
- `fates` finds out what became of operations whose push ended with nobody there to hear it;
- `waiting` is what was written here only: laid anew where the remote turns some of it away;
- `losers` are sessions of this clone whose place another clone's took: told here, for the log has no place for it;
- `ours` is this clone's side of a meeting: what is kept and noted, merges that are written, the tip that moves;
- `judging` holds what the remote has against what was seen of it, and puts damage right;
- `meeting` is one process's work with the remote: push, fetch, have judged, merge;
- `sharer` is the door: it decides what has to be confirmed, and gives an answer only when its fate is known.

The invariant that all of it keeps: the local tip is the last seen tip of the remote, or lies ahead of it by this
clone's own operations, one after another. A merge is made on the way to the remote and becomes the local tip when it is
there, so an unpublished one is made anew, never built upon. Only where the network fails between two pushes the local
tip lags behind what was seen, until the next contact.

One process of a clone at a time does the network's work, under an OS lock, for all of them: whoever comes next finds
its commit published, or does the work. What was decided is never done twice: an operation is looked for by its commit,
and a push whose answer was lost is repeated, identical, until the remote's ref is seen to be another than the expected.
Where the remote turns that away by now, another push over the same value decides it, for the remote takes one of them.
"""
