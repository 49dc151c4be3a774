"""The shell that git starts: what is written into hook files, and how it is found and taken out again.

A block between two marks, so that what stood in a file before is there again, byte for byte, once the block is cut. A
file that held a shell script keeps its place and its name: the block starts the same file once more, with a mark in the
environment that the second run takes out first, so that what stood there runs with its own name, arguments, input and
environment, and gitcoord after it.
"""

from __future__ import annotations

from gitcoord.hooks.git_events import CLOSED, READS_STDIN, REFUSED
from gitcoord.model import LOG_REF

BEGIN = "# >>> gitcoord >>>"
BEGIN_FILE = "# >>> gitcoord, the whole file >>>"
BEGIN_AFTER = "# >>> gitcoord, after a line without an end >>>"
END = "# <<< gitcoord <<<"
KEPT = ".before-gitcoord"
"""What the name of a hook ends in that is no shell script, and that a dispatcher runs first."""

_SHELLS = ("sh", "bash", "dash", "ksh", "zsh", "ash")


def quoted(text: str) -> str:
    """Return a text as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def command(event: str, flags: list[str], python: str | None) -> str:
    """Return the command that answers an event.

    Args:
        event: git's hook.
        flags: options for gitcoord.
        python: the interpreter that has gitcoord; None for a file that others share, in which the program is looked
            for on their own `PATH`.
    """
    # Not `-m`: what that loads to find the program costs a tenth of the hook. `-P`: nothing of the project is imported.
    start = "gitcoord" if python is None else f"{quoted(python)} -P -c 'from gitcoord.cli import main; main()'"
    return " ".join([start, "hook", "git", event, *flags, "--"])


def _function(event: str, flags: list[str], python: str | None) -> list[str]:
    fallback = command(event, flags, None)
    caught = "|| gitcoord_code=$?"  # husky starts its hooks with `sh -e`
    found = f"command -v gitcoord >/dev/null 2>&1; then {fallback}"
    lines = (
        [f'    if {found} "$@" {caught}']
        if python is None
        else [
            f'    if [ -x {quoted(python)} ]; then {command(event, flags, python)} "$@" {caught}',
            f'    elif {found} "$@" {caught}',
        ]
    )
    closed = f'"$(git config --get gitcoord.hookErrors)" {"= open" if event in CLOSED else "!= closed"}'
    return [
        "gitcoord_hook() {",
        "    gitcoord_code=0",
        *lines,
        "    else gitcoord_code=127; fi",
        "    case $gitcoord_code in",
        "        0) return 0 ;;",
        f"        {REFUSED}) return 1 ;;",
        "    esac",
        f'    echo "gitcoord: the guard of {event} is broken ($gitcoord_code), nothing checked: gitcoord doctor" >&2',
        f"    [ {closed} ]",
        "}",
    ]


def _call(event: str, stdin: str) -> list[str]:
    """Return the lines that ask gitcoord; for events that often have nothing to ask, only where they have."""
    lines: list[str] = []
    if event == "commit-msg":
        lines.append("grep -q '^Coord-Session: ' \"$1\" 2>/dev/null && exit 0")
    if event == "reference-transaction":
        lines.append('[ "$1" = prepared ] || exit 0')
        if not stdin:
            lines.append("gitcoord_in=$(cat; echo x)")
            stdin = 'printf %s "${gitcoord_in%x}" | '
        lines.append(f'case "$gitcoord_in" in *{LOG_REF}*) ;; *) exit 0 ;; esac')
    return [*lines, f'{stdin}gitcoord_hook "$@" || exit $?', "exit 0"]


def whole_file(event: str, flags: list[str], python: str | None) -> str:
    """Return a hook file that holds nothing but gitcoord."""
    return "\n".join(
        [
            "#!/bin/sh",
            BEGIN_FILE,
            "# Put here by `gitcoord hooks install`; `gitcoord hooks uninstall` takes it away.",
            *_function(event, flags, python),
            *_call(event, ""),
            END,
            "",
        ]
    )


def dispatcher(event: str, flags: list[str], python: str | None) -> str:
    """Return a hook file that runs the file kept beside it first, and then gitcoord."""
    kept = f'"$(dirname "$0")"/{quoted(event + KEPT)}'
    return "\n".join(
        [
            "#!/bin/sh",
            BEGIN_FILE,
            f"# Put here by `gitcoord hooks install`. {event}{KEPT} stood here and runs first, as ever;",
            "# `gitcoord hooks uninstall` puts it back.",
            *_function(event, flags, python),
            *_chain(event, f'{kept} "$@"'),
            END,
            "",
        ]
    )


def _chain(event: str, before: str) -> list[str]:
    tested = '[ "${GITCOORD_CANARY-}" ]'  # doctor asks gitcoord alone
    if event not in READS_STDIN:
        return [f"{tested} || {before} || exit $?", *_call(event, "")]
    stdin = 'printf %s "${gitcoord_in%x}" | '
    return ["gitcoord_in=$(cat; echo x)", f"{tested} || {stdin}{{ {before}; }} || exit $?", *_call(event, stdin)]


def block(event: str, flags: list[str], python: str | None) -> str:
    """Return what is put at the head of a shell script that is a hook already."""
    again = f"GITCOORD_BEFORE={event}"
    before = f'{{ if [ -x "$0" ]; then {again} "$0" "$@"; else {again} sh -e "$0" "$@"; fi; }}'
    inside = [*_function(event, flags, python), *_chain(event, before)]
    return "\n".join(
        [
            BEGIN,
            "# Put here by `gitcoord hooks install`: what stands below runs first, as ever; then gitcoord.",
            f'if [ "${{GITCOORD_BEFORE-}}" = {event} ]; then',
            "    unset GITCOORD_BEFORE",
            "else",
            *(f"    {line}" for line in inside),
            "fi",
            END,
            "",
        ]
    )


def with_block(text: str, added: str) -> str:
    """Return a script with a block behind its first line, or at its head where that names no interpreter."""
    if text.startswith("#!"):
        first, newline, rest = text.partition("\n")
        if not newline:
            return f"{first}\n{added.replace(BEGIN, BEGIN_AFTER, 1)}"
        return f"{first}\n{added}{rest}"
    return added + text


def is_ours(text: str) -> bool:
    """Tell whether gitcoord stands in a file."""
    return any(mark in text for mark in (BEGIN, BEGIN_FILE, BEGIN_AFTER))


def is_maimed(text: str) -> bool:
    """Tell whether gitcoord stands in a file, and nobody can say up to where: the mark at its end is gone."""
    return is_ours(text) and cut(text) == text


def is_whole(text: str) -> bool:
    """Tell whether a file is gitcoord's alone: nobody has written anything beside it since."""
    return text.startswith(f"#!/bin/sh\n{BEGIN_FILE}\n") and text.endswith(f"\n{END}\n") and text.count(END) == 1


def cut(text: str) -> str:
    """Return a file without what gitcoord put into it."""
    for mark, before in ((BEGIN_AFTER, "\n"), (BEGIN_FILE, ""), (BEGIN, "")):
        start = text.find(before + mark + "\n")
        end = text.find(END + "\n", start)
        if start >= 0 and end >= 0:
            return text[:start] + text[end + len(END) + 1 :]
    return text


def is_shell(text: str) -> bool:
    """Tell whether a file is a script for a shell of Bourne's family; one without a first line that says so is."""
    if not text.startswith("#!"):
        return text.isprintable() or "\0" not in text
    words = text[2:].partition("\n")[0].split()
    if words and words[0].rpartition("/")[2] == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
    return bool(words) and words[0].rpartition("/")[2] in _SHELLS
