"""The words rights are made of, known to declarations and checks alike."""

from __future__ import annotations

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice


class BasicRole(Choice):
    """What a user may do where no role of the company says anything about a kind of record."""

    NONE = "none", N_("By roles only")
    STAFF = "staff", N_("Staff")
    ADMIN = "admin", N_("Administrator")


class Scope(Choice):
    """Whose records a right reaches."""

    OWN = "own", N_("Own")
    SUBORDINATES = "subordinates", N_("Own and subordinates'")
    DEPARTMENT = "department", N_("Own department")
    DEPARTMENT_TREE = "department_tree", N_("Own department and below")
    DEPARTMENTS = "departments", N_("Chosen departments")
    BRANCH = "branch", N_("Own branch")
    ALL = "all", N_("All")


class FieldRule(Choice):
    """What becomes of a field, the mildest first."""

    EDITABLE = "editable", N_("Editable")
    READ_ONLY = "read_only", N_("Read only")
    MASKED = "masked", N_("Masked")
    HIDDEN = "hidden", N_("Hidden")


class ShareLevel(Choice):
    """What sharing a record allows."""

    READ = "read", N_("Look at it")
    FOLLOW = "follow", N_("Add contacts and activity records")
    WRITE = "write", N_("Change it too")


#: What only head office's administrators set up, unless a role says otherwise.
_SET_UP = frozenset(
    {
        "user",
        "branch",
        "legal_entity",
        "bank_account",
        "list_entry",
        "account",
        "stage",
        "pool",
        *("reclaim_rule", "allot_rule"),
        "service_level",
        "work_hours",
        "calendar_day",
        "level_price",
    }
)
#: Kinds of records and subjects that only administrators touch, whatever a basic role gives.
ADMIN_ONLY = _SET_UP | frozenset(
    {
        *("department", "role", "role_right", "role_field", "user_role", "role_filter", "policy", "approval_flow"),
        *("user_option", "company_option", "role_option", "branch_option"),  # everybody reads and sets his own by verbs
        *("saved_query", "grouping"),  # everybody has his own, by verbs
        *("number_rule", "erasure", "claim_answer"),
        "customer_branch",  # told beside who sees a customer
        "branch_stock",  # shown beside the movements, to who may see all of them
        *("reminder", "reminder_mark"),  # everybody has his own by verbs
        *("sync", "settings"),
    }
)
#: Of these, those that only administrators' verbs write: the right to write them is granted to nobody else.
BY_ADMINISTRATORS = ADMIN_ONLY - _SET_UP
#: Rights that no basic role gives but that of an administrator.
BY_ROLE_ALONE = frozenset({"activity.amend", "sales_order.undersell", "customer.opening"})
#: What staff may read of them: names are needed wherever a record names a person or a place.
STAFF_READS = frozenset(
    {
        "user.read",
        "branch.read",
        "department.read",
        "legal_entity.read",
        "bank_account.read",
        "list_entry.read",
        "account.read",
        "stage.read",
        *("pool.read", "reclaim_rule.read", "allot_rule.read"),
        "level_price.read",
        *("service_level.read", "work_hours.read", "calendar_day.read"),
    }
)
