"""Saving, posting and submitting what stands on the form, and what differs from what somebody else saved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localcrm.domain import verbs
from localcrm.kernel.errors import AppError, Refused
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.order_form.grid import TYPED, checked_rows, line_summary
from localcrm.ui.order_form.head import blank, header_keys, header_text, header_value
from localcrm.ui.order_form.own import entered_fields
from localcrm.ui.order_form.papers import ORDERS, Paper, paper_of
from localcrm.ui.order_form.sheet import Sheet, load_sheet, rest_key

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def save(session: Session, body: Mapping[str, Any]) -> Sheet:
    """Save the draft as it stands on the form; rows that cannot be saved yet are kept aside. With ``post`` it is posted too, with ``submit`` submitted.

    Answers with the sheet and, for a draft, ``ids``: key of a row on the form → id of its line.
    """
    paper, identity = paper_of(body), body.get("id") or None
    kept = (
        "product_id",
        "code",
        "name",
        "spec",
        "unit",
        *TYPED,
        "below_reason",
        *(field.key for field in entered_fields(session, paper.line)),
        "refs",
    )
    good: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    keys = []
    for position, one in enumerate(checked_rows(session, body), start=1):
        known = {"id": one.saved["id"]} if one.saved else {}
        if one.fault:
            rest.append({**{key: one.row.get(key) for key in kept}, **known, "position": position})
        if known or not one.fault:
            # A line whose row is at fault stays as it was, with what only the program gives and others may enter;
            # one that somebody else removed meanwhile comes back as a new one.
            keys.append(str(one.row.get("key")))
            good.append(one.line | known)
    entered = header_keys(session, paper, entered=True)
    header = {key: header_value(paper, key, value) for key, value in (body.get("header") or {}).items() if key in entered}
    parameters = {"header": header, "lines": good, paper.parent: identity, "version": body.get("version") if identity else None}
    saved = verbs.run(session.store, session.actor, paper.verb, parameters)
    _keep_rest(session, saved["id"], rest)
    if paper is ORDERS and body.get("post"):
        return _post(session, saved["id"], rest)
    if body.get("submit"):
        return _submit(session, paper, saved["id"], rest)
    ids = [line["id"] for line in sorted(saved["lines"], key=lambda line: line["position"])]
    return {**load_sheet(session, saved["id"], paper), "ids": dict(zip(keys, ids, strict=True))}


def _post(session: Session, order_id: str, rest: Sequence[Any]) -> Sheet:
    posted = _finish(session, order_id, rest, "sales.post_order", {"order_id": order_id})
    _keep_rest(session, order_id, [])
    warnings = [
        _("Only {on_hand} of {product} would be left: the stock is short.").format(on_hand=row["on_hand"], product=row["product"])
        for row in posted.get("warnings", [])
    ]
    return {**load_sheet(session, order_id), "warnings": warnings}


def _submit(session: Session, paper: Paper, identity: str, rest: Sequence[Any]) -> Sheet:
    asked = _finish(session, identity, rest, "approvals.submit", {"entity": paper.kind.key, "id": identity})["asked"]
    return {**load_sheet(session, identity, paper), "asked": asked}


def _finish(session: Session, order_id: str, rest: Sequence[Any], verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Post or submit a draft that was saved whole; an error tells that it is saved."""
    if rest:
        raise Refused(
            "faulty_rows",
            N_("Rows marked in red cannot be posted yet ({count}). Everything is saved as a draft; mend or remove them and post again."),
            count=len(rest),
            saved=order_id,
        )
    try:
        done: dict[str, Any] = verbs.run(session.store, session.actor, verb, parameters)
    except AppError as error:
        error.params["saved"] = order_id
        raise
    return done


def _keep_rest(session: Session, order_id: str, rest: Sequence[Any]) -> None:
    text = json.dumps(rest, ensure_ascii=False) if rest else None
    if (text or "") != session.setting(rest_key(order_id)):
        session.save_setting(rest_key(order_id), text)


def compare(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """What differs between the form and what somebody else saved: {"rows": [{label, yours, theirs}], "sheet": theirs}."""
    paper = paper_of(body)
    theirs = load_sheet(session, str(body.get("id")), paper)
    mine, names = body.get("header") or {}, body.get("titles") or {}
    rows = []
    for key in header_keys(session, paper):
        field = paper.kind.fields[key]
        if blank(mine.get(key)) != blank(theirs["header"][key]):
            texts = [header_text(paper, key, side, titles_) for side, titles_ in ((mine, names), (theirs["header"], theirs["titles"]))]
            rows.append({"label": field.label, "yours": texts[0], "theirs": texts[1]})
    own = [line_summary(session, paper, {**one.row, **one.texts}) for one in checked_rows(session, body)]
    other = [line_summary(session, paper, row) for row in theirs["lines"]]
    for number in range(max(len(own), len(other))):
        yours, others = (side[number] if number < len(side) else "—" for side in (own, other))
        if yours != others:
            rows.append({"label": _("Row {number}").format(number=number + 1), "yours": yours, "theirs": others})
    return {"rows": rows, "sheet": theirs}
