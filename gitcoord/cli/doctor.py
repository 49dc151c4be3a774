"""`gitcoord doctor`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_doctor(parser: Parser) -> None:
    """Declare the arguments of `doctor`."""
    parser.add_argument("--fix", action="store_true", help="put right what can be put right")
    add_common(parser, acts=False)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from gitcoord import config, service
    from gitcoord.hooks import install
    from gitcoord.store.repository import find_repository

    try:
        start = acting.start_of(args)
        door = install.has_door(find_repository(start, config.environment()))
        answer = _with_guards(service.doctor(start, fix=args.fix, door=door), start)
    except CoordError as error:
        answer = acting.failure(error, "ok")
    if not args.json:
        _print_findings(answer.get("findings") or [])
    return acting.report(args, answer, _show)


def _with_guards(answer: acting.Answer, start: str) -> acting.Answer:
    """Return the answer with what is wrong with the guards that are installed."""
    if answer.get("error", {}).get("code") == "not_in_order" and not answer["findings"]:
        return answer
    from gitcoord.hooks import canary

    broken = canary.findings(start)
    if not broken:
        return answer
    first = {"code": "not_in_order", "message": broken[0]["message"], "next": "gitcoord hooks install"}
    return {"error": first, **answer, "ok": False, "findings": [*answer["findings"], *broken]}


def _print_findings(findings: list[dict[str, Any]]) -> None:
    from gitcoord.cli.table import print_records

    rows = [[f["severity"], f["code"], _what_now(f), f["message"]] for f in findings]
    print_records("Findings", ["severity", "finding", "", "what"], rows)


def _show(answer: acting.Answer) -> None:
    """Print what there is to say where no error is left."""
    if not answer["findings"]:
        acting.complain("all is in order")
    elif any(finding["fixable"] and not finding["fixed"] for finding in answer["findings"]):
        acting.complain("next: gitcoord doctor --fix")


def _what_now(finding: dict[str, Any]) -> str:
    if finding["fixed"]:
        return "fixed"
    if finding["severity"] == "note":
        return ""
    return "can be fixed" if finding["fixable"] else "needs you"
