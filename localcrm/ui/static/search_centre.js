"use strict";
// The search centre: one box, what it finds, a look at the one that is chosen. Everything is asked over HTTP; texts are written as text,
// never as markup, and marked by the places that the server names.
(() => {
  const lc = window.localcrm;
  const make = lc.make;
  const PAUSE = 120;
  const ASK_BEYOND = 500;
  const centre = (lc.centre = {});
  let host, words, state, parts, timer, previewTimer, beyondTimer, lateTimer;

  centre.show = (id, config) => {
    host = document.getElementById(id);
    if (!host) return;
    words = config.words;
    state = {
      ask: { q: config.q, kind: config.kind, whose: config.whose, branch: config.branch, days: config.days },
      recent: config.recent, turn: 0, pending: false, jump: false, answer: null, beyond: null, told: null, at: -1, chosen: null, looks: new Map(),
    };
    build(config);
    look();
    parts.input.focus();
    parts.input.select();
  };
  // Something changed, here or by an exchange: ask again, once, and keep what is chosen.
  centre.changed = (coverage) => {
    if (!state) return;
    parts.foot.textContent = coverage.join(words.between);
    clearTimeout(lateTimer);
    lateTimer = setTimeout(look, 600);
  };

  // what stands on the page ---------------------------------------------------------------------------------------------
  const build = (config) => {
    parts = {};
    const top = make("div", "lc-find-top");
    top.append(icon("search"));
    parts.input = make("input", "lc-find-input");
    Object.assign(parts.input, { type: "search", value: state.ask.q, placeholder: words.placeholder, maxLength: 100, autocomplete: "off", spellcheck: false });
    for (const [name, value] of Object.entries({ "data-find": "", role: "combobox", "aria-label": words.placeholder, "aria-expanded": "true", "aria-controls": "lc-find-list" }))
      parts.input.setAttribute(name, value);
    const typed = (event) => {
      if (event.isComposing) return;
      state.ask.q = parts.input.value;
      state.pending = true;
      state.jump = false;
      clearTimeout(timer);
      timer = setTimeout(look, PAUSE);
    };
    for (const event of ["input", "compositionend"]) parts.input.addEventListener(event, typed);
    top.append(parts.input);
    parts.narrow = make("div", "lc-find-narrow");
    parts.kinds = make("div", "lc-find-kinds");
    parts.narrow.append(parts.kinds);
    for (const name of ["whose", "branch", "days"]) if (config.choices[name].length > 1) parts.narrow.append(select(name, config.choices[name]));
    parts.body = make("div", "lc-find-body");
    parts.list = make("div", "lc-card lc-find-list");
    parts.list.id = "lc-find-list";
    parts.list.setAttribute("role", "listbox");
    parts.list.setAttribute("aria-label", words.found);
    parts.look = make("aside", "lc-card lc-find-look");
    parts.look.setAttribute("aria-label", words.preview);
    parts.body.append(parts.list, parts.look);
    parts.foot = make("p", "lc-find-foot lc-muted", config.coverage.join(words.between));
    parts.foot.dataset.coverage = "";
    host.replaceChildren(top, parts.narrow, parts.body, parts.foot);
    host.addEventListener("keydown", press);
  };
  const select = (name, choices) => {
    const box = make("select", "lc-find-select");
    box.dataset.narrow = name;
    box.setAttribute("aria-label", words[name]);
    for (const [value, label] of choices) box.append(new Option(label, value, false, String(state.ask[name]) === value));
    box.addEventListener("change", () => {
      state.ask[name] = box.value;
      box.classList.toggle("lc-on", box.selectedIndex > 0);
      look();
    });
    box.classList.toggle("lc-on", box.selectedIndex > 0);
    return box;
  };

  const icon = (name) => {
    const sign = make("i", "q-icon notranslate material-icons", name);
    sign.setAttribute("aria-hidden", "true");
    return sign;
  };
  const marked = (box, pieces) => {
    pieces.forEach((piece, number) => piece && box.append(number % 2 ? make("mark", "", piece) : document.createTextNode(piece)));
    return box;
  };

  // asking ----------------------------------------------------------------------------------------------------------------
  const query = () => new URLSearchParams(Object.entries(state.ask).filter(([, value]) => value && value !== "0"));
  const look = async () => {
    clearTimeout(timer);
    clearTimeout(beyondTimer);
    const turn = ++state.turn;
    const asked = query();
    history.replaceState(history.state, "", location.pathname + (asked.size ? "?" + asked : ""));
    if (!state.ask.q.trim()) {
      Object.assign(state, { pending: false, answer: null, beyond: null, told: null, chosen: null, at: -1 });
      draw();
      return;
    }
    state.pending = true;
    let answer;
    try {
      answer = await lc.fetch("/api/centre/search?" + asked);
    } catch (error) {
      if (turn === state.turn) problem(error.message || words.offline);
      return;
    }
    if (turn !== state.turn) return;
    const told = answer.hidden && state.told === state.ask.q; // he need not be told again when something else changed
    Object.assign(state, { answer, pending: false, beyond: told ? state.beyond : null });
    state.looks.clear();
    const kept = answer.rows.findIndex((row) => state.chosen === key(row));
    state.at = kept >= 0 ? kept : (answer.sole ?? (answer.rows.length ? 0 : -1));
    draw();
    if (state.jump && answer.sole !== null) return (state.at = answer.sole), open();
    state.jump = false;
    if (answer.hidden && !told) beyondTimer = setTimeout(() => askBeyond(turn), ASK_BEYOND);
  };
  const askBeyond = async (turn) => {
    const text = state.ask.q;
    try {
      const beyond = await lc.fetch("/api/centre/beyond", { text: text.trim() });
      if (turn !== state.turn) return;
      Object.assign(state, { beyond, told: text });
      if (beyond.rows.length || beyond.braked) draw();
    } catch {
      // What cannot be asked is no hit; everything else stands there already.
    }
  };
  const problem = (text) => {
    state.pending = false;
    parts.list.replaceChildren(make("div", "lc-empty lc-bad-text", text));
    parts.look.replaceChildren();
  };

  // drawing ---------------------------------------------------------------------------------------------------------------
  const key = (row) => [row.group, row.id, row.title.join("")].join("/");
  const draw = () => {
    const { answer, beyond } = state;
    drawKinds();
    parts.list.replaceChildren();
    if (!answer) {
      welcome();
      parts.look.replaceChildren(make("div", "lc-empty lc-muted", words.choose));
      return;
    }
    let group = null;
    answer.rows.forEach((row, number) => {
      if (row.group !== group && !state.ask.kind) parts.list.append(head(row));
      group = row.group;
      parts.list.append(line(row, number));
    });
    if (answer.capped) parts.list.append(make("div", "lc-find-note", words.capped));
    for (const row of beyond?.rows || []) parts.list.append(hidden(row));
    if (beyond?.braked) parts.list.append(make("div", "lc-find-note", words.braked));
    if (!answer.rows.length && !beyond?.rows.length) parts.list.append(make("div", "lc-empty", words.nothing));
    choose(state.at, false);
  };
  const drawKinds = () => {
    const kinds = state.answer?.kinds || [];
    const total = kinds.reduce((sum, kind) => sum + kind.count, 0);
    const chips = kinds.length ? [chip("", words.all, total, kinds.some((kind) => kind.capped)), ...kinds.map((kind) => chip(kind.key, kind.label, kind.count, kind.capped))] : [];
    if (state.ask.kind && !kinds.some((kind) => kind.key === state.ask.kind)) chips.push(chip("", words.all, total, false));
    const focused = document.activeElement?.dataset?.kind;
    parts.kinds.replaceChildren(...chips);
    if (focused !== undefined) chips.find((one) => one.dataset.kind === focused)?.focus();
  };
  const chip = (kind, label, count, capped) => {
    const on = state.ask.kind === kind;
    const button = make("button", "lc-chip" + (on ? " lc-acc" : ""), label);
    button.type = "button";
    button.dataset.kind = kind;
    button.setAttribute("aria-pressed", String(on));
    button.append(make("b", "", count + (capped ? "+" : "")));
    button.addEventListener("click", () => {
      state.ask.kind = kind;
      state.chosen = null;
      look();
    });
    return button;
  };
  const head = (row) => {
    const kind = state.answer.kinds.find((one) => one.key === row.group);
    const box = make("div", "lc-find-head");
    box.append(make("span", "grow", row.label));
    const shown = state.answer.rows.filter((one) => one.group === row.group).length;
    if (kind && kind.count > shown) {
      const all = make("button", "lc-link", words.showAll.replace("{count}", kind.count + (kind.capped ? "+" : "")));
      all.type = "button";
      all.addEventListener("click", () => ((state.ask.kind = row.group), look(), parts.input.focus()));
      box.append(all);
    }
    return box;
  };
  const line = (row, number) => {
    const box = make("div", "lc-find-hit");
    box.id = "lc-hit-" + number;
    box.dataset.entity = row.entity;
    box.setAttribute("role", "option");
    box.append(marked(make("div", "lc-find-title lc-cut"), row.title));
    if (row.second.join("")) box.append(marked(make("div", "lc-find-second lc-cut"), row.second));
    for (const match of row.matches) {
      const found = make("div", "lc-find-match");
      found.append(make("span", "lc-muted", match.label + words.colon));
      box.append(marked(found, match.text));
    }
    box.addEventListener("click", () => (choose(number, true), document.body.classList.add("lc-detail-open")));
    box.addEventListener("dblclick", open);
    return box;
  };
  const hidden = (row) => {
    const box = make("div", "lc-find-hidden");
    box.dataset.masked = "";
    box.append(icon("lock"));
    const text = make("div");
    text.append(make("div", "", row.whose ? words.existsWith.replace("{whose}", row.whose) : words.exists), make("small", "lc-muted", words.alikeBy.replace("{field}", row.reason)));
    box.append(text);
    return box;
  };
  const welcome = () => {
    const box = make("div", "lc-find-welcome");
    if (state.recent.length) {
      const title = make("div", "lc-find-head");
      const forget = make("button", "lc-link", words.forget);
      forget.type = "button";
      forget.addEventListener("click", async () => {
        try {
          state.recent = (await lc.fetch("/api/centre/recent", { text: "" })).recent;
          draw();
        } catch (error) {
          problem(error.message || words.offline);
        }
        parts.input.focus();
      });
      title.append(make("span", "grow", words.recent), forget);
      box.append(title);
      for (const text of state.recent) {
        const again = make("button", "lc-find-again");
        again.type = "button";
        again.append(icon("history"), make("span", "lc-cut", text));
        again.addEventListener("click", () => ((parts.input.value = state.ask.q = text), parts.input.focus(), look()));
        box.append(again);
      }
    }
    const help = make("ul", "lc-find-help lc-muted");
    for (const text of words.help) help.append(make("li", "", text));
    box.append(help);
    parts.list.append(box);
  };

  // choosing and opening ------------------------------------------------------------------------------------------------------
  const choose = (number, focus) => {
    const rows = state.answer?.rows || [];
    state.at = rows.length ? Math.max(0, Math.min(number, rows.length - 1)) : -1;
    for (const old of parts.list.querySelectorAll(".lc-on")) old.classList.remove("lc-on"), old.removeAttribute("aria-selected");
    const row = rows[state.at];
    state.chosen = row ? key(row) : null;
    const box = row && parts.list.querySelector("#lc-hit-" + state.at);
    if (!box) {
      parts.input.removeAttribute("aria-activedescendant");
      parts.look.replaceChildren(make("div", "lc-empty lc-muted", words.choose));
      return;
    }
    box.classList.add("lc-on");
    box.setAttribute("aria-selected", "true");
    parts.input.setAttribute("aria-activedescendant", box.id);
    box.scrollIntoView({ block: "nearest" });
    if (focus) parts.input.focus({ preventScroll: true });
    clearTimeout(previewTimer);
    previewTimer = setTimeout(() => preview(row), state.looks.has(key(row)) ? 0 : 60);
  };
  const preview = async (row) => {
    const name = key(row);
    let seen = state.looks.get(name);
    if (!seen) {
      try {
        seen = await lc.fetch("/api/centre/preview?" + new URLSearchParams({ entity: row.entity, id: row.id, q: state.ask.q }));
      } catch (error) {
        seen = { problem: error.message || words.offline };
      }
      state.looks.set(name, seen);
    }
    if (state.chosen !== name) return;
    parts.look.replaceChildren(...(seen.problem ? [back(), make("div", "lc-empty", seen.problem)] : sheet(row, seen)));
    parts.look.scrollTop = 0;
  };
  const back = () => {
    const button = make("button", "lc-find-back lc-phone-only");
    button.type = "button";
    button.setAttribute("aria-label", words.back);
    button.append(icon("arrow_back"));
    button.addEventListener("click", () => document.body.classList.remove("lc-detail-open"));
    return button;
  };
  const sheet = (row, seen) => {
    const top = make("div", "lc-find-look-head");
    const title = make("div", "grow");
    title.append(make("div", "lc-muted lc-small-text", seen.label), marked(make("div", "lc-find-look-title"), seen.title));
    top.append(back(), title);
    if (seen.path) {
      const link = make("a", "lc-find-open", words.open);
      link.href = seen.path;
      link.append(make("kbd", "lc-kbd", "Enter"));
      link.addEventListener("click", remember);
      top.append(link);
    }
    const facts = make("div", "lc-find-facts");
    for (const fact of seen.facts) {
      const box = make("div", fact.whole ? "lc-fact lc-whole" : "lc-fact");
      const value = marked(make("div", fact.tone ? "lc-chip" : ""), fact.text);
      if (fact.tone) value.dataset.tone = fact.tone;
      if (fact.tip) value.title = fact.tip;
      box.append(make("span", "lc-label", fact.label), value);
      facts.append(box);
    }
    const sheets = [top, facts];
    if (seen.files.length) sheets.push(section(words.files, seen.files.length, seen.files.map(file)));
    for (const below of seen.below) sheets.push(section(below.label, below.count, below.rows.map(under)));
    return sheets;
  };
  const section = (label, count, rows) => {
    const box = make("section", "lc-find-part");
    const title = make("div", "lc-find-head");
    title.append(make("span", "", label), make("span", "lc-count", String(count)));
    box.append(title, ...rows);
    return box;
  };
  const file = (one) => {
    const link = make("a", "lc-find-under");
    link.href = one.path;
    if (one.shown === "picture") link.dataset.picture = "";
    else if (one.shown === "paper") Object.assign(link, { target: "_blank", rel: "noopener" });
    else link.setAttribute("download", "");
    link.append(marked(make("span", "lc-cut"), one.name), make("small", "lc-muted", one.size));
    return link;
  };
  const under = (one) => {
    const link = make(one.path ? "a" : "div", "lc-find-under");
    if (one.path) link.href = one.path;
    link.append(marked(make("span", "lc-cut"), one.title), marked(make("small", "lc-muted lc-cut"), one.second));
    return link;
  };
  const remember = () => {
    const text = state.ask.q.trim();
    if (text)
      fetch("/api/centre/recent", {
        method: "POST", keepalive: true, headers: { "X-Localcrm": "1", "Content-Type": "application/json" }, body: JSON.stringify({ text }),
      }).catch(() => {});
  };
  const open = () => {
    const row = state.answer?.rows[state.at];
    if (!row?.path) return;
    remember();
    location.assign(row.path);
  };
  const press = (event) => {
    if (event.isComposing || event.target.tagName === "SELECT") return;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) {
      choose(state.at + step, true);
    } else if (event.key === "Enter" && event.target === parts.input) {
      if (state.pending) state.jump = true;
      else open();
    } else if (event.key === "Escape") {
      if (document.body.classList.contains("lc-detail-open")) document.body.classList.remove("lc-detail-open");
      else if (state.ask.q) (parts.input.value = state.ask.q = ""), look(), parts.input.focus();
      else if (history.length > 1) history.back();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
})();
