"""Pictures of every screen in both languages and two widths into docs/shots, from a demo company made for it.

make shots calls it. It ends with an error, and says where, when a page asks another host for anything, a script fails, something
sticks out sideways, or a text is left untranslated; so it is also a look at every page that a person need not take.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "docs" / "shots"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
LANGUAGES = ("zh_CN", "en")
#: Those that docs and README show; the others stay on the machine that made them.
KEPT = (
    "customers",
    "opportunities",
    "order-new",
    "order-posted",
    "orders",
    "import-preview",
    "sync",
    "conflicts",
    "stock",
    "suppliers",
    "partner-figures",
    "calls",
    "call-card",
    "ticket",
    "tickets",
    "today",
    "search",
    "people",
    "roles",
    "fields",
    "approvals",
    "approval-flow",
    "backups",
    "log",
    "numbering",
    "organisation",
    "data-tools",
    "options",
    "access",
)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IMPORTED = "客户名称,电话,等级,信用额度,备注\n绍兴云裳服饰有限公司,0575-8899 1020,成交客户,80000,展会认识\n诸暨新亚袜业,1.38E+10,意向客户,待定,\n,0571-8200 3344,发展客户,20000,名片拍照\n宁波海天纺织品进出口公司,0574-2780 6655,成交客户,150000,\n"


@dataclass
class Look:
    """What was wrong on the way."""

    address: str
    faults: list[str] = field(default_factory=list)
    place: str = ""

    def watch(self, page: Page) -> None:
        """Note everything that must not happen on a page."""
        own = (self.address, self.address.replace("http:", "ws:"), "data:", "blob:", "about:")
        page.on("request", lambda request: None if request.url.startswith(own) else self.say(f"asked {request.url}"))
        page.on("pageerror", lambda error: self.say(f"script: {error}"))
        page.on("console", lambda message: self.say(f"console: {message.text}") if message.type == "error" else None)

    def say(self, text: str) -> None:
        """Remember one fault with the picture it belongs to."""
        self.faults.append(f"{self.place}: {text}")


# the demo company ------------------------------------------------------------------------------------------------------


@contextmanager
def demo_company() -> Iterator[tuple[Path, str]]:
    """Head office and two branches in a folder that vanishes; with the administrator's password."""
    folder, password = Path(tempfile.mkdtemp(prefix="localcrm-shots-")), secrets.token_urlsafe(9)
    try:
        command = [
            sys.executable,
            "-m",
            "localcrm",
            "demo",
            "--branches",
            "2",
            "--customers",
            "120",
            "--seed",
            "1",
            "--data",
            str(folder / "demo"),
        ]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"LOCALCRM_PASSWORD": password}, check=True, stdout=subprocess.DEVNULL)
        yield folder / "demo", password
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The running program; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "localcrm", "--data", str(data), "--port", str(port), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _try in range(150):
            try:
                urllib.request.urlopen(f"{address}/alive", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


# the screens -----------------------------------------------------------------------------------------------------------


def settle(page: Page) -> None:
    """Wait until nothing moves any more."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(900)


def new_order(page: Page) -> None:
    """Two rows entered, the third being looked for."""
    page.wait_for_selector(".oe-header input:focus")
    page.keyboard.type("公司")
    page.wait_for_selector(".oe-pick.oe-on")
    page.keyboard.press("Enter")
    for code, quantity in (("XF75-03", "1200"), ("XF100-01", "800")):
        page.wait_for_selector(".oe-product-input:focus")
        page.keyboard.type(code)
        page.wait_for_selector(".oe-pick.oe-on")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-cell=quantity]:focus")
        page.keyboard.type(quantity)
        for _cell in range(3):
            page.keyboard.press("Enter")
    page.wait_for_selector(".oe-product-input:focus")
    page.keyboard.type("x")
    page.wait_for_selector(".oe-pick.oe-on")


def first_of(page: Page, kind: str, *conditions: list[str]) -> str:
    """Id of the newest record of a kind that meets all conditions."""
    return str(
        page.evaluate(
            """async ([kind, where]) => { const body = JSON.stringify({ startRow: 0, endRow: 40, where });
            const answer = await (await fetch("/api/list/" + kind, { method: "POST", body, headers: { "X-Localcrm": "1" } })).json();
            return answer.rows[0].id; }""",
            [kind, list(conditions)],
        )
    )


def first_value(page: Page, kind: str, field: str) -> str:
    """A field of the newest record of a kind."""
    return str(
        page.evaluate(
            """async ([kind, field]) => { const body = JSON.stringify({ startRow: 0, endRow: 1 });
            const answer = await (await fetch("/api/list/" + kind, { method: "POST", body, headers: { "X-Localcrm": "1" } })).json();
            return answer.rows[0][field]; }""",
            [kind, field],
        )
    )


def posted_order(page: Page) -> None:
    """The newest posted order of the list."""
    page.goto(page.url.split("/orders")[0] + "/orders/" + first_of(page, "sales_order", ["status", "=", "posted"]))
    page.wait_for_selector(".oe-rows .oe-row")


def import_preview(page: Page) -> None:
    """A GBK file with two faults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "展会客户.csv"
        path.write_bytes(IMPORTED.encode("gbk"))
        page.locator("[data-upload] input[type=file]").set_input_files(path)
        page.wait_for_selector("td.lc-bad-cell")


def backed_up(page: Page) -> None:
    """A backup made a moment ago."""
    page.locator("[data-act=back-up]").click()
    page.wait_for_selector(".lc-toast")


def new_field(page: Page) -> None:
    """The form of a list of options."""
    page.locator("[data-key=n]").click()
    page.wait_for_selector(".q-dialog textarea", state="attached")
    page.locator(".q-dialog .q-select").first.click()
    page.locator(".q-menu .q-item").nth(8).click()


def checked(page: Page) -> None:
    """The data were found whole."""
    page.locator("[data-act=check]").click()
    page.wait_for_selector("[data-findings] .lc-info")


def let_in(page: Page) -> None:
    """Colleagues on the network are let in."""
    if not page.locator(".lc-fingerprint").count():
        page.locator(".q-toggle").click()
    page.wait_for_selector(".lc-fingerprint")


def whole_customer(page: Page) -> None:
    """The newest customer who has bought, all of it on one page."""
    page.goto(page.url.split("/customers")[0] + "/customers/" + first_of(page, "customer", ["level", "=", "deal"]))
    page.wait_for_selector(".lc-customer-page .lc-card")


def whole_partner(page: Page) -> None:
    """The newest partner, all of it on one page."""
    page.goto(page.url.split("/records")[0] + "/partner/" + first_of(page, "partner"))
    page.wait_for_selector(".lc-card")


def new_query(page: Page) -> None:
    """Putting a query together."""
    page.locator("[data-act=more-queries]").click()
    page.locator("[data-act=new-query]").click()
    page.locator("[data-act=add-group]").click()
    page.wait_for_timeout(1000)  # it counts once nothing changes any more


def by_rule(page: Page) -> None:
    """What it would change to take the values of one branch."""
    page.locator("[data-act=by-rule]").click()
    page.locator("[data-act=scope]").click()
    page.locator(".q-menu .q-item", has_text="BR01").first.click()
    page.locator(".q-dialog .lc-rule button").nth(1).click()


def waiting_order(page: Page) -> None:
    """The order that waits longest."""
    page.locator(".lc-table tr").nth(1).dblclick()
    page.wait_for_selector(".oe-rows .oe-row")


def edit_flow(page: Page) -> None:
    """The first flow in its form."""
    page.locator(".lc-table tr").nth(1).dblclick()
    page.wait_for_selector(".q-dialog .lc-flow-line")


def open_deal(page: Page) -> None:
    """The sheet of the first card."""
    page.wait_for_selector(".lc-deal")
    page.locator(".lc-deal").first.click()
    page.wait_for_selector(".lc-deal-sheet .lc-stage-strip")


def ringing(page: Page) -> None:
    """A call with a customer's contact, written down by hand; it ends at once, and a copy of its card stays for the picture."""
    number = first_value(page, "contact", "phone")
    page.locator("[data-act=by-hand]").click()
    page.locator("input[data-act=number]").fill(number)
    page.locator("[data-act=start-call]").click()
    page.wait_for_selector(".lc-call .lc-call-party")
    page.evaluate(
        "() => { const box = document.querySelector('.lc-corner'); box.after(box.cloneNode(true)); box.style.visibility = 'hidden'; }"
    )
    for deed in ("call-end", "call-done"):
        page.wait_for_selector(f".lc-corner [data-act={deed}]", state="attached")
        page.locator(f".lc-corner [data-act={deed}]").first.evaluate("button => button.click()")


def look_at_hit(page: Page) -> None:
    """The first of what was found, on a telephone over the whole screen."""
    page.locator(".lc-find-hit.lc-on").click()
    page.wait_for_selector(".lc-find-facts")


def open_ticket(page: Page) -> None:
    """The ticket that is worked on."""
    page.goto(page.url.split("/tickets")[0] + "/tickets/" + first_of(page, "ticket", ["state", "=", "working"]))
    page.wait_for_selector("[data-event]")


def few_faults(page: Page) -> None:
    """What came back twice."""
    page.locator(".lc-head .q-select").nth(1).click()
    page.locator(".q-menu .q-item").first.click()
    page.wait_for_selector("[data-fault]")


def new_record(page: Page) -> None:
    """The form of a new record, as the key opens it."""
    page.locator("[data-key=n]").first.evaluate("button => button.click()")
    page.wait_for_selector(".q-dialog .lc-field")


def tab_of(tab: str, kind: str = "") -> Callable[[Page], None]:
    """A tab of a customer, of one who has such records where a kind is named."""

    def open_tab(page: Page) -> None:
        if kind:
            page.locator("[data-find]").first.fill(first_value(page, kind, "customer_id"))
            page.wait_for_timeout(1200)
        if page.locator(".lc-card-row").first.is_visible():
            page.locator(".lc-card-row").first.click()
        page.wait_for_selector(f".lc-lower [data-tab={tab}]", state="attached")
        page.locator(f".lc-lower [data-tab={tab}]").evaluate("tab => tab.click()")
        page.wait_for_timeout(600)

    return open_tab


def customer_menu(page: Page) -> None:
    """What can be done with a customer, by right-click, or by the button on a telephone."""
    if page.locator(".ag-row").first.is_visible():
        page.locator(".ag-row").nth(2).click(button="right")
    else:
        page.locator("[data-act=actions]").first.click()
    page.wait_for_selector(".lc-menu .q-item")


def opening_balance(page: Page) -> None:
    """What a customer owed before the books began."""
    customer_menu(page)
    page.locator(".lc-menu .q-item", has_text=re.compile("期初余额|Opening balance")).first.click()
    page.wait_for_selector(".q-dialog .lc-field")


def one_delivery(page: Page) -> None:
    """The note of a delivery that is on its way."""
    page.goto(page.url.split("/records")[0] + "/deliveries/" + first_of(page, "delivery", ["status", "=", "shipped"]))
    page.wait_for_selector(".lc-note-signs")


def goods_of_delivery(page: Page) -> None:
    """What was ordered, sent before, and goes now."""
    one_delivery(page)
    page.locator("button", has_text=re.compile("明细和序列号|Goods and serial")).first.click()
    page.wait_for_selector(".q-dialog .lc-dialog")


def sign_delivery(page: Page) -> None:
    """Room for a signature."""
    one_delivery(page)
    page.locator("button", has_text=re.compile("签名签收|Have it signed")).first.click()
    page.wait_for_selector(".q-dialog canvas")


def mass_change(page: Page) -> None:
    """One field of all that the list shows."""
    page.locator("[data-act=mass]").first.evaluate("button => button.click()")
    page.wait_for_selector(".q-dialog")


def merge_two(page: Page) -> None:
    """The first likely pair, field by field."""
    page.locator("[data-act=merge]").first.click()
    page.wait_for_selector(".q-dialog .lc-merge")


def one_activity(page: Page) -> None:
    """The newest activity record on its own page."""
    page.goto(page.url.split("/records")[0] + "/activities/" + first_of(page, "activity"))
    page.wait_for_selector(".lc-facts")


def one_supplier(page: Page) -> None:
    """What hangs on the first supplier."""
    if page.locator(".lc-card-row").first.is_visible():
        page.locator(".lc-card-row").first.click()
    page.wait_for_selector(".lc-lower .lc-table")


#: Tabs of a customer → the kind of record that must be there for something to be seen.
TABS = {
    "overview": "",
    "contact": "contact",
    "activity": "activity",
    "calls": "contact",
    "opportunities": "opportunity",
    "quotes": "quote",
    "contracts": "contract",
    "orders": "sales_order",
    "deliveries": "delivery",
    "products": "installed_product",
    "tickets": "ticket",
    "expenses": "expense",
    "owners": "expense",
    "sharing": "",
    "timeline": "sales_order",
    "history": "",
}
#: Lists whose form of a new record is looked at as well: name → kind of record.
FORMS = {
    "quote": "quote",
    "contract": "contract",
    "delivery": "delivery",
    "expense": "expense",
    "contact": "contact",
    "activity": "activity",
    "product-in-use": "installed_product",
    "partner": "partner",
    "registration": "partner_registration",
    "rebate-tier": "rebate_tier",
    "partner-target": "partner_target",
    "partner-deposit": "partner_deposit",
    "partner-stock": "partner_stock",
    "partner-sale": "partner_sale",
    "price-by-level": "level_price",
}

#: name → (path, what is done before the picture)
SCREENS: dict[str, tuple[str, Callable[[Page], None] | None]] = {
    "today": ("/today", None),
    "search": ("/search?q=hz", look_at_hit),
    "search-kind": ("/search?q=1&kind=contact", None),
    "search-empty": ("/search", None),
    "customers": ("/customers", None),
    "customers-query": ("/customers", new_query),
    "customer-page": ("/customers", whole_customer),
    **{f"customer-{tab}": ("/customers", tab_of(tab, kind)) for tab, kind in TABS.items()},
    "customer-menu": ("/customers", customer_menu),
    "customer-opening": ("/customers", opening_balance),
    "customer-new": ("/customers", new_record),
    "customers-mass": ("/customers", mass_change),
    "duplicates": ("/duplicates", None),
    "duplicates-merge": ("/duplicates", merge_two),
    "pools": ("/pools", None),
    "pool-rules": ("/settings/pools", None),
    "pool-new": ("/settings/pools", new_record),
    "reminders": ("/reminders", None),
    "activities": ("/records/activity", None),
    "activity": ("/records/activity", one_activity),
    **{f"{name}-new": (f"/records/{kind}", new_record) for name, kind in FORMS.items()},
    "products-in-use": ("/records/installed_product", None),
    "expenses": ("/records/expense", None),
    "service-plans": ("/records/service_plan", None),
    "project-tasks": ("/records/project_task", None),
    "opportunities": ("/opportunities", None),
    "opportunity": ("/opportunities", open_deal),
    "opportunity-new": ("/opportunities", new_record),
    "opportunity-project": ("/opportunities?phase=project", open_deal),
    "opportunity-list": ("/opportunities/list", None),
    "funnel": ("/opportunities/funnel", None),
    "stages": ("/settings/stages", None),
    "quotes": ("/records/quote", None),
    "quote-new": ("/quotes/new", new_order),
    "contracts": ("/records/contract", None),
    "deliveries": ("/records/delivery", None),
    "delivery": ("/records/delivery", one_delivery),
    "delivery-goods": ("/records/delivery", goods_of_delivery),
    "delivery-sign": ("/records/delivery", sign_delivery),
    "partners": ("/records/partner", None),
    "registrations": ("/records/partner_registration", None),
    "partner-figures": ("/partners/figures", None),
    "rebate-tiers": ("/records/rebate_tier", None),
    "rebates": ("/records/rebate_settlement", None),
    "partner-page": ("/records/partner", whole_partner),
    "partner-targets": ("/records/partner_target", None),
    "partner-deposits": ("/records/partner_deposit", None),
    "partner-stocks": ("/records/partner_stock", None),
    "partner-sales": ("/records/partner_sale", None),
    "supplier-entries": ("/records/supplier_entry", None),
    "prices-by-level": ("/records/level_price", None),
    "satisfaction": ("/tickets/satisfaction", None),
    "contacts": ("/records/contact", None),
    "products": ("/records/product", None),
    "orders": ("/orders", None),
    "order-new": ("/orders/new", new_order),
    "order-posted": ("/orders", posted_order),
    "stock": ("/stock", None),
    "movements": ("/records/stock_move", None),
    "receipts": ("/records/receipt", None),
    "suppliers": ("/suppliers", None),
    "supplier": ("/suppliers", one_supplier),
    "supplier-new": ("/suppliers", new_record),
    "calls": ("/calls", None),
    "call-card": ("/calls", ringing),
    "call-sources": ("/settings/calls", None),
    "tickets": ("/tickets", None),
    "ticket": ("/tickets", open_ticket),
    "ticket-new": ("/tickets", new_record),
    "ready-answers": ("/records/canned_answer", None),
    "ticket-list": ("/tickets/list", None),
    "faults": ("/tickets/faults", few_faults),
    "promises": ("/settings/service", None),
    "people": ("/people", None),
    "roles": ("/roles", None),
    "fields": ("/fields", None),
    "field-new": ("/fields", new_field),
    "approvals": ("/approvals", None),
    "approval-order": ("/approvals", waiting_order),
    "approval-flows": ("/approval-flows", None),
    "approval-flow": ("/approval-flows", edit_flow),
    "import": ("/import", None),
    "import-preview": ("/import", import_preview),
    "sync": ("/sync", None),
    "conflicts": ("/conflicts", None),
    "conflicts-rule": ("/conflicts", by_rule),
    "log": ("/log", None),
    "options": ("/settings/options", None),
    "options-company": ("/settings/options?at=negative_stock", None),
    "backups": ("/settings/backups", backed_up),
    "numbering": ("/settings/numbers", None),
    "organisation": ("/settings/organisation", None),
    "lists": ("/settings/lists", None),
    "data-tools": ("/settings/data", checked),
    "access": ("/access", let_in),
    "answer-reset": ("/answer-reset", None),
    "forgot": ("/forgot", None),
}


def take_all(browser: Browser, look: Look, password: str, target: Path, only: str) -> None:
    """Every screen in both languages and widths."""
    for language in LANGUAGES:
        for size, (width, height) in SIZES.items():
            page = browser.new_context(
                viewport={"width": width, "height": height}, locale="zh-CN" if language == "zh_CN" else "en-GB"
            ).new_page()
            look.watch(page)
            look.place = f"login {language} {size}"
            page.goto(f"{look.address}/login?lang={language}")
            page.screenshot(path=target / f"login-{language}-{size}.png")
            page.fill("#login", "admin")
            page.fill("#password", password)
            page.click("button[type=submit]")
            page.wait_for_load_state("networkidle")
            set_language(page, language)
            for name, (path, prepare) in SCREENS.items():
                if re.search(only, name):
                    look.place = f"{name} {language} {size}"
                    take(page, look, path, prepare, target / f"{name}-{language}-{size}.png", language)
            page.context.close()


def set_language(page: Page, language: str) -> None:
    """As the user does it, by the button in the bar."""
    now = "zh_CN" if (page.locator("html").get_attribute("lang") or "").startswith("zh") else "en"
    if now != language:
        with page.expect_navigation():
            page.evaluate("document.querySelector('.lc-language').click()")
        settle(page)


def take(page: Page, look: Look, path: str, prepare: Callable[[Page], None] | None, target: Path, language: str) -> None:
    """One picture, and what is wrong in it."""
    page.goto(look.address + path)
    page.evaluate("window.localcrm && (localcrm.mayLeave = true)")
    settle(page)
    if prepare:
        prepare(page)
        page.wait_for_timeout(700)
    page.screenshot(path=target)
    page.evaluate("window.localcrm && (localcrm.mayLeave = true)")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        look.say(f"sticks out by {wide} px")
    for text in untranslated(page, language):
        look.say(f"not translated: {text}")


def untranslated(page: Page, language: str) -> list[str]:
    """Texts of ours in the wrong language: for a Chinese reader everything we wrote in English, as the catalogue of msgids knows it."""
    if language != "zh_CN":
        return []
    shown = set(
        page.evaluate(
            "[...document.querySelectorAll('.lc-shell *')].filter(e => !e.children.length && e.offsetParent).map(e => e.textContent.trim())"
        )
    )
    return sorted(shown & english_only())


def english_only() -> set[str]:
    """Msgids whose Chinese is another text (names such as CSV or localcrm are the same in both)."""
    from babel.messages.pofile import read_po

    with (ROOT / "localcrm/locale/zh_CN/LC_MESSAGES/localcrm.po").open("rb") as file:
        catalogue = read_po(file)
    known = {str(message.id) for message in catalogue if message.id and message.string != message.id}
    words = {text for text in msgids() if re.search(r"[a-z]{3}", text)}
    return known | (words - {str(message.id) for message in catalogue})


def msgids() -> set[str]:
    """Every marked text in the screens."""
    found = set()
    for path in (ROOT / "localcrm").rglob("*.py"):
        found |= {text for _kind, text in re.findall(r'\b(N_|_)\(\s*"((?:[^"\\]|\\.)+)"', path.read_text(encoding="utf-8"))}
    return found


def main() -> int:
    """Take them; 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIR", help="keep every picture in DIR, not only those that the docs show")
    parser.add_argument("--only", default="", metavar="PATTERN", help="screens whose name matches")
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("There is no Chromium on this machine; tools/system_packages.sh names what is missing.")
        return 1
    with (
        tempfile.TemporaryDirectory() as scratch,
        demo_company() as (demo, password),
        served(demo / "hq") as address,
        sync_playwright() as playwright,
    ):
        target = arguments.all or Path(scratch)
        target.mkdir(parents=True, exist_ok=True)
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        look = Look(address)
        take_all(browser, look, password, target, arguments.only)
        keep(browser, target)
        browser.close()
    for fault in look.faults:
        print(fault)
    print(f"{len(look.faults)} faults; pictures in {arguments.all or SHOTS.relative_to(ROOT)}")
    return 1 if look.faults else 0


def keep(browser: Browser, target: Path) -> None:
    """Copy what the docs show, made small: every kept screen wide in Chinese, and a few of the others."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page = browser.new_page()
    wanted = [f"{name}-zh_CN-wide" for name in KEPT] + [
        "customers-en-wide",
        "order-new-en-wide",
        "order-new-zh_CN-phone",
        "customers-zh_CN-phone",
    ]
    for name in wanted:
        if (target / f"{name}.png").exists():
            (SHOTS / f"{name}.png").write_bytes(smaller(page, (target / f"{name}.png").read_bytes()))


#: Gives [width, height, palette, one index per pixel], the two last in base64: the 256 commonest colours, others as the nearest of them.
PALETTE = """async source => {
  const image = new Image(); image.src = source; await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer), counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  const split = pixel => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const palette = [...counts.entries()].sort((a, b) => b[1] - a[1]).slice(0, 256).map(entry => split(entry[0]));
  const distance = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
  const index = new Map();
  for (const pixel of counts.keys()) {
    const colour = split(pixel);
    let best = 0;
    palette.forEach((other, n) => distance(colour, other) < distance(colour, palette[best]) && (best = n));
    index.set(pixel, best);
  }
  const encode = bytes => { let text = ""; for (let n = 0; n < bytes.length; n += 8192) text += String.fromCharCode(...bytes.subarray(n, n + 8192)); return btoa(text); };
  return [image.width, image.height, encode(Uint8Array.from(palette.flat())), encode(Uint8Array.from(pixels, pixel => index.get(pixel)))];
}"""


def smaller(page: Page, png: bytes) -> bytes:
    """The same picture with a palette, a third of the size; the browser counts the colours."""
    width, height, palette, indices = page.evaluate(PALETTE, "data:image/png;base64," + b64encode(png).decode())
    lines = b64decode(indices)
    body = b"".join(b"\0" + lines[start : start + width] for start in range(0, width * height, width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b64decode(palette)),
        (b"IDAT", zlib.compress(body, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


if __name__ == "__main__":
    raise SystemExit(main())
