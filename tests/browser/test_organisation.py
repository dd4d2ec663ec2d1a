"""Numbering, the own organisation and data tools, as an administrator meets them."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.domain.people.preferences import save_preference
from localcrm.store.migrate import set_meta
from tests.browser.conftest import OpenPage, Running, beside
from tests.domain.admin.test_organisation import png

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def in_language(office: Running, language: str) -> None:
    with beside(office) as (store, admin):
        save_preference(store, admin.user_id or "", "language", language)


def act(page: Page, name: str) -> Locator:
    """A button, whatever the language."""
    return page.locator(f"button[data-act={name}]")


# numbering -------------------------------------------------------------------------------------------------------------


def choose(page: Page, label: str, option: str) -> None:
    page.locator(f".q-dialog [aria-label='{label}']").click()
    page.locator(".q-menu .q-item", has_text=option).first.click()


def test_a_number_format_is_put_together_with_the_number_in_sight(open_page: OpenPage) -> None:
    page = open_page("/settings/numbers")
    row = page.locator("tr[data-series=customer]")
    expect(row).to_contain_text("C-HQ-000005")
    row.locator("[data-act=edit]").click()
    dialog = page.locator(".q-dialog")
    expect(dialog.locator("[data-preview]")).to_contain_text("C-HQ-000005")
    dialog.locator("input[data-text]").first.fill("RC-")
    expect(dialog.locator("[data-preview] [role=alert]")).to_contain_text("收款单”可能得到同样的编号")
    expect(dialog.locator("[data-act=save-format]")).to_be_disabled()
    dialog.locator("input[data-text]").first.fill("KH")
    expect(dialog.locator("[data-preview]")).to_contain_text("KHHQ-000001")
    choose(page, "流水号", "4 位")
    expect(dialog.locator("[data-preview]")).to_contain_text("KHHQ-0001")
    dialog.locator("[data-act=save-format]").click()
    expect(page.locator(".lc-toast")).to_contain_text("编号规则已保存")
    expect(row).to_contain_text("KHHQ-0001")
    expect(page.locator("[data-run]")).to_contain_text("C-HQ-000001")
    page.locator("[data-act=only-gaps]").click()
    expect(page.locator("[data-run]")).to_have_count(0)
    expect(page.get_by_text("没有缺号")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/settings/numbers", {"zh_CN": ("编号", "修改…"), "en": ("Numbering", "Next number here")}),
        ("/settings/lists", {"zh_CN": ("计量单位与税率", "税率"), "en": ("Units and tax rates", "Tax rates")}),
        ("/settings/data", {"zh_CN": ("数据工具", "完整性检查"), "en": ("Data tools", "Integrity check")}),
        ("/settings/organisation", {"zh_CN": ("本单位", "总部与分支"), "en": ("Own company", "Head office and branches")}),
    ],
)
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_pages_on_a_telephone_in_both_languages(
    open_page: OpenPage, office: Running, language: str, path: str, words: dict[str, tuple[str, ...]]
) -> None:
    in_language(office, language)
    page = open_page(path, size=(390, 844), own_session=True)
    for text in words[language]:
        expect(page.get_by_text(text).first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    in_language(office, "zh_CN")


# the own company -------------------------------------------------------------------------------------------------------


def test_a_company_with_account_and_logo_is_shown_as_a_letterhead(open_page: OpenPage, office: Running, tmp_path: Path) -> None:
    page = open_page("/settings/organisation")
    page.locator("[data-act=new]").click()
    page.locator("[data-field=name] input").fill("绍兴柯桥锦绣纺织有限公司")
    page.locator("[data-field=short_name] input").fill("锦绣纺织")
    page.locator("[data-field=tax_no] input").fill("91330621MA2JXFZ88X")
    page.keyboard.press("Control+Enter")
    card = page.locator("[data-company]")
    expect(card).to_contain_text("91330621MA2JXFZ88X")
    card.locator("[data-act=add-account]").click()
    page.locator("[data-field=bank] input").fill("中国工商银行柯桥支行")
    page.locator("[data-field=account] input").fill("1211 0120")
    page.keyboard.press("Control+Enter")
    expect(card.locator("[data-account]")).to_contain_text("默认")

    bad, good = tmp_path / "logo.svg.png", tmp_path / "logo.png"
    bad.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    good.write_bytes(png(64, 32))
    card.locator("[data-act=logo] input").set_input_files(bad)
    expect(page.locator(".lc-notice")).to_contain_text("不是能打印的图片")
    card.locator("[data-act=logo] input").set_input_files(good)
    image = card.locator("img[data-picture=logo]")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [64, 32]
    answer = page.request.get(f"{office.address}{image.get_attribute('src')}")
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("image/png", "nosniff")
    stranger = urllib.request.Request(f"{office.address}{image.get_attribute('src')}", headers={"Accept": "image/*"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(stranger)
    assert refused.value.code == 401

    page.locator("[data-branch=HQ] [data-act=edit-branch]").click()
    page.locator("[data-field=phone] input").fill("0575-8411 6688")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-branch=HQ]")).to_contain_text("0575-8411 6688")


def test_an_order_chooses_among_several_companies(open_page: OpenPage, office: Running) -> None:
    page = open_page("/orders/new")
    expect(page.locator("[data-field=warehouse_id]")).to_be_visible()
    expect(page.locator("[data-field=legal_entity_id]")).to_have_count(0)
    with beside(office) as (store, admin):
        for name in ("锦绣纺织", "锦绣进出口"):
            verbs.run(store, admin, "records.create_record", {"entity": "legal_entity", "values": {"name": name}})
    page = open_page("/orders/new")
    company = page.locator("[data-field=legal_entity_id] input")
    company.fill("进出口")
    page.locator(".oe-pick.oe-on", has_text="锦绣进出口").wait_for()
    company.press("Enter")
    expect(company).to_have_value("锦绣进出口")


def test_staff_read_it_and_change_nothing(open_page: OpenPage, office: Running) -> None:
    page = open_page("/settings/organisation", login="lin")
    expect(page.locator("[data-company]").first).to_be_visible()
    for name in ("new", "edit", "logo", "add-account", "edit-branch"):
        expect(page.locator(f"[data-act={name}]")).to_have_count(0)
    company = page.locator("[data-company]").first.get_attribute("data-company")
    sent = page.request.post(f"{office.address}/api/picture/{company}/logo", data=png(), headers={"X-Localcrm": "1"})
    taken = page.request.get(f"{office.address}/api/person/user/{company}")
    assert (sent.status, taken.status) == (403, 403)


# units and tax rates ---------------------------------------------------------------------------------------------------


def test_a_unit_and_a_rate_are_listed_offered_and_obeyed(open_page: OpenPage) -> None:
    page = open_page("/settings/lists")
    for name, key, typed, shown in (("unit", "decimals", "0", "整数"), ("tax_rate", "rate", "9", "9%")):
        card = page.locator(f"[data-list={name}]")
        card.locator("[data-act=add]").click()
        page.locator(".q-dialog [data-field=name] input").fill("匹" if name == "unit" else "农产品")
        page.locator(f".q-dialog [data-field={key}] input").fill(typed)
        act(page, "save-entry").click()
        expect(card.locator("[data-entry]")).to_contain_text(shown)

    page = open_page("/records/product")
    page.locator("[data-key=n]").first.click()
    page.locator("[data-field=code] input").fill("PB-01")
    page.locator("[data-field=name] input").fill("坯布")
    page.locator("[data-field=unit] input").click()
    page.locator(".q-menu .q-item", has_text="匹").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)

    page = open_page("/orders/new")
    page.locator(".oe-product-input").first.fill("PB-01")
    page.locator(".oe-pick.oe-on", has_text="坯布").wait_for()
    page.keyboard.press("Enter")
    page.locator("[data-cell=quantity]").first.fill("1.5")
    page.locator("[data-typed=date]").click()  # a row says what is wrong once it is left
    expect(page.locator(".oe-fault")).to_contain_text("“匹”只能是整数")
    expect(page.locator("[data-cell=tax_rate]").first).to_have_attribute("list", "oe-tax-rates")
    assert page.locator("#oe-tax-rates option").evaluate_all("options => options.map((one) => one.value)") == ["9%"]


# data tools ------------------------------------------------------------------------------------------------------------


def test_the_data_are_checked_and_what_is_derived_is_made_anew(open_page: OpenPage, office: Running) -> None:
    page = open_page("/settings/data")
    expect(page.locator("[data-demo]")).to_have_count(0)
    act(page, "check").click()
    expect(page.locator("[data-findings]")).to_contain_text("一切正常")
    with beside(office) as (store, _admin), store.housekeeping() as connection:
        connection.execute("INSERT INTO customer_by_level(level, total) VALUES ('nobody', 7)")
        set_meta(connection, "demo", 1)
    act(page, "check").click()
    expect(page.locator("[data-problem]")).to_contain_text("customer_by_level")
    act(page, "repair").click()
    expect(page.locator("[data-findings]")).to_contain_text("已修复，一切正常")
    page.reload()
    expect(page.locator("[data-demo]")).to_contain_text("这是演示公司")


def test_customers_entered_twice_are_a_click_away(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, admin):
        verbs.run(store, admin, "records.create_record", {"entity": "customer", "values": {"name": "柯桥（金龙）布业 有限公司"}})
    page = open_page("/settings/data")
    act(page, "duplicates").click()
    group = page.locator("[data-twin]", has_text="客户名称相同")
    expect(group.locator("a")).to_have_count(2)
    group.locator("a", has_text="有限公司").click()
    expect(page).to_have_url(re.compile(r"/customers\?open="))


def test_what_is_known_of_a_person_is_taken_out_then_erased(open_page: OpenPage, office: Running, tmp_path: Path) -> None:
    with beside(office) as (store, admin):

        def new(entity: str, **values: str) -> str:
            return str(verbs.run(store, admin, "records.create_record", {"entity": entity, "values": values})["id"])

        contact = new("contact", customer_id=new("customer", name="嵊州领带厂"), name="欧阳晓静", phone="13905751234")
    page = open_page("/settings/data")
    page.locator("[data-person] input").fill("欧阳")
    page.locator(".lc-pick", has_text="欧阳晓静").first.click()
    with page.expect_download() as download:
        act(page, "take-out").click()
    assert download.value.suggested_filename == "欧阳晓静.zip"
    download.value.save_as(tmp_path / "person.zip")
    with zipfile.ZipFile(tmp_path / "person.zip") as archive:
        assert json.loads(archive.read("record.json"))["phone"] == "13905751234"
    act(page, "erase").click()
    dialog = page.locator(".q-dialog")
    dialog.locator("input").fill("欧阳")
    act(page, "erase-now").click()
    expect(dialog).to_contain_text("姓名和记录上的不一样")
    dialog.locator("input").fill("欧阳晓静")
    act(page, "erase-now").click()
    expect(page.locator(".lc-toast")).to_contain_text("已抹除")
    with beside(office) as (store, _admin), store.read() as connection:
        assert connection.one("SELECT name, phone FROM contact WHERE id = ?", (bytes.fromhex(contact),)) == ("***", None)
    log = open_page("/log")
    expect(log.locator("body")).to_contain_text("抹除个人资料")
    expect(log.locator("body")).not_to_contain_text("欧阳")
