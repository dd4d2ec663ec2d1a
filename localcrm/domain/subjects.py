"""The table of subjects: importing this module makes every entity, rule and verb known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from localcrm.domain import arrivals, conditions, import_columns, records, verbs
from localcrm.domain.admin import after_merge, conflicts, fields, services as admin, undo
from localcrm.domain.approvals import documents, services as approvals
from localcrm.domain.calls import services as calls
from localcrm.domain.catalog import services as catalog
from localcrm.domain.crm import (
    activities,
    alike,
    apart,
    custody,
    deals_due,
    merging,
    notices,
    pools,
    questions as crm_questions,
    reclaim,
    reminders,
    services as crm,
    tags,
)
from localcrm.domain.crm.entities import Customer, Opportunity, ProjectTask
from localcrm.domain.finance import approval as expense_approval, services as finance
from localcrm.domain.finding import services as finding
from localcrm.domain.netting import services as netting
from localcrm.domain.options import services as options
from localcrm.domain.partners import questions as partner_questions, rebate_credit, registrations, services as partners, terms, territories
from localcrm.domain.people import handing, rights, services as people
from localcrm.domain.purchase import payables, reminding as certificates, services as purchase
from localcrm.domain.purchase.entities import Supplier
from localcrm.domain.sales import (
    approval,
    consumables,
    entered_twice,
    exceeded,
    expiring,
    installed,
    level_prices,
    opening,
    overpaid,
    paper_questions,
    questions as sales_questions,
    quote_approval,
    repriced,
    services as sales,
    timeline,
    warranties,
)
from localcrm.domain.sales.entities import Contract, InstalledProduct, Quote, SalesOrder
from localcrm.domain.service import reminding, services as service, tickets
from localcrm.domain.service.entities import Ticket
from localcrm.domain.stock import services as stock
from localcrm.store import erase

SUBJECTS = (
    options,
    people,
    admin,
    fields,
    approvals,
    crm,
    catalog,
    stock,
    sales,
    finance,
    purchase,
    service,
    calls,
    finding,
    partners,
    netting,
)

for subject in SUBJECTS:
    records.BEHAVIOURS.update(subject.BEHAVIOURS)
    verbs.VERBS.update({verb.name: verb for verb in subject.VERBS})

# What is on hand is known to stock, which stands above the catalogue.
records.BEHAVIOURS["product"] = replace(records.BEHAVIOURS["product"], derive=stock.derive_product)

# Warranties, quotes and contracts belong to what is sold, which customers know nothing of, and so do partners.
reminders.FURTHER |= {"installed_product": warranties.ending, "quote": expiring.quotes, "contract": expiring.contracts}
reminders.FURTHER["product"] = consumables.remind  # it says after how many months
reminders.FURTHER["reclaim_rule"] = reclaim.remind
reminders.FURTHER |= {"project_task": deals_due.tasks, "opportunity": deals_due.steps}
reminders.FURTHER["supplier_certificate"] = certificates.certificates
reminders.FURTHER["partner_registration"] = registrations.remind
alike.ALSO_KNOWN.append(registrations.registered_already)
alike.AGAINST.append(territories.told_of_customer)
finance.ASKED_OF["rebate"] = rebate_credit.check_credit
level_prices.FURTHER_TERMS.append(terms.terms_of)
reminders.FURTHER["receipt"] = overpaid.remind
reminders.FURTHER |= {"sales_order": exceeded.orders, "delivery": exceeded.deliveries, "stock_move": exceeded.stock}

# Tickets run out, which whoever is responsible hears of; customers are asked again some days after one was closed.
reminders.FURTHER |= {"ticket_event": reminding.running_out, "ticket": reminding.to_ask_again}

# What a customer came with stands among what happened with it.
timeline.SOURCES.append(timeline.Source(Ticket.entity_type, "opened_at", "assignee_id", ("number", "type", "title", "state")))

# Which documents can need an approval, and that those who are asked see them while they wait.
documents.DOCUMENTS["sales_order"] = approval.ORDER
documents.DOCUMENTS["quote"] = quote_approval.QUOTE
documents.DOCUMENTS["expense"] = expense_approval.EXPENSE
rights.ALSO_SEEN["approvals"] = documents.shown_to_approver

# What became of a request for a customer, and that one changed hands, the person concerned hears wherever it was decided.
reminders.FURTHER |= {"claim_answer": notices.answered, "owner_change": notices.changed_hands, "customer": notices.too_many_locked}

# What lists of customers can be asked; of orders and money know the subjects above them.
for questions in (crm_questions, sales_questions):
    conditions.add_questions(Customer.entity_type, questions.QUESTIONS, questions.PRESETS, questions.MEASURES)
conditions.add_questions(Customer.entity_type, partner_questions.QUESTIONS, ())

# What is due of deals.
conditions.add_questions(ProjectTask.entity_type, deals_due.TASK_QUESTIONS, deals_due.TASK_PRESETS)
conditions.add_questions(Opportunity.entity_type, deals_due.DEAL_QUESTIONS, deals_due.DEAL_PRESETS)

# Quotes and contracts that want an answer, run, or run out.
conditions.add_questions(Quote.entity_type, paper_questions.QUOTE_QUESTIONS, paper_questions.QUOTE_PRESETS)
conditions.add_questions(Quote.entity_type, repriced.QUOTE_QUESTIONS, repriced.QUOTE_PRESETS)
conditions.add_questions(SalesOrder.entity_type, repriced.ORDER_QUESTIONS, repriced.ORDER_PRESETS)
conditions.add_questions(Contract.entity_type, paper_questions.CONTRACT_QUESTIONS, paper_questions.CONTRACT_PRESETS)
conditions.add_questions(InstalledProduct.entity_type, paper_questions.WARRANTY_QUESTIONS, paper_questions.WARRANTY_PRESETS)
conditions.add_questions(InstalledProduct.entity_type, consumables.QUESTIONS, consumables.PRESETS)

# Suppliers whom we owe something.
conditions.add_questions(Supplier.entity_type, payables.QUESTIONS, payables.PRESETS)

# Whose a customer is has a chain of its own, whoever changes it, and requests for customers in pools are answered where they arrive.
handing.HANDED_OVER["customer"] = custody.handed_over
undo.OWN_WAYS["owner_change"] = custody.TAKEN_BACK
undo.ALONG |= {"share": "customer", "customer_distinct": "customer"}
arrivals.FOLLOWERS |= {
    "owner_change": arrivals.Follower(apart.follow_owners),
    "share": arrivals.Follower(apart.follow_shares),
    "pool_claim": arrivals.Follower(pools.answer_claims),
    "pool": arrivals.Follower(pools.answer_claims),
    "delivery": arrivals.Follower(installed.follow_arrived),
    "delivery_line": arrivals.Follower(installed.follow_arrived_lines),
    "conflict": arrivals.Follower(conflicts.bring_together, "resolved_nodes"),
    "customer": arrivals.Follower(tags.bring_together, "tags"),
    "activity": arrivals.Follower(activities.bring_together, "participants"),
    "ticket": arrivals.Follower(tickets.open_circles),
    "sales_order": arrivals.Follower(entered_twice.follow_arrived),
    # Split over the same customer twice, or carried on by two contracts.
    "expense": arrivals.Follower(partial(after_merge.note_alike, kind="expense", same=("split_of_id", "customer_id"), field="amount")),
    "contract": arrivals.Follower(partial(after_merge.note_alike, kind="contract", same=("previous_id",), field="previous_id")),
}

# What other records say of a person: the numbers he called from, what he said, what he is to others. The matter itself stays.
erase.REACHED += [
    erase.Reached(
        "contact",
        "call",
        ("number", "recording"),
        "SELECT call_id FROM call_party WHERE contact_id = ?",
        "SELECT contact_id FROM call_party WHERE id IN came OR call_id IN came",
    ),
    erase.naming("contact", "call_party", "contact_id", "number"),
    erase.naming("contact", "ticket", "contact_id", "text", "revisit_result"),
    erase.Reached(
        "contact",
        "ticket_event",
        ("text",),
        "SELECT e.id FROM ticket_event e JOIN ticket t ON t.id = e.ticket_id WHERE t.contact_id = ? AND e.kind = 'revisit'",
        "SELECT t.contact_id FROM ticket_event e JOIN ticket t ON t.id = e.ticket_id WHERE e.id IN came AND e.kind = 'revisit'",
    ),
    erase.naming("contact", "contact_tie", "one_id", "note"),
    erase.naming("contact", "contact_tie", "other_id", "note"),
]

# What was changed of a customer that another place merged away goes into the one that is left, if a person wants it.
conflicts.PUT_INTO["customer"] = merging.put_into
conflicts.TWICE |= {
    ("sales_order", field): conflicts.Twice(partial(entered_twice.entered_here, field=field), entered_twice.take_back)
    for field in (entered_twice.OPENING, entered_twice.QUOTE)
}

# A row of a table may bring a person along with the customer.
import_columns.ALONG["customer"] = "contact"
import_columns.BESIDE["customer"] = opening.WITH_CUSTOMERS
