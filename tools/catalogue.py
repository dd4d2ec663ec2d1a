"""Texts between code and catalogue: collect msgids, compile what gettext reads, name what is missing.

    python tools/catalogue.py update [MORE.po …]   collect the msgids of the code; translations are kept, MORE.po adds some
    python tools/catalogue.py check                exit 1 when a text has no translation or its placeholders differ
    python tools/catalogue.py compile              write the .mo files

Labels of declarations are plain strings in ``F(1, "Name")`` and ``class Customer(Entity, label="Customer")``; general
extraction tools do not see those, so the code is read as a syntax tree here.
"""

from __future__ import annotations

import ast
import string
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "localcrm"
LOCALE = PACKAGE / "locale"
MARKERS = {"_", "N_", "gettext"}
#: A fixed date: the history of the file is in version control, and a moving date makes every merge a conflict.
HEADER_DATE = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Text:
    """A msgid in the code; ``msgid`` is None where the argument is computed and so cannot be collected."""

    msgid: str | None
    file: str
    line: int

    @property
    def place(self) -> str:
        """File and line, as editors open it."""
        return f"{self.file}:{self.line}"


def texts_in_code(package: Path = PACKAGE) -> list[Text]:
    """Every text of the package in the order of files and lines."""
    found: list[Text] = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package.parent).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += sorted((Text(msgid, file, line) for msgid, line in _texts(tree)), key=lambda text: text.line)
    return found


def _texts(tree: ast.AST) -> Iterator[tuple[str | None, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in MARKERS and node.args:
                yield from _literal(node.args[0])
            elif name == "F":
                labels = node.args[1:2] or [word.value for word in node.keywords if word.arg == "label"]
                for label in labels:
                    yield from _literal(label)
        elif isinstance(node, ast.ClassDef) and any(_name(base) == "Entity" for base in node.bases):
            for word in node.keywords:
                if word.arg == "label":
                    yield from _literal(word.value)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _literal(node: ast.expr) -> Iterator[tuple[str | None, int]]:
    """The text of a literal; None for an f-string, which no catalogue can hold. A name stands for an N_() elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if node.value:
            yield node.value, node.lineno
    elif isinstance(node, ast.JoinedStr):
        yield None, node.lineno
    elif isinstance(node, ast.IfExp):
        yield from _literal(node.body)
        yield from _literal(node.orelse)


def placeholders(text: str) -> set[str]:
    """Names in braces. A text with a stray brace is no format at all and has none."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return set()


def read_catalogue(path: Path) -> Catalog:
    """A catalogue from its file; an empty Chinese one when there is none yet."""
    if not path.exists():
        return Catalog(locale="zh_CN", project="localcrm", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3] if path.parts[-2:-1] == ("LC_MESSAGES",) else None, charset="utf-8")


def faults(catalogue: Catalog, texts: Sequence[Text]) -> list[str]:
    """What is wrong between catalogue and code, one sentence each; nothing when all is well."""
    wrong: list[str] = []
    seen: set[str] = set()
    for text in texts:
        if text.msgid is None:
            wrong.append(f"{text.place}: an f-string cannot be translated; use {{placeholders}} and format()")
            continue
        if text.msgid in seen:
            continue
        seen.add(text.msgid)
        message = catalogue.get(text.msgid)
        if message is None or not message.string:
            wrong.append(f"{text.place}: no translation of “{text.msgid}”")
    for message in catalogue:
        if message.id and message.string and placeholders(str(message.id)) != placeholders(str(message.string)):
            wrong.append(f"placeholders differ: “{message.id}” and “{message.string}”")
        if message.id and message.fuzzy:
            wrong.append(f"marked as doubtful: “{message.id}”")
    return wrong


def unused(catalogue: Catalog, texts: Sequence[Text]) -> list[str]:
    """Msgids that no code uses any more."""
    used = {text.msgid for text in texts}
    return [str(message.id) for message in catalogue if message.id and message.id not in used]


def renewed(old: Catalog, texts: Sequence[Text], more: Sequence[Catalog] = ()) -> Catalog:
    """A catalogue of exactly these texts in their order, with the translations of the old ones and then of ``more``."""
    new = Catalog(
        locale=old.locale,
        project="localcrm",
        version="",
        msgid_bugs_address="",
        charset="utf-8",
        header_comment="# Chinese texts of localcrm. Collected by “make texts”; write translations here, never msgids.",
        copyright_holder="localcrm contributors",
        creation_date=HEADER_DATE,
        revision_date=HEADER_DATE,
        last_translator="localcrm contributors",
        language_team="zh_CN",
        fuzzy=False,
    )
    for text in texts:
        if text.msgid is not None:
            new.add(text.msgid, _translation(text.msgid, [old, *more]), locations=[(text.file, 0)])
    return new


def _translation(msgid: str, catalogues: Sequence[Catalog]) -> str:
    found = (message.string for catalogue in catalogues if (message := catalogue.get(msgid)) is not None and message.string)
    return str(next(found, ""))


def catalogues() -> list[Path]:
    """The catalogues that are shipped."""
    return sorted(LOCALE.glob("*/LC_MESSAGES/localcrm.po"))


def update(more: Sequence[Path]) -> int:
    """Rewrite every catalogue from the code; returns how many texts still lack a translation."""
    texts = texts_in_code()
    missing = 0
    for path in catalogues() or [LOCALE / "zh_CN" / "LC_MESSAGES" / "localcrm.po"]:
        new = renewed(read_catalogue(path), texts, [read_catalogue(extra) for extra in more])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, new, width=140, include_lineno=False, omit_header=False)
        wrong = faults(new, texts)
        missing += len(wrong)
        print("\n".join([*wrong, f"{path.relative_to(ROOT)}: {len(new)} texts, {len(wrong)} to look at"]))
    return missing


def check() -> int:
    """Print every fault; returns their number."""
    texts = texts_in_code()
    count = 0
    for path in catalogues():
        catalogue = read_catalogue(path)
        wrong = faults(catalogue, texts)
        count += len(wrong)
        stale = unused(catalogue, texts)
        note = f", {len(stale)} no longer used (make texts drops them)" if stale else ""
        print("\n".join([*wrong, f"{path.relative_to(ROOT)}: {len(catalogue)} texts, {len(wrong)} faults{note}"]))
    if not catalogues() and texts:
        print("There is no catalogue; run make texts.")
        return 1
    return count


def compile_all() -> None:
    """Write the compiled form beside each catalogue, where it is older."""
    for path in catalogues():
        target = path.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= path.stat().st_mtime:
            continue
        with target.open("wb") as file:
            write_mo(file, read_catalogue(path))


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["update", *more]:
            update([Path(name) for name in more])
            return 0
        case ["check"]:
            return 1 if check() else 0
        case ["compile"]:
            compile_all()
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
