"use strict";
// The board of opportunities: columns with cards that are dragged, moved by key, and chosen for the menu. Python says what is on it
// (localcrm.board.show) and hears what was done (the event "board"); texts are written as text, never as markup.
(() => {
  const lc = window.localcrm;
  const make = lc.make;
  const board = (lc.board = { host: null, current: null, dragged: null });
  const tell = (kind, card, column) => emitEvent("board", { kind, card: card ?? null, column: column ?? null });
  const cardsOf = (column) => [...column.querySelectorAll(".lc-deal")];
  const columns = () => [...board.host.querySelectorAll(".lc-lane")];

  board.show = (id, data) => {
    const host = document.getElementById(id);
    if (!host) return;
    const focused = host.contains(document.activeElement);
    const tops = Object.fromEntries([...host.querySelectorAll(".lc-lane")].map((lane) => [lane.dataset.column, lane.querySelector(".lc-lane-cards").scrollTop]));
    board.host = host;
    board.dragged = null;
    host.replaceChildren(...data.columns.map((column) => lane(column, data)));
    for (const each of columns()) each.querySelector(".lc-lane-cards").scrollTop = tops[each.dataset.column] || 0;
    const current = board.current && host.querySelector(`[data-id="${CSS.escape(board.current)}"]`);
    if (current) mark(current, focused);
    else if (board.current) choose(null);
  };

  const lane = (column, data) => {
    const box = make("section", "lc-lane" + (column.slim ? " lc-slim" : ""));
    box.dataset.column = column.key;
    box.setAttribute("aria-label", column.name);
    const head = make("header", "lc-lane-head");
    const title = make("div", "lc-lane-title");
    title.append(make("b", "lc-cut", column.name), make("span", "lc-count", column.slim ? "" : String(column.count)));
    head.append(title);
    if (column.sums) {
      const sums = make("div", "lc-lane-sums");
      for (const [text, tip] of column.sums) {
        const sum = make("span", "", text);
        sum.title = tip;
        sums.append(sum);
      }
      head.append(sums);
    }
    const list = make("div", "lc-lane-cards");
    list.setAttribute("role", "list");
    for (const one of column.cards) list.append(card(one, data));
    if (!column.cards.length) list.append(make("div", "lc-lane-empty", column.hint));
    if (column.more) {
      const more = make("button", "lc-chip lc-lane-more", column.more);
      more.type = "button";
      more.addEventListener("click", () => tell("more", null, column.key));
      list.append(more);
    }
    box.append(head, list);
    if (data.movable && column.drop) {
      box.addEventListener("dragover", (event) => {
        if (!board.dragged) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "move";
        box.classList.add("lc-over");
      });
      box.addEventListener("dragleave", (event) => box.contains(event.relatedTarget) || box.classList.remove("lc-over"));
      box.addEventListener("drop", (event) => {
        event.preventDefault();
        box.classList.remove("lc-over");
        const moved = board.dragged;
        const from = moved && board.host.querySelector(`[data-id="${CSS.escape(moved)}"]`)?.closest(".lc-lane");
        if (moved && from !== box) tell("move", moved, column.key);
      });
    }
    return box;
  };

  const card = (one, data) => {
    const box = make("article", "lc-deal" + (one.stuck ? " lc-stuck" : ""));
    box.dataset.id = one.id;
    if (one.tone) box.dataset.tone = one.tone;
    box.tabIndex = 0;
    box.setAttribute("role", "listitem");
    box.append(make("b", "lc-deal-title", one.title), make("div", "lc-deal-customer lc-cut", one.customer));
    const facts = make("div", "lc-deal-facts");
    facts.append(make("span", "lc-deal-amount", one.amount), make("span", "", one.percent));
    box.append(facts);
    if (one.next) box.append(make("div", "lc-deal-next lc-cut" + (one.late ? " lc-bad-text" : ""), one.next));
    const foot = make("div", "lc-deal-foot");
    const days = make("span", one.stuck ? "lc-chip lc-warn" : one.tone ? "lc-chip" : "", one.days);
    if (one.tone) days.dataset.tone = one.tone;
    days.title = one.daysTip;
    foot.append(make("span", "lc-cut", one.owner), days);
    box.append(foot);
    box.addEventListener("focus", () => mark(box));
    box.addEventListener("contextmenu", () => mark(box));
    box.addEventListener("click", () => open(box));
    if (data.movable) {
      box.draggable = true;
      box.addEventListener("dragstart", (event) => {
        mark(box);
        board.dragged = one.id;
        event.dataTransfer.setData("text/plain", one.title);
        event.dataTransfer.effectAllowed = "move";
        box.classList.add("lc-dragged");
        board.host.classList.add("lc-dragging-card");
      });
      box.addEventListener("dragend", () => {
        board.dragged = null;
        box.classList.remove("lc-dragged");
        board.host.classList.remove("lc-dragging-card");
        for (const each of columns()) each.classList.remove("lc-over");
      });
    }
    box.addEventListener("keydown", (event) => key(event, box, data));
    return box;
  };

  const open = (box) => {
    mark(box);
    tell("open", box.dataset.id);
  };

  const key = (event, box, data) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = columns();
    const at = all.findIndex((each) => each.contains(box));
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") open(box);
    else if (step && event.shiftKey) {
      const target = all[at + step];
      if (data.movable && target && data.columns.find((column) => column.key === target.dataset.column)?.drop) tell("move", box.dataset.id, target.dataset.column);
    } else if (step) {
      const place = cardsOf(all[at]).indexOf(box);
      for (let next = at + step; all[next]; next += step) {
        const cards = cardsOf(all[next]);
        if (cards.length) return event.preventDefault(), mark(cards[Math.min(place, cards.length - 1)], true);
      }
    } else if (down) {
      const cards = cardsOf(all[at]);
      const next = cards[cards.indexOf(box) + down];
      if (next) mark(next, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const choose = (id) => {
    if (id === board.current) return;
    board.current = id;
    tell("choose", id);
  };
  const mark = (box, focus) => {
    for (const each of board.host.querySelectorAll(".lc-deal.lc-on")) if (each !== box) each.classList.remove("lc-on");
    box.classList.add("lc-on");
    choose(box.dataset.id);
    if (focus) box.focus({ preventScroll: false });
  };
})();
