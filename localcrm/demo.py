"""A believable company to look at: a fabric trader of Keqiao with head office and branches that worked apart and merged.

Everything is done by verbs and exchanged as in real life, never by SQL. The seed fixes names, amounts and choices; ids
and keys are new every time, so two demos are two companies.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from localcrm.app import Application, create_folder
from localcrm.domain import records
from localcrm.domain.crm import opportunities
from localcrm.domain.finance.services import receive_payment
from localcrm.domain.people import grants
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.sales.services import post_order, reverse_order, save_order
from localcrm.domain.service import parts, tickets
from localcrm.domain.service.holidays import HOLIDAYS
from localcrm.domain.verbs import run
from localcrm.kernel.errors import ExchangeError, StoreError
from localcrm.kernel.i18n import N_
from localcrm.store.migrate import set_meta
from localcrm.store.uow import UnitOfWork
from localcrm.sync import node_sync

#: Records written in one unit of work.
PORTION = 500
#: Orders are made for so many customers at most; a demo of 100,000 customers is about customers.
MAX_ORDERS = 400
#: Calls of the last days at each place.
CALLS = 9

COMPANY = "绍兴柯桥锦绣纺织有限公司"
LETTERHEAD = {
    "short_name": "锦绣纺织", "tax_no": "91330621MA2JXFZ88X", "legal_person": "沈锦绣",
    "address": "浙江省绍兴市柯桥区中国轻纺城联合市场三楼 3188 号", "phone": "0575-8411 6688　8411 6699",
}  # fmt: skip
ACCOUNTS = (("中国工商银行绍兴柯桥支行", "1211 0120 1920 0188 660"), ("中国农业银行绍兴轻纺城支行", "1952 6101 0400 1188 9"))
UNITS = (("米", "2"), ("匹", "0"), ("件", "0"), ("公斤", "3"))
BRANCHES = (
    ("义乌分公司", "浙江省金华市义乌市国际商贸城"),
    ("广州分公司", "广东省广州市海珠区中大布匹市场"),
    ("成都分公司", "四川省成都市金牛区荷花池市场"),
    ("青岛分公司", "山东省青岛市即墨区服装批发市场"),
)
STAFF = (
    ("wanghaiyan", "王海燕"), ("lijianguo", "李建国"), ("zhangmin", "张敏"), ("chenwei", "陈伟"), ("liuyang", "刘洋"), ("yangxue", "杨雪"),
    ("zhaolei", "赵磊"), ("huangjing", "黄静"), ("zhouqiang", "周强"), ("wuxiaoli", "吴晓丽"), ("xutao", "徐涛"), ("sunfang", "孙芳"),
)  # fmt: skip
DEPARTMENTS = (("11", "销售部"), ("12", "仓储部"), ("13", "财务部"))
#: Kind of record, whose, what: the rights of the salesperson's role.
SALES_RIGHTS = (
    ("customer", "own", "read create update export"), ("contact", "all", "read create update delete"), ("activity", "all", "read create update"),
    ("sales_order", "own", "read create update post"), ("product", "all", "read"), ("level_price", "all", "read"), ("warehouse", "all", "read"), ("stock_move", "branch", "read"),
    ("user", "all", "read"), ("branch", "all", "read"), ("expense", "own", "read create update"), ("installed_product", "all", "read create update"),
    ("quote", "own", "read create update"), ("contract", "own", "read create update"), ("delivery", "all", "read create update"),
    ("call", "branch", "read update"), ("partner", "all", "read"), ("partner_registration", "own", "read create update"),
)  # fmt: skip
PARTNERS = (
    ("义乌众合商贸有限公司", "general", "浙江省/金华市", "龚建平", "13705790011", "0.88"), ("常熟衣城经销部", "core", "江苏省/苏州市", "陆美华", "13806230022", "0.92"),
    ("青岛海岳贸易有限公司", "core", "山东省/青岛市", "孙立群", "13905320033", "0.92"),
)  # fmt: skip
REGISTERED = (
    ("金华双龙服饰有限公司", "0579-82311101"), ("常熟虞美人制衣厂", "0512-52873302"), ("即墨锦程针织有限公司", "0532-88513303"), ("东阳木楠家纺有限公司", "0579-86644404"),
)  # fmt: skip
#: To whom partners sold on, beside customers of ours.
BUYERS = ("嵊州领带城三区12号", "诸暨大唐袜业门市", "新昌儒岙制衣社")
PRODUCTS = (
    ("XF75-03", "75D雪纺", "75D×75D 90g 148cm", "9.80"), ("XF100-01", "100D雪纺", "100D 110g 150cm", "11.50"),
    ("DTF190", "190T涤塔夫", "63D×63D 150cm", "3.20"), ("DTF210", "210T涤塔夫", "68D×68D 150cm", "3.65"),
    ("CYF300", "300T春亚纺", "50D 75g 150cm", "5.40"), ("SSL-20", "20姆米桑蚕丝", "真丝素绉缎 114cm", "86.00"),
    ("QM40-133", "全棉府绸", "40×40 133×72 147cm", "13.80"), ("QM32-68", "全棉斜纹", "32×32 130×70 150cm", "15.60"),
    ("MM55", "棉麻混纺", "55麻45棉 138cm", "24.50"), ("TR80-20", "TR西装面料", "80/20 280g 150cm", "18.90"),
    ("NZ12", "12安牛仔布", "全棉弹力 147cm", "22.40"), ("JSR-01", "金丝绒", "涤氨 280g 155cm", "16.30"),
    ("YLR-02", "摇粒绒", "150D/96F 双面 160cm", "14.20"), ("FLR-05", "法兰绒", "280g 双面 200cm", "17.60"),
    ("TPG-08", "提花窗帘布", "高精密 280cm", "28.00"), ("ZGB-280", "全遮光布", "三层 280cm", "21.50"),
    ("WSB-11", "网纱布", "20D 六角网 160cm", "4.10"), ("LS-033", "蕾丝花边", "锦氨 18cm", "6.80"),
    ("NL70", "70D尼龙塔丝隆", "防水涂层 150cm", "8.90"), ("NJF-228", "228T尼龙牛津", "PU涂层 150cm", "7.70"),
    ("KQC-06", "空气层面料", "健康布 300g 160cm", "26.80"), ("RB-40", "40支人棉布", "印花 145cm", "10.60"),
    ("TSEL-60", "天丝斜纹", "60支 145cm", "32.00"), ("MDR-50", "莫代尔汗布", "50支 180g 180cm", "38.50"),
)  # fmt: skip
#: Name, contact, telephone, rating, days to pay in, days to deliver, and how much dearer than the list price less a third it is.
SUPPLIERS = (
    ("绍兴永盛织造有限公司", "周永盛", "0575-8456 7788", "a", 30, 5, "1.00"), ("南通海门恒源纺织厂", "陆建新", "0513-8221 6655", "b", 45, 9, "0.97"),
    ("吴江盛泽华丰丝绸有限公司", "沈惠芬", "0512-6355 1020", "a", 30, 6, "1.04"), ("佛山张槎兴达针织厂", "何志坚", "0757-8220 9911", "c", 0, 12, "0.94"),
)  # fmt: skip
CERTIFICATES = (("OEKO-TEX 100", "OT-2025-11873", 96), ("ISO 9001", "CQC-24Q-50817", -12), ("OEKO-TEX 100", "OT-2026-00412", 310))
BILLED = (
    ("opening", "12600.00", 210, ""), ("bill", "38400.50", 68, "2631207"), ("payment", "30000.00", 31, ""), ("bill", "15820.00", 9, "2634418"),
)  # fmt: skip
CITIES = (
    ("绍兴", "浙江省绍兴市越城区"), ("杭州", "浙江省杭州市余杭区"), ("宁波", "浙江省宁波市鄞州区"), ("温州", "浙江省温州市瓯海区"),
    ("嘉兴", "浙江省嘉兴市秀洲区"), ("湖州", "浙江省湖州市吴兴区"), ("苏州", "江苏省苏州市吴江区"), ("南通", "江苏省南通市通州区"),
    ("常熟", "江苏省常熟市虞山镇"), ("上海", "上海市松江区"), ("广州", "广东省广州市海珠区"), ("深圳", "广东省深圳市龙岗区"),
    ("佛山", "广东省佛山市南海区"), ("东莞", "广东省东莞市虎门镇"), ("泉州", "福建省泉州市石狮市"), ("成都", "四川省成都市金牛区"),
    ("重庆", "重庆市渝中区"), ("武汉", "湖北省武汉市硚口区"), ("青岛", "山东省青岛市即墨区"), ("石家庄", "河北省石家庄市长安区"),
)  # fmt: skip
BRANDS = (
    "瑞祥", "恒达", "金丰", "华美", "天锦", "锦泰", "盛世", "雅丽", "凯悦", "东方", "宏图", "新锐", "百纳", "云裳", "彩虹", "和顺",
    "永兴", "嘉禾", "德隆", "博雅", "千叶", "紫荆", "凤鸣", "秋水", "万隆", "长乐", "银河", "丝语", "衣尚", "美纶", "尚品", "乐居",
)  # fmt: skip
TRADES = ("纺织品", "服饰", "服装", "家纺", "布艺", "进出口", "针织", "印染", "面料", "窗饰", "制衣", "贸易")
FORMS = ("有限公司", "有限公司", "有限公司", "商行", "厂", "经营部")
STREETS = ("人民路", "中兴大道", "鉴湖路", "解放北路", "群贤路", "世纪大道", "工业园三路", "兴业街")
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "军",
    "洋",
    "勇",
    "艳",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀英",
    "建华",
    "晓东",
    "海燕",
    "文斌",
    "雪梅",
    "志强",
)
TITLES = ("总经理", "采购经理", "采购", "跟单", "设计师", "财务", "老板娘")
LEVELS = ("deal", "deal", "deal", "developing", "developing", "developing", "prospect", "prospect")
STAGE_OF = {"deal": "dealt", "developing": "interested", "prospect": "contacted"}
TAGS = ("展会；重点", "", "老客户", "", "年度框架；重点", "样布", "", "老客户；展会")
SOURCES = ("展会", "老客户介绍", "网络询盘", "市场走访", "电话开发")
LINES = ("面料", "服装", "家纺", "外贸")
TALKS = (
    "寄了色卡，等对方确认颜色", "来电询问雪纺现货价格", "上门拜访，看了仓库和样品间", "对账，确认上月货款", "反馈有色差，答应补一匹",
    "微信发了新品图片，感兴趣", "展会上见面，留了名片", "催款，答应月底前付清", "要求含税报价，已发", "谈明年框架合同，意向较强",
)  # fmt: skip
DEALS = (
    "春季雪纺大货", "酒店窗帘工程", "校服面料招标", "床品出口订单", "羽绒服里料", "真丝围巾定制", "遮光布年度框架", "牛仔布试单", "工装面料", "法兰绒毛毯",
    "针织空气层", "防水帐篷布", "提花沙发布", "全棉衬衫布",
)  # fmt: skip
NEXT_STEPS = ("寄样品", "上门拜访", "发报价", "催合同", "约看样品间", "")
TASKS = (("上门量尺寸", 3, "800"), ("打样确认", 9, "1500"), ("首批交货", 20, "0"))
#: Subject, what the customer says, type, priority, hours since it was reported.
TICKETS = (
    ("色差：同批两卷颜色不一致", "第二卷偏红，已经裁了三十米，请尽快来看。", "complaint", "usual", 26), ("遮光布涂层脱落", "洗过一次就掉粉，客户退货。", "repair", "low", 200),
    ("洗涤方法", "能不能机洗、熨烫温度多少？", "enquiry", "low", 3), ("货号发错", "订的是藏青，收到的是黑色，要求换货。", "return", "urgent", 20),
    ("幅宽不足", "标 150cm，实测 146cm。", "complaint", "high", 50), ("又有色差", "补来的一匹还是偏红。", "complaint", "usual", 1),
)  # fmt: skip
READY_ANSWERS = (
    ("请寄样", "{contact}您好，请剪一块样布寄到我公司质检部，注明单号 {number}，运费由我们承担。", "complaint"),
    ("洗涤说明", "{customer}您好，请用 30℃ 以下冷水手洗，不可漂白，中温熨烫。", "enquiry"),
)
#: What money was spent on for customers, its type and how much.
EXPENSES = (("送样快递", "sample", "48"), ("拜访客户高铁票", "travel", "146.50"), ("客户来访午餐", "hospitality", "328"))
REMARKS = ("月结30天", "要求送货上门", "开增值税专用发票", "只要现货", "对色差要求高")


@dataclass
class _Node:
    """One installation of the demo, with the people who work there."""

    application: Application
    code: str
    name: str
    address: str
    staff: list[Actor] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)
    warehouse: str = ""

    def work(self, actor: Actor, steps: Iterable[Callable[[UnitOfWork], Any]]) -> list[Any]:
        """Do many things as one person, a portion in each unit of work; returns what each returned."""
        done: list[Any] = []
        waiting = list(steps)
        for start in range(0, len(waiting), PORTION):
            with self.application.store.unit_of_work(actor.user_id) as uow:
                done += [step(uow) for step in waiting[start : start + PORTION]]
        return done

    def add(self, actor: Actor, entity: str, rows: Iterable[dict[str, Any]]) -> list[str]:
        """Add many records of a kind; returns their ids."""
        return [record["id"] for record in self.work(actor, [_creation(actor, entity, row) for row in rows])]

    def change(self, actor: Actor, entity: str, identity: str, **values: Any) -> None:
        """Change one record."""
        run(self.application.store, actor, "records.update_record", {"entity": entity, "id": identity, "values": values})


def _creation(actor: Actor, entity: str, row: dict[str, Any]) -> Callable[[UnitOfWork], Any]:
    return lambda uow: records.create_record(uow, actor, entity=entity, values=row)


def _negotiation(seller: Actor, values: dict[str, Any], number: int, stage: str, reason: str) -> Callable[[UnitOfWork], Any]:
    """Enter a deal and bring it as far as its number says: two are lost, three won, of which one is a project and one in aftercare."""

    def step(uow: UnitOfWork) -> None:
        deal = records.create_record(uow, seller, entity="opportunity", values=values)["id"]
        opportunities.move_opportunity(uow, seller, opportunity_id=deal, stage_id=stage, remark="老客户，已谈妥")
        if number in {3, 7}:
            opportunities.lose(uow, seller, opportunity_id=deal, reason=reason)
        elif number in {1, 8, 9}:
            opportunities.win(uow, seller, opportunity_id=deal, reason=reason)
        if number == 1:
            opportunities.start_project(uow, seller, opportunity_id=deal)
            for task, days, cost in TASKS:
                row = {"title": task, "due_on": dt.date.today() + dt.timedelta(days=days), "cost": cost, "user_id": seller.user_id}
                records.create_record(uow, seller, entity="project_task", values={**row, "opportunity_id": deal})
        if number == 8:
            plan = {"title": "季度回访", "every": 3, "unit": "month", "starts_on": str(dt.date.today() + dt.timedelta(days=30))}
            opportunities.start_aftercare(uow, seller, opportunity_id=deal, plan=plan)

    return step


def _service(clerk: Actor, values: dict[str, Any], number: int, product: str) -> Callable[[UnitOfWork], Any]:
    """A ticket: the first is visited and a piece replaced, one waits for the customer, one is solved, the others have just come in."""

    def step(uow: UnitOfWork) -> None:
        ticket = records.create_record(uow, clerk, entity="ticket", values=values)["id"]
        if number == 0:
            tickets.answer(uow, clerk, ticket_id=ticket, text="已收到，今天下午带样上门比色。")
            tickets.add_remark(uow, clerk, ticket_id=ticket, text="上门比色，第二卷缸差明显，补三十米。", kind="visit")
            parts.use_part(uow, clerk, ticket_id=ticket, product_id=product, quantity="30", covered=True, remark="补货")
        elif number == 3:
            tickets.answer(uow, clerk, ticket_id=ticket, text="请把外包装标签拍照发来，核对后安排换货。", wait=True)
        elif number == 4:
            tickets.close_ticket(uow, clerk, ticket_id=ticket, solution="坯布批次问题，按 146cm 折价结算。", satisfaction=4)

    return step


def build_demo(folder: Path, *, branches: int = 2, customers: int = 200, seed: int = 1, password: str) -> dict[str, Any]:
    """Build the company in DIR/hq, DIR/br01 …; returns where it is and what it holds. Nothing is left when it fails."""
    folders = {"HQ": folder / "hq"} | {f"BR{n:02d}": folder / f"br{n:02d}" for n in range(1, branches + 1)}
    for path in folders.values():
        if path.exists():
            raise StoreError("already_set_up", N_("“{folder}” is already set up. Nothing was changed."), folder=str(path))
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    company = _Company(folders, random.Random(seed), password)  # noqa: S311 -- names and amounts, never keys
    try:
        company.found()
        company.trade(customers)
        company.merge()
        company.work_apart()
        company.seek_approval()
        company.merge()
        return company.summary()
    except BaseException:
        company.close()
        for path in folders.values():
            shutil.rmtree(path, ignore_errors=True)
        if made:
            folder.rmdir()
        raise
    finally:
        company.close()


class _Company:
    def __init__(self, folders: dict[str, Path], chance: random.Random, password: str) -> None:
        self._folders, self._chance, self._password = folders, chance, password
        self._nodes: list[_Node] = []
        self._admin: Actor
        self._names: set[str] = set()
        self._products: list[tuple[str, Decimal]] = []
        self._closed = ""
        self._newcomer = ""
        self._line = ""

    # founding ----------------------------------------------------------------------------------------------------

    def found(self) -> None:
        """Head office, its branches let in by invite, the people, the goods."""
        for number, (code, path) in enumerate(self._folders.items()):
            name, address = ("总部", "浙江省绍兴市柯桥区中国轻纺城") if not number else BRANCHES[(number - 1) % len(BRANCHES)]
            created = create_folder(
                path, role="branch" if number else "office", code=code, name=name if number else COMPANY,
                login="admin", user_name="管理员", password=None if number else self._password,
            )  # fmt: skip
            self._nodes.append(_Node(created.application, code, name, address))
        office = self._nodes[0]
        with office.application.store.read() as connection:
            found = connection.value("SELECT id FROM \"user\" WHERE login = 'admin'").hex()
        self._admin = self._actor(found)
        self._hire()
        self._organise()
        self._line = self._define(office, self._admin, label="经营品类", type="choice", options=LINES, listed=True, searched=True)
        self._define(office, self._admin, label="门店数", type="integer", least="0")
        rows = [{"code": code, "name": name, "spec": spec, "unit": "米", "price": price} for code, name, spec, price in PRODUCTS]
        ids = office.add(self._admin, "product", rows)
        self._products = [(identity, Decimal(row["price"])) for identity, row in zip(ids, rows, strict=True)]
        self._supply(office)
        self._promise(office)
        for branch in self._nodes[1:]:
            self._let_in(branch)
        self._post_staff()
        self._introduce()

    def _supply(self, office: _Node) -> None:
        """Who delivers the goods: each product two suppliers, one of them cheaper for large quantities."""
        keys = ("name", "contact", "phone", "rating", "payment_days")
        suppliers = office.add(self._admin, "supplier", [dict(zip(keys, row, strict=False)) for row in SUPPLIERS])
        prices = []
        for place, (product, price) in enumerate(self._products):
            for number in (place % len(SUPPLIERS), (place + 1) % len(SUPPLIERS)):
                *_names, days, factor = SUPPLIERS[number]
                asked = (price * Decimal(factor) * 2 / 3).quantize(Decimal("0.01"))
                values = {"supplier_id": suppliers[number], "product_id": product, "lead_days": str(days)}
                prices.append({**values, "price": str(asked)})
                if number % 2:
                    prices.append({**values, "from_quantity": "1000", "price": str(asked - Decimal("0.20"))})
        office.add(self._admin, "supplier_price", prices)
        rows = [
            {"supplier_id": suppliers[place], "name": name, "number": number, "expires_on": self._today(-days)}
            for place, (name, number, days) in enumerate(CERTIFICATES)
        ]
        office.add(self._admin, "supplier_certificate", rows)
        entries = []
        for place, supplier in enumerate(suppliers):
            for kind, amount, days, invoice in BILLED[: 4 - place]:
                entry = {"supplier_id": supplier, "kind": kind, "amount": amount, "date": self._today(days)}
                entries.append(entry | ({"invoice_no": f"{invoice}{place}"} if invoice else {}))
        office.add(self._admin, "supplier_entry", entries)

    def _promise(self, office: _Node) -> None:
        """The work calendar of this year and the next as far as it is known, and answers that are given often."""
        for year in (self._today().year, self._today().year + 1):
            if year in HOLIDAYS:
                run(office.application.store, self._admin, "service.add_public_holidays", {"year": year})
        keys = ("title", "text", "type")
        office.add(self._admin, "canned_answer", [dict(zip(keys, row, strict=True)) for row in READY_ANSWERS])

    def _hire(self) -> None:
        rows = []
        for number in range(2 * len(self._nodes)):
            login, name = STAFF[number % len(STAFF)]
            login = login if number < len(STAFF) else f"{login}{number}"
            rows.append({"login": login, "name": name, "password": self._password, "role": "staff", "phone": self._phone()})
        people = self._nodes[0].add(self._admin, "user", rows)
        for number, identity in enumerate(people):
            self._nodes[number // 2].staff.append(self._actor(identity))

    def _organise(self) -> None:
        """Departments, who works where under whom, and a role for a new salesperson who sees only her own customers."""
        office = self._nodes[0]
        top = office.add(self._admin, "department", [{"name": "总经理室", "code": "01", "position": 1}])[0]
        sales, store, _money = office.add(
            self._admin, "department", [{"name": name, "code": code, "parent_id": top, "position": int(code)} for code, name in DEPARTMENTS]
        )
        for node in self._nodes:
            chief, *others = (person.user_id for person in node.staff)
            for number, person in enumerate([chief, *others]):
                assert person is not None
                place = {"department_id": store if number % 3 == 2 else sales, "superior_id": chief if number else self._admin.user_id}
                office.change(self._admin, "user", person, **place)
        role = office.add(self._admin, "role", [{"name": "业务员", "remark": "只看自己的客户和订单；不看客户信用额度"}])[0]
        row = {"login": "xiaomei", "name": "何小梅", "password": self._password, "phone": self._phone(), "department_id": sales}
        self._newcomer = office.add(self._admin, "user", [row])[0]
        with office.application.store.unit_of_work(self._admin.user_id) as uow:
            for entity, scope, actions in SALES_RIGHTS:
                for action in actions.split():
                    grants.set_role_right(uow, self._admin, role_id=role, entity=entity, action=action, scope=scope)
            grants.set_role_field(uow, self._admin, role_id=role, entity="customer", field="credit_limit", rule="hidden")
            grants.assign_role(uow, self._admin, login="xiaomei", role=role)

    def _define(self, node: _Node, actor: Actor, **field: Any) -> str:
        """A field of the company's own; returns its key."""
        return str(run(node.application.store, actor, "admin.add_field", {"entity": "customer", **field})["key"])

    def _introduce(self) -> None:
        """What letterheads say: the company, its accounts, where its branches are."""
        office = self._nodes[0]
        company = office.add(self._admin, "legal_entity", [LETTERHEAD | {"name": COMPANY, "invoice_title": COMPANY}])[0]
        office.add(
            self._admin, "bank_account", [{"legal_entity_id": company, "bank": bank, "account": number} for bank, number in ACCOUNTS]
        )
        rows = [{"list": "unit", "name": name, "decimals": places, "position": place} for place, (name, places) in enumerate(UNITS)]
        rows += [
            {"list": "tax_rate", "name": f"{rate}%", "rate": f"{rate}%", "position": place} for place, rate in enumerate((13, 9, 6, 0))
        ]
        office.add(self._admin, "list_entry", rows)
        for node in self._nodes:
            with node.application.store.housekeeping() as connection:
                set_meta(connection, "demo", 1)
            branch = node.application.store.node.branch_id
            office.change(self._admin, "branch", branch, address=node.address, legal_entity_id=company)

    def _actor(self, identity: str) -> Actor:
        actor = actor_by_id(self._nodes[0].application.store, identity)
        assert actor is not None
        return actor

    def _let_in(self, branch: _Node) -> None:
        office, theirs = self._nodes[0].application, branch.application
        invite = node_sync.invite(office.store, office.keys, self._admin, code=branch.code)
        request = node_sync.join(theirs.store, theirs.keys, invite)
        assert request is not None
        node_sync.join(theirs.store, theirs.keys, node_sync.approve(office.store, office.keys, self._admin, request))

    def _post_staff(self) -> None:
        for node in self._nodes:
            for person in node.staff:
                assert person.user_id is not None
                self._nodes[0].change(self._admin, "user", person.user_id, branch_id=node.application.store.node.branch_id)

    # working -----------------------------------------------------------------------------------------------------

    def trade(self, customers: int) -> None:
        """Stock, customers, talks, orders and money, everywhere."""
        self.merge()  # the branches get to know everybody
        share, rest = divmod(customers, len(self._nodes))
        orders = min(MAX_ORDERS, max(3, customers // 4)) // len(self._nodes) + 1
        if len(self._nodes) > 1:  # a field of its own, and one customer more, without orders, that it will delete
            branch = self._nodes[1]
            self._define(branch, self._admin, label="送货路线", type="text", hint="几号车、哪天送")
            self._closed = branch.add(branch.staff[0], "customer", [self._customer()])[0]
        for number, node in enumerate(self._nodes):
            self._stock(node)
            self._win_customers(node, share + (number < rest))
            self._sell(node, orders)
            self._negotiate(node)
            self._agree(node)
            self._ring(node)
            self._serve(node)
        self._work_with_partners(self._nodes[0])
        self._look_after(self._nodes[0])
        for customer in self._nodes[0].customers[:6]:
            self._nodes[0].change(self._admin, "customer", customer, owner_id=self._newcomer)

    def _stock(self, node: _Node) -> None:
        keeper = node.staff[0]
        rows = [{"code": f"W-{node.code}", "name": f"{node.name.removesuffix('分公司')}仓库", "address": node.address}]
        node.warehouse = node.add(keeper, "warehouse", rows)[0]
        node.add(
            self._admin,
            "account",
            [
                {
                    "name": f"建设银行{node.name.removesuffix('分公司')}支行",
                    "bank": "中国建设银行",
                    "number": f"6217 0032 {1200 + len(node.customers)}",
                }
            ],
        )
        day = self._today(150).isoformat()
        node.add(
            keeper,
            "stock_move",
            [
                {"product_id": product, "warehouse_id": node.warehouse, "quantity": str(self._chance.randrange(800, 6000, 50)), "type": "opening", "date": day}
                for product, _price in self._products
            ],
        )  # fmt: skip

    def _win_customers(self, node: _Node, count: int) -> None:
        owners = [self._chance.choice(node.staff) for _ in range(count)]
        for person in node.staff:
            own = node.add(person, "customer", [self._customer() for owner in owners if owner is person])
            node.customers += own
            node.add(
                person,
                "contact",
                [self._contact(customer, main=not n) for customer in own for n in range(self._chance.choice((1, 1, 1, 2)))],
            )
            node.add(
                person, "activity", [self._activity(customer) for customer in own for _ in range(self._chance.choice((0, 1, 1, 2, 3)))]
            )

    def _ring(self, node: _Node) -> None:
        """Calls of the last days: most answered, some missed, one from nobody that is known; by chance of its own."""
        store, chance = node.application.store, random.Random(node.code)  # noqa: S311 -- a story, not a secret
        for number, person in enumerate(node.staff):
            run(store, person, "calls.set_extension", {"extension": f"{801 + number}"})
        with store.read() as connection:
            phones = [row[0] for row in connection.all("SELECT phone FROM contact WHERE deleted = 0 ORDER BY rid LIMIT 40")]
        for key, phone in enumerate([*chance.sample(phones, min(CALLS, len(phones))), "053288776655"]):
            at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=7 + key * chance.randrange(40, 160))
            told = {"source": "hook", "key": f"demo-{key}", "caller": phone, "called": f"{801 + chance.randrange(len(node.staff))}"}
            run(store, SYSTEM, "calls.heard", told | {"at": at})
            if chance.random() < 0.7:
                run(store, SYSTEM, "calls.heard", told | {"event": "answer", "at": at + dt.timedelta(seconds=chance.randrange(4, 20))})
            run(store, SYSTEM, "calls.heard", told | {"event": "end", "at": at + dt.timedelta(seconds=chance.randrange(25, 380))})

    def _customer(self) -> dict[str, Any]:
        chance = self._chance
        city, place = chance.choice(CITIES)
        brand, trade = chance.choice(BRANDS), chance.choice(TRADES)
        name = f"{city}{brand}{trade}{chance.choice(FORMS)}"
        while name in self._names:
            brand += chance.choice(BRANDS)[0]
            name = f"{city}{brand}{trade}{chance.choice(FORMS)}"
        self._names.add(name)
        level = chance.choice(LEVELS)
        return {
            "name": name,
            "short_name": f"{city}{brand}",
            "level": level,
            "stage": STAGE_OF[level],
            "industry": "trade" if trade in {"进出口", "贸易"} else "manufacturing",
            "phone": self._phone() if chance.random() < 0.8 else f"05{chance.randrange(71, 80)}-{chance.randrange(80000000, 89999999)}",
            "address": f"{place}{chance.choice(STREETS)}{chance.randrange(1, 400)}号",
            "credit_limit": str(chance.choice((20, 50, 100, 200)) * 1000) if level == "deal" else "0",
            "source": chance.choice(SOURCES),
            "tags": TAGS[len(self._names) % len(TAGS)],
            "remark": chance.choice(REMARKS) if chance.random() < 0.3 else "",
            self._line: chance.choice(LINES),
        }

    def _contact(self, customer: str, *, main: bool) -> dict[str, Any]:
        phone = self._phone()
        values = {"customer_id": customer, "name": self._person(), "title": self._chance.choice(TITLES), "phone": phone, "is_main": main}
        return values | ({"wechat": f"wx{phone[-8:]}"} if self._chance.random() < 0.5 else {})

    def _activity(self, customer: str) -> dict[str, Any]:
        moment = dt.datetime.combine(self._today(self._chance.randrange(1, 120)), dt.time(9, 0)).astimezone()
        moment += dt.timedelta(minutes=self._chance.randrange(0, 510))
        kind = self._chance.choice(("call", "call", "visit", "wechat", "wechat", "meeting"))
        values = {"customer_id": customer, "at": moment, "type": kind, "content": self._chance.choice(TALKS)}
        return values | ({"next_at": moment + dt.timedelta(days=self._chance.randrange(3, 30))} if self._chance.random() < 0.4 else {})

    def _person(self) -> str:
        return self._chance.choice(SURNAMES) + self._chance.choice(GIVEN)

    def _phone(self) -> str:
        return f"1{self._chance.choice('3578')}{self._chance.randrange(10**8, 10**9)}"

    @staticmethod
    def _today(days_ago: int = 0) -> dt.date:
        return dt.date.today() - dt.timedelta(days=days_ago)

    # orders ------------------------------------------------------------------------------------------------------

    def _sell(self, node: _Node, count: int) -> None:
        days = sorted((self._chance.randrange(0, 120) for _ in range(count)), reverse=True)
        if not node.customers:
            return
        plans = [self._order(node, self._chance.choice(node.customers), day) for day in days]
        orders: dict[str, list[Callable[[UnitOfWork], Any]]] = {}
        for number, plan in enumerate(plans):
            seller = node.staff[number % len(node.staff)]
            draft, paid = number >= count - max(1, count // 5), self._chance.choice((0, 0, 50, 100, 100))
            orders.setdefault(seller.user_id or "", []).append(_deal(seller, plan, draft=draft, paid=paid, reverse=number == 1))
        for seller in node.staff:
            node.work(seller, orders.get(seller.user_id or "", []))

    # opportunities -----------------------------------------------------------------------------------------------

    def _negotiate(self, node: _Node) -> None:
        """Deals in every stage; one is carried out as a project, one is looked after, some are lost."""
        chance = random.Random(node.code)  # noqa: S311 -- amounts and choices
        with node.application.store.read() as connection:
            stages = [row[0] for row in connection.all("SELECT lower(hex(id)) FROM stage WHERE phase = 'opportunity' ORDER BY position")]
        steps: dict[str, list[Callable[[UnitOfWork], Any]]] = {}
        for number, title in enumerate(chance.sample(DEALS, min(len(DEALS), len(node.customers)))):
            seller = node.staff[number % len(node.staff)]
            values = {
                "title": title,
                "customer_id": chance.choice(node.customers),
                "amount": str(chance.randrange(8, 300) * 1000),
                "expected_on": self._today(-chance.randrange(5, 110)),
                "next_step": chance.choice(NEXT_STEPS),
                "next_on": self._today(-chance.randrange(-3, 15)),
            }
            reason = chance.choice(("dear", "competitor", "budget") if number in {3, 7} else ("price", "quality", "relation"))
            step = _negotiation(seller, values, number, chance.choice(stages), reason)
            steps.setdefault(seller.user_id or "", []).append(step)
        for seller in node.staff:
            node.work(seller, steps.get(seller.user_id or "", []))

    # service -----------------------------------------------------------------------------------------------------

    def _serve(self, node: _Node) -> None:
        """Tickets in every state, two of them about one product; each step as an engineer would take it."""
        chance = random.Random(f"service {node.code}")  # noqa: S311 -- who and what
        steps: dict[str, list[Callable[[UnitOfWork], Any]]] = {}
        product = self._products[0][0]
        keys = ("title", "text", "type", "priority")
        for number, (*told, hours) in enumerate(TICKETS):
            clerk = node.staff[number % len(node.staff)]
            opened = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
            values: dict[str, Any] = dict(zip(keys, told, strict=True)) | {
                "opened_at": opened.isoformat(),
                "customer_id": chance.choice(node.customers),
            }
            values["assignee_id"] = clerk.user_id
            values["product_id"] = product if number in {0, 5} else chance.choice(self._products)[0]
            steps.setdefault(clerk.user_id or "", []).append(_service(clerk, values, number, product))
        for clerk in node.staff:
            node.work(clerk, steps.get(clerk.user_id or "", []))

    # quotes, contracts, deliveries ---------------------------------------------------------------------------------

    def _agree(self, node: _Node) -> None:
        """A few of each: what waits for an answer, what was agreed, what is on its way."""
        chance = random.Random(f"papers {node.code}")  # noqa: S311 -- amounts and choices
        for person in node.staff:
            for number, customer in enumerate(chance.sample(node.customers, min(3, len(node.customers)))):
                amount, status = str(chance.randrange(8, 200) * 500), ("sent", "accepted", "draft")[number]
                quote = {"title": chance.choice(DEALS), "customer_id": customer, "amount": amount, "status": status}
                node.add(person, "quote", [{**quote, "date": self._today(9), "valid_until": self._today(-5 - 10 * number)}])
                if status == "accepted":
                    year = {"starts_on": self._today(200), "ends_on": self._today(-165), "signed_on": self._today(201)}
                    node.add(
                        person,
                        "contract",
                        [{"title": "年度供货框架协议", "customer_id": customer, "amount": amount, "status": "signed", **year}],
                    )
                    sent = {
                        "content": "面料样品 3 箱",
                        "parcels": "3",
                        "carrier": "德邦快递",
                        "tracking_no": f"DPK{chance.randrange(10**11):011d}",
                    }
                    node.add(person, "delivery", [{"customer_id": customer, "status": "shipped", "date": self._today(2), **sent}])

    # channel partners ---------------------------------------------------------------------------------------------

    def _work_with_partners(self, node: _Node) -> None:
        """Three partners who bring some of the customers, what they are given for it, and companies that they registered."""
        year = {"starts_on": self._today(200), "ends_on": self._today(-165)}
        keys = ("name", "level", "area", "contact", "phone", "discount")
        rows = [
            {**dict(zip(keys, row, strict=True)), **year, "rebate_on": "ordered", "owner_id": node.staff[0].user_id} for row in PARTNERS
        ]
        partners = node.add(self._admin, "partner", rows)
        node.add(
            self._admin,
            "rebate_tier",
            [
                {"level": level, "from_amount": amount, "percent": percent}
                for level in ("general", "core")
                for amount, percent in (("3000", "2%"), ("10000", "3%"), ("30000", "5%"))
            ],
        )
        for number, customer in enumerate(node.customers[: 4 * len(partners)]):
            node.change(self._admin, "customer", customer, partner_id=partners[number % len(partners)])
        for number, (name, phone) in enumerate(REGISTERED):
            given = {"partner_id": partners[number % len(partners)], "name": name, "phone": phone}
            run(node.application.store, node.staff[0], "partners.register_customer", given)
        with node.application.store.read() as connection:
            ours = records.read_record(connection, self._admin, entity="customer", id=node.customers[0])["name"]
        for number, partner in enumerate(partners):
            day = self._today()
            for period, target in ((f"{day:%Y}", 120_000), (f"{day:%Y}-Q{(day.month + 2) // 3}", 20_000)):
                node.add(self._admin, "partner_target", [{"partner_id": partner, "period": period, "amount": str(target // (number + 1))}])
            entries = (("paid_in", "50000", 180, ""), ("used", "2600", 40, "串货违约金"))
            rows = [{"kind": kind, "amount": amount, "date": self._today(days), "remark": why} for kind, amount, days, why in entries]
            node.add(self._admin, "partner_deposit", [{**row, "partner_id": partner} for row in rows[: 2 - number % 2]])
            for back, quantity in ((35, 1800), (5, 1250)):
                rows = [
                    {"product_id": product, "quantity": str(quantity - 90 * place)}
                    for place, (product, _price) in enumerate(self._products[:5])
                ]
                node.add(self._admin, "partner_stock", [{**row, "partner_id": partner, "date": self._today(back)} for row in rows])
            sold = [
                {"buyer": buyer, "product_id": product, "quantity": str(120 - 20 * place), "amount": str(1200 - 150 * place)}
                for place, (buyer, (product, _price)) in enumerate(zip((*BUYERS, ours), self._products[:4], strict=False))
            ]
            node.add(self._admin, "partner_sale", [{**row, "partner_id": partner, "date": self._today(12)} for row in sold])

    # what the days of those who look after customers are made of ------------------------------------------------------

    def _look_after(self, node: _Node) -> None:
        """Plans for today, birthdays, things that customers use, a customer lent out, two that are likely one, and a pool."""
        if len(node.customers) < 13:
            return
        store, seller, others = node.application.store, node.staff[0], node.customers[6:13]
        for customer, hour in zip(others, (14, 16), strict=False):
            today = dt.datetime.combine(self._today(), dt.time(hour, 30)).astimezone()
            plan = {"customer_id": customer, "type": "call", "content": TALKS[4], "at": today - dt.timedelta(days=2), "next_at": today}
            node.add(self._admin, "activity", [plan])
        for customer, days, name in zip(others, (1, 4), ("沈丽华", "骆建民"), strict=False):
            born = self._today(-days).replace(year=1984)
            node.add(self._admin, "contact", [{"customer_id": customer, "name": name, "title": TITLES[0], "birthday": born}])
        for number, (place, days) in enumerate((("二楼样品间", 40), ("一号车间", -200), ("门店橱窗", 15))):
            product, _price = self._products[number]
            used = {"product_id": product, "serial": f"JX{260100 + number}", "sold_on": self._today(365 - days), "location": place}
            node.add(seller, "installed_product", [{**used, "customer_id": others[number], "warranty_until": self._today(-days)}])
        for customer, (purpose, kind, amount) in zip(others, EXPENSES, strict=False):
            node.add(seller, "expense", [{"customer_id": customer, "purpose": purpose, "type": kind, "amount": amount}])
        lent = {"entity": "customer", "id": others[3], "user_id": self._nodes[-1].staff[0].user_id, "level": "write"}
        run(store, self._admin, "people.share_record", lent)
        with store.read() as connection:
            rows = connection.all("SELECT name, phone FROM customer WHERE id = ?", (bytes.fromhex(others[4]),))
        name, phone = rows[0]
        node.change(self._admin, "customer", others[5], name=name.removesuffix("有限公司") + "（新）", phone=phone)
        morning = dt.datetime.combine(self._today(-1), dt.time(9, 30)).astimezone()
        told = {"at": morning.isoformat(), "text": "给样品间补一批春夏色卡", "customer": others[0]}
        run(store, self._admin, "crm.set_reminder", told)
        pool = node.add(self._admin, "pool", [{"name": "华东公海", "picks_per_day": "5", "barred_days": "30", "protect_days": "15"}])[0]
        node.add(self._admin, "reclaim_rule", [{"name": "意向客户 60 天未联系", "pool_id": pool, "level": "prospect", "days": "60"}])
        for customer, reason in ((others[6], "电话长期无人接听"), (node.customers[-1], "业务员调岗")):
            run(store, self._admin, "crm.release", {"customers": [customer], "reason": reason, "pool_id": pool})

    def _order(self, node: _Node, customer: str, days_ago: int) -> dict[str, Any]:
        chance = self._chance
        lines = []
        for product, price in chance.sample(self._products, chance.choice((1, 2, 2, 3, 4, 5))):
            line = {"product_id": product, "quantity": str(chance.randrange(20, 400, 10)), "price": str(price)}
            lines.append(line | ({"discount": chance.choice(("0.95", "0.98", "0.9"))} if chance.random() < 0.2 else {}))
        header = {"customer_id": customer, "date": self._today(days_ago).isoformat(), "warehouse_id": node.warehouse}
        return {"header": header, "lines": lines}

    # apart and together ------------------------------------------------------------------------------------------

    def work_apart(self) -> None:
        """Two places edit the same customers without knowing of each other."""
        if len(self._nodes) < 2:
            return
        here, there = self._nodes[1], self._nodes[2 % len(self._nodes)]
        mine, theirs = here.staff[0], there.staff[0]
        shared = [customer for node in self._nodes for customer in node.customers]
        chosen = self._chance.sample(shared, min(9, len(shared)))
        for number, customer in enumerate(chosen):
            if number % 3 == 0:  # the same field
                here.change(mine, "customer", customer, phone=self._phone())
                time.sleep(0.002)  # a later moment of the clock, so that the seed alone says which of the two stays
                there.change(theirs, "customer", customer, phone=self._phone())
            elif number % 3 == 1:  # different fields
                here.change(mine, "customer", customer, address=f"{here.address}{self._chance.randrange(1, 900)}号")
                there.change(theirs, "customer", customer, remark=self._chance.choice(REMARKS))
            else:  # a value somebody should look at
                here.change(mine, "customer", customer, credit_limit=str(self._chance.choice((80, 150, 300)) * 1000))
        there.change(theirs, "customer", self._closed, level="deal", remark="刚下了样布单，准备转正式客户")
        run(here.application.store, mine, "records.delete_record", {"entity": "customer", "id": self._closed})

    def merge(self) -> None:
        """Exchange by files until every branch holds what head office holds; raises ExchangeError when they never do."""
        office = self._nodes[0].application
        with tempfile.TemporaryDirectory(dir=self._folders["HQ"]) as folder:
            stick = Path(folder) / "stick.bsb"
            for _round in range(4):
                for branch in self._nodes[1:]:
                    node_sync.pack(branch.application.store, branch.application.keys, stick)
                    node_sync.unpack(office.store, office.keys, stick)
                for branch in self._nodes[1:]:
                    node_sync.pack(office.store, office.keys, stick, for_code=branch.code)
                    node_sync.unpack(branch.application.store, branch.application.keys, stick)
                if len({node_sync.digest(node.application.store)["digest"] for node in self._nodes}) == 1:
                    return
        raise ExchangeError("demo_differs", N_("The demo company did not merge; nothing of it was kept."))

    def summary(self) -> dict[str, Any]:
        """Where the company is, and what it holds."""
        office = self._nodes[0].application.store
        with office.read() as connection:
            counts = {
                key: int(connection.value(f'SELECT count(*) FROM "{key}" WHERE deleted = 0'))
                for key in ("customer", "sales_order", "conflict")
            }
        return {
            "nodes": [
                {"code": node.code, "name": node.application.store.node.name, "folder": str(node.application.store.folder)}
                for node in self._nodes
            ],
            "login": "admin",
            "customers": counts["customer"],
            "orders": counts["sales_order"],
            "conflicts": counts["conflict"],
        }

    def seek_approval(self) -> None:
        """Large orders need the word of the superior and of the administrator: one waits for each, one comes back rejected."""
        office = self._nodes[0]
        if not office.customers:
            return
        store, (chief, clerk) = office.application.store, office.staff[:2]
        steps = [{"who": "superior"}, {"who": "user", "id": self._admin.user_id}]
        for position, (name, conditions) in enumerate(APPROVALS, start=1):
            flow = {"name": name, "position": position, "steps": json.dumps(steps), "conditions": json.dumps(conditions)}
            office.add(self._admin, "approval_flow", [flow])
        requests = []
        for person, quantity in ((chief, 4200), (clerk, 3600), (clerk, 5200)):
            header = {"customer_id": office.customers[0], "warehouse_id": office.warehouse}
            lines = [{"product_id": self._products[0][0], "quantity": str(quantity), "discount": "0.85"}]
            order = run(store, person, "sales.save_order", {"header": header, "lines": lines})["id"]
            requests.append(run(store, person, "approvals.submit", {"entity": "sales_order", "id": order})["request_id"])
        run(store, chief, "approvals.reject", {"request_id": requests[1], "comment": "折扣低于九折，请和客户再谈"})
        run(store, chief, "approvals.approve", {"request_id": requests[2], "comment": "老客户，同意"})

    def close(self) -> None:
        for node in self._nodes:
            node.application.close()


def _deal(actor: Actor, plan: dict[str, Any], *, draft: bool, paid: int, reverse: bool) -> Callable[[UnitOfWork], Any]:
    """One order from draft to money: ``paid`` percent of it has been received."""

    def deal(uow: UnitOfWork) -> Any:
        order = save_order(uow, actor, header=plan["header"], lines=plan["lines"])
        if draft:
            return order
        posted = post_order(uow, actor, order_id=order["id"])
        if reverse:
            return reverse_order(uow, actor, order_id=order["id"], remark="客户要求改颜色，重新下单")
        if paid:
            amount = (Decimal(posted["gross"]) * paid / 100).quantize(Decimal("0.01"))
            receive_payment(uow, actor, order_id=order["id"], amount=str(amount), date=plan["header"]["date"], method=_METHODS[paid % 3])
        return posted

    return deal


#: Names and conditions of the approval flows.
APPROVALS: Sequence[tuple[str, list[dict[str, Any]]]] = (
    ("大额低折扣", [{"fact": "amount", "op": "at_least", "value": "20000"}, {"fact": "discount", "op": "less", "value": "0.9"}]),
    ("超信用额度", [{"fact": "over_limit", "op": "is", "value": True}]),
)
_METHODS: Sequence[str] = ("transfer", "wechat", "alipay")
