"""Why head office does not take a change of a branch over, as the merge names it, in a clerk's words: what happened, and what to do now."""

from __future__ import annotations

from collections.abc import Mapping

from localcrm.kernel.i18n import N_

#: Code of the merge → what happened, what to do.
REASONS: Mapping[str, tuple[str, str]] = {
    "posted_document": (
        N_("The document had already been posted when the change arrived."),
        N_("A posted document stays as it is. If the change is needed, reverse the document and enter it anew."),
    ),
    "not_owner": (
        N_("The record belongs to somebody else: another branch, or head office."),
        N_("Ask whoever it belongs to to make the change, or have it handed over first."),
    ),
    "head_office_only": (
        N_("Only head office may change this."),
        N_("Tell head office what should be changed; it enters it for everybody."),
    ),
    "foreign_account": (
        N_("Login, password or access of somebody was changed at a branch that he does not belong to, or of an administrator."),
        N_(
            "If he works there, enter the branch in his record and let him set his password once more; otherwise ask the branch how this came about."
        ),
    ),
    "ledger_row": (
        N_("A movement or payment was changed after it had been booked."),
        N_("What is booked stays. Enter a correcting movement instead."),
    ),
    "physical_delete": (N_("Something was removed that may only be put into the recycle bin."), N_("Delete it from the list instead.")),
    "duplicate_id": (N_("The same record arrived twice."), N_("Nothing to do: the record is here already.")),
    "unknown_row": (
        N_("The record that was changed does not exist here."),
        N_("Look whether it is missing at head office. If it is, enter it there and make the change again."),
    ),
    "unknown_parent": (
        N_("The document that this belongs to does not exist here."),
        N_("Look whether the document is missing at head office. If it is, enter it anew at the branch."),
    ),
    "unknown_table": (
        N_("The branch has a newer program and sent records of a kind that is not known here yet."),
        N_("Bring this program up to date; the change is kept until then."),
    ),
    "unknown_column": (
        N_("The branch has a newer program and sent a field that is not known here yet."),
        N_("Bring this program up to date; the change is kept until then."),
    ),
    "unknown_op": (
        N_("The branch has a newer program and sent a kind of change that is not known here yet."),
        N_("Bring this program up to date; the change is kept until then."),
    ),
    "follows_held": (
        N_("It belongs to a record that is kept aside itself."),
        N_("Nothing to do: it follows as soon as that record is taken over."),
    ),
    "bad_value": (N_("A value does not fit its field."), N_("Look at the record at the branch, mend the value there and save.")),
    "missing_value": (N_("A required value was missing."), N_("Complete the record at the branch and save.")),
    "fixed_column": (
        N_("The definition of a field was to become that of another one."),
        N_("Retire the field at the branch and add a new one."),
    ),
    "type_loses": (
        N_("The type of a field was changed so that values would be lost."),
        N_("Add a new field of that type at the branch instead."),
    ),
    "too_many_fields": (
        N_("The branch has added more fields than a list can hold."),
        N_("Retire or delete fields at the branch that nobody uses."),
    ),
    "not_author": (N_("A document was submitted in somebody else's name."), N_("Whoever wants it approved submits it himself.")),
    "not_decider": (
        N_("Somebody decided who had not been asked, or not at this branch."),
        N_("The decision does not count. Whoever is asked decides where he belongs."),
    ),
}
_UNKNOWN_REASON = (
    N_("Head office could not take the change over."),
    N_("The change is kept. Compare the record at the branch with this one."),
)


def reason_texts(code: str | None) -> tuple[str, str]:
    """Msgids for a change that was not accepted: what happened, what to do."""
    return REASONS.get(code or "", _UNKNOWN_REASON)
