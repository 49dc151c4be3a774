"""gitcoord: coordination of coding agents inside a git repository, with nothing to host.

Sessions, locks and shared state are commits on one ref of the repository, `refs/gitcoord/main` (`refs/coord` is a
symbolic ref to it, for people). The words that the code uses, one for each idea:

- **log**: the chain of commits on that ref; its newest commit is the **tip**.
- **operation**: one thing that a session did (`lock.acquire`, `data.store`, ...), with a unique id.
- **state**: what all operations up to a commit add up to: that commit's tree.
- **transition**: the pure function from a state and an operation to a state or a refusal.
- **session**: one agent or person at work in one clone: an id, a lease, a machine. Its **incarnation** is the id of its
  sign-on; every operation names it, and an older one's is refused.
- **lease**: the time bound of a session; its locks live and die with it.
- **lock**: a session's claim on paths or a named resource: exclusive, shared, or intent (which only warns).
- **revision**: the log's counter. **token**: the revision at which a lock's grant took effect.
- **refused**: a healthy rule said no; not an error of the program.
- **policy**: who may do what on this log; each operation is judged by the one before it. **principal**: somebody whom
  the policy knows by public keys. An identity is **proven** by a good signature of such a key, and else unproven.

How one request travels: a face (`cli`, `mcp_server`) translates it for the `service`, which plans operations; the
`coordinator` reads the tip, lets the `transitions` judge each operation on the `state`, writes the objects and moves
the ref by compare-and-swap, deciding again from the new tip when it lost a race. `store` and `runtime` do the I/O,
`signing` signs, and `verify` replays a log that others wrote and believes nothing that it says of itself.
Imports point down that line only.

Promised: an answer rests on a ref that was moved; `kill -9` at any instruction leaves the old tip or the new one;
reading never writes and takes no lock. Not promised: that the holder of a lapsed lease has stopped writing files (the
fencing token tells such a holder apart), nor anything against somebody with write access to the git directory.
"""

__version__ = "0.1.0"
