"""Verifying a log: is every commit what the rules make of the one before it, and signed by whom it says?

`rules` is the judge: pure functions about one commit, its parent's state, and what is known of the log. `chain` walks a
log and asks the judge, `segments` lets several processes do so at once, `merges` judges commits with two parents,
`evidence` reads commits and checks signatures, and `memory` remembers between runs how far a log was verified.

Nothing here believes what a state says of itself: the tree that the transitions make of the parent's state and the
commit's operations has to be the commit's tree, bit for bit, and the message, author and dates those that are rendered
from them. Objects are read as they lie, under their names, whatever git's replace refs and grafts would show instead.
"""

from __future__ import annotations

from gitcoord.verify.chain import Verdict, verify_new
from gitcoord.verify.rules import Fault

__all__ = ["Fault", "Verdict", "verify_new"]
