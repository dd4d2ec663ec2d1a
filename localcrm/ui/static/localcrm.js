"use strict";
// What the browser does by itself: the palette, keys, lists over HTTP, splitters. Texts arrive from the server as data and are
// written as text, never as markup.
(() => {
  const texts = window.localcrmTexts || {};
  const lc = (window.localcrm = {});

  lc.fetch = async (path, body) => {
    const options = { headers: { "X-Localcrm": "1" } };
    if (body !== undefined) {
      options.method = "POST";
      options.body = JSON.stringify(body);
      options.headers["Content-Type"] = "application/json";
    }
    const response = await fetch(path, options);
    if (response.status === 401) {
      lc.mayLeave = true;
      location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
    }
    const answer = await response.json();
    if (response.status === 423) lc.lock();
    if (!response.ok) throw Object.assign(new Error(answer.message || response.statusText), answer);
    return answer;
  };

  lc.signOut = () => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/logout";
    document.body.append(form);
    lc.mayLeave = true;
    form.submit();
  };

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined && text !== null) element.textContent = text;
    return element;
  };
  lc.make = make;

  // What is told before the program listens waits and keeps its order. The framework lets each such message look for itself, again and again,
  // whether it can go: a key pressed after a row was chosen could arrive before it, and do nothing.
  let listens = false;
  const untold = [];
  Object.defineProperty(window, "did_handshake", {
    get: () => listens,
    set: (value) => {
      listens = value;
      while (listens && untold.length) untold.shift()();
    },
  });
  const inOrder = (tell) => (listens ? tell() : untold.push(tell));

  // What arrives while a button is held down waits until it is let go: what is under the pointer would be drawn anew and be another one then,
  // and the click be lost. Not for long, since who drags something wants to see what happens.
  const LONGEST_PRESS = 500;
  let held = null;
  let letGo, longest, letting;
  const release = () => {
    clearTimeout(longest);
    held = null;
    letGo?.();
  };
  const released = (event) => {
    letting = setTimeout(release, event.pointerType === "mouse" ? 0 : 50); // the click comes first, after a touch a little later
  };
  window.addEventListener("pointerdown", () => {
    clearTimeout(letting); // a second tap, before the first one was let go
    held ??= new Promise((done) => (letGo = done));
    clearTimeout(longest);
    longest = setTimeout(release, LONGEST_PRESS);
  }, true);
  for (const kind of ["pointerup", "pointercancel"]) window.addEventListener(kind, released, true);
  let socket;
  Object.defineProperty(window, "socket", {
    get: () => socket,
    set: (value) => {
      const on = value.on.bind(value);
      value.on = (kind, hear) => on(kind, async (...args) => {
        if (held) await held;
        return hear(...args);
      });
      socket = value;
    },
  });

  // An open menu, or list to choose from, would go with what is drawn anew: the program is told, and the page hears of changes when it is closed.
  let menu = false;
  const noteMenu = (open) => {
    if (open === menu) return;
    menu = open;
    inOrder(() => emitEvent("menu", open));
  };
  const lookForMenu = () => noteMenu(document.querySelector("body > [id^='q-portal--menu']") !== null);
  document.addEventListener("DOMContentLoaded", () => new MutationObserver(lookForMenu).observe(document.body, { childList: true }));
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".q-menu")) return;
    noteMenu(false); // what was chosen shall be seen at once, not when the menu has faded away
    setTimeout(lookForMenu, 500);
  }, true);

  // unsaved changes -----------------------------------------------------------------------------------------------
  const dirty = new Set();
  lc.setDirty = (name, on) => (on ? dirty.add(name) : dirty.delete(name));
  lc.isDirty = () => dirty.size > 0;
  window.addEventListener("beforeunload", (event) => {
    if (dirty.size && !lc.mayLeave) {
      event.preventDefault();
      event.returnValue = texts.leave;
    }
  });

  // To dial or to write: the browser takes such a link for leaving the page and closes what the page listens on, so a frame of its own follows it.
  const follow = (path) => {
    const frame = make("iframe", "");
    frame.hidden = true;
    frame.src = path;
    document.body.append(frame);
    setTimeout(() => frame.remove(), 2000);
  };
  lc.follow = follow;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="tel:"], a[href^="mailto:"], a[href^="geo:"]');
    if (!link) return;
    event.preventDefault();
    follow(link.href);
  });

  // the lock ------------------------------------------------------------------------------------------------------
  // Everything the page shows is taken out of it and put back as it was: nothing can be read meanwhile, and what was typed is kept.
  let lock = null;
  lc.lock = () => {
    if (lock) return;
    lock = { kept: [...document.body.childNodes], title: document.title, focus: document.activeElement };
    document.title = texts.locked;
    lock.box = lockCard();
    document.body.replaceChildren(lock.box);
    lock.watch = new MutationObserver(() => {
      for (const late of [...document.body.childNodes]) if (late !== lock.box) lock.kept.push(late), late.remove();
    });
    lock.watch.observe(document.body, { childList: true });
    lock.box.querySelector("input").focus();
  };
  lc.unlock = () => {
    if (!lock) return;
    const { kept, title, focus, watch } = lock;
    watch.disconnect();
    lock = null;
    reported = Date.now();
    document.body.replaceChildren(...kept);
    document.title = title;
    focus?.focus?.();
    window.dispatchEvent(new Event("resize"));
  };
  lc.lockNow = () => lc.fetch("/api/session/lock", {}).catch(() => {});
  const lockCard = () => {
    const box = make("main", "lc-plain lc-lock");
    const card = make("div", "lc-plain-card");
    const form = make("form");
    const problem = make("p", "lc-problem");
    const user = make("input");
    const password = make("input");
    const other = make("button", "lc-link", texts.other);
    Object.assign(user, { type: "text", autocomplete: "username", value: texts.user, hidden: true, readOnly: true });
    Object.assign(password, { type: "password", id: "lc-unlock", autocomplete: "current-password", required: true });
    const label = make("label", "", texts.password);
    label.htmlFor = password.id;
    problem.setAttribute("role", "alert");
    problem.hidden = true;
    other.type = "button";
    other.addEventListener("click", lc.signOut);
    form.append(user, label, password, problem, make("button", "lc-primary", texts.unlock));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const body = new URLSearchParams({ password: password.value });
      let answer = { message: texts.offline };
      try {
        const response = await fetch("/api/session/unlock", { method: "POST", headers: { "X-Localcrm": "1" }, body });
        if (response.ok) return lc.unlock();
        if (response.status === 401) return location.assign("/login");
        answer = await response.json();
      } catch {}
      problem.textContent = answer.message;
      problem.hidden = false;
      password.select();
    });
    card.append(make("h1", "", texts.locked), make("p", "", texts.user), make("p", "lc-muted", texts.kept), form, other);
    box.append(card);
    return box;
  };
  // Keys of the page behind it do nothing.
  window.addEventListener("keydown", (event) => lock && event.stopPropagation(), true);

  // That somebody is there is told now and then; the server decides when nobody is.
  let reported = 0;
  const used = () => {
    if (lock || Date.now() - reported < 20000) return;
    reported = Date.now();
    lc.fetch("/api/session/used", {}).catch(() => {});
  };
  for (const name of ["pointerdown", "keydown", "wheel", "touchstart"]) window.addEventListener(name, used, { capture: true, passive: true });
  used();
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden) return;
    const state = await lc.fetch("/api/session/state").catch(() => null);
    if (state) state.locked ? lc.lock() : lc.unlock();
  });

  // palette -------------------------------------------------------------------------------------------------------
  const palette = (lc.palette = { box: null, items: [], at: 0, asked: 0 });
  palette.open = (text = "") => {
    if (!palette.box) build();
    palette.box.hidden = false;
    palette.input.value = text;
    palette.input.focus();
    look();
  };
  palette.close = () => {
    if (palette.box) palette.box.hidden = true;
  };
  const build = () => {
    palette.box = make("div", "lc-palette");
    const box = make("div", "lc-palette-box");
    box.setAttribute("role", "dialog");
    palette.input = make("input");
    palette.input.placeholder = texts.search;
    palette.input.setAttribute("aria-label", texts.search);
    palette.list = make("div", "lc-palette-list");
    box.append(palette.input, palette.list);
    palette.box.append(box);
    document.body.append(palette.box);
    palette.box.addEventListener("mousedown", (event) => event.target === palette.box && palette.close());
    let timer;
    palette.input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(look, 120);
    });
    palette.input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        palette.at = (palette.at + step + palette.items.length) % Math.max(palette.items.length, 1);
        mark();
      } else if (event.key === "Enter") {
        palette.items[palette.at]?.go();
      } else if (event.key === "Escape") {
        palette.close();
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    });
  };
  const look = async () => {
    const turn = ++palette.asked;
    let found;
    try {
      found = await lc.fetch("/api/search?q=" + encodeURIComponent(palette.input.value.trim()));
    } catch {
      return;
    }
    if (turn !== palette.asked) return;
    palette.items = [];
    palette.list.replaceChildren();
    const add = (title, second, path) => {
      const row = make("div", "lc-pick");
      row.append(make("span", "", title), make("small", "", second));
      const index = palette.items.length;
      const go = () => location.assign(path);
      row.addEventListener("mousemove", () => palette.at !== index && ((palette.at = index), mark()));
      row.addEventListener("click", go);
      palette.items.push({ row, go });
      palette.list.append(row);
    };
    let label = "";
    for (const hit of found.rows) {
      if (hit.label !== label) palette.list.append(make("div", "lc-palette-head", (label = hit.label)));
      add(hit.title, hit.match, hit.path);
    }
    if (found.screens.length) palette.list.append(make("div", "lc-palette-head", texts.screens));
    for (const screen of found.screens) add(screen.title, "", screen.path);
    if (found.settings.length) palette.list.append(make("div", "lc-palette-head", texts.settings));
    for (const setting of found.settings) add(setting.title, setting.second, setting.path);
    if (!palette.items.length) palette.list.append(make("div", "lc-empty", texts.nothing));
    const text = palette.input.value.trim();
    if (text) {
      palette.list.append(make("div", "lc-palette-head", texts.searchCentre));
      add(texts.allResults.replace("{text}", text), "", "/search?q=" + encodeURIComponent(text));
    }
    palette.at = 0;
    mark();
  };
  const mark = () =>
    palette.items.forEach((item, index) => {
      item.row.classList.toggle("lc-on", index === palette.at);
      if (index === palette.at) item.row.scrollIntoView({ block: "nearest" });
    });

  // keys ------------------------------------------------------------------------------------------------------------
  // data-key="n" on a button makes that key press it; Ctrl+Enter presses data-commit of the topmost form, "/" goes to data-find.
  // A user may press other keys: localcrmKeys says for what standard key each stands.
  // Full-width signs of a Chinese keyboard are the plain ones.
  lc.standardKey = (pressed) => {
    const key = pressed.normalize("NFKC").toLowerCase();
    return (window.localcrmKeys || {})[key] ?? key;
  };
  const typing = (target) => target.closest("input, textarea, select, [contenteditable=true]");
  const visible = (element) => element && element.offsetParent !== null && !element.disabled;
  const last = (selector) => [...document.querySelectorAll(selector)].filter(visible).pop();
  lc.inDialog = () => [...document.querySelectorAll(".q-dialog__inner")].some(visible);
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    const control = event.ctrlKey || event.metaKey;
    let target = null;
    if (control && event.key.toLowerCase() === "k") return event.preventDefault(), palette.open();
    // Ctrl+Z presses the newest "Undo" that is still shown; in a text field it is the field's own.
    if (control && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z" && !typing(event.target) && !lc.inDialog()) target = last("[data-undo]");
    if (!control && !event.altKey && !typing(event.target) && !lc.inDialog() && palette.box?.hidden !== false) {
      const key = lc.standardKey(event.key);
      if (key === "/") {
        const find = last("[data-find] input, input[data-find]");
        if (find) return event.preventDefault(), find.focus(), find.select();
      }
      if (event.key === "Enter" && event.target !== document.body) return; // buttons and rows know what to do themselves
      if (key) target = last(`[data-key="${CSS.escape(key)}"]`);
    }
    if (target) {
      event.preventDefault();
      if (event.repeat && !/^(Arrow|Page)/.test(event.key)) return; // a key held too long is pressed once; only walking goes on
      document.activeElement?.blur(); // hands over what was just typed
      setTimeout(() => inOrder(() => target.click()), 0);
    }
  });

  // Before the widgets hear of it: a checkbox takes every Enter for itself.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    const target = last("[data-commit]");
    if (!target) return;
    event.preventDefault();
    event.stopPropagation();
    document.activeElement?.blur(); // hands over what was just typed
    setTimeout(() => target.click(), 0);
  }, true);

  // Enter goes on to the next field of a form.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing || event.defaultPrevented) return;
    const form = event.target.closest(".lc-form");
    if (!form || event.target.tagName !== "INPUT") return;
    const inputs = [...form.querySelectorAll("input, textarea")].filter((input) => visible(input) && !input.readOnly);
    const next = inputs[inputs.indexOf(event.target) + 1];
    event.preventDefault();
    if (next) next.focus(), next.select?.();
    else last("[data-commit]")?.focus();
  });

  // What is drawn anew keeps the cursor where it was: by the nearest data-option and the place in it.
  let cursor = null;
  const stops = (box) => [...box.querySelectorAll("button, input, [tabindex='0']")];
  document.addEventListener("focusin", (event) => {
    const box = event.target.closest("[data-option]");
    cursor = box ? { option: box.dataset.option, place: stops(box).indexOf(event.target) } : null;
  });
  lc.refocus = () =>
    setTimeout(() => {
      const box = cursor && document.activeElement === document.body && document.querySelector(`[data-option="${CSS.escape(cursor.option)}"]`);
      if (box) stops(box)[cursor.place]?.focus({ preventScroll: true });
    }, 50);

  // lists -------------------------------------------------------------------------------------------------------------
  // One object per grid, by the grid's element id; Python sets its query, the grid asks for blocks, cards show the same rows.
  lc.grids = {};
  const early = {};
  const Grid = class {
    constructor(name, config) {
      Object.assign(this, { name, config, query: config.query || {}, cursors: {}, api: null, current: config.wish || null, wish: null, aim: null });
    }
    body(start, end, sorted, filterModel) {
      const sortModel = sorted.map(({ colId, sort }) => ({ colId, sort }));
      return { startRow: start, endRow: end, sortModel, filterModel, cursor: this.cursors[start] || null, ...this.query };
    }
    ask(body) {
      const ahead = early[this.name];
      delete early[this.name];
      return ahead?.asked === JSON.stringify(body) ? ahead.answer : lc.fetch("/api/list/" + this.config.entity, body);
    }
    ready(api) {
      this.api = api;
      this.arrange(this.config.state);
      api.setGridOption("datasource", this.source());
      let timer;
      const keep = () => {
        clearTimeout(timer);
        if (this.lent) return;
        timer = setTimeout(() => this.emit("state", JSON.stringify(api.getColumnState())), 600);
      };
      for (const event of ["columnMoved", "columnResized", "columnVisible", "sortChanged"]) {
        api.addEventListener(event, (e) => (e.source || "").match(/^(ui|api$|contextMenu|toolPanel)/) && e.finished !== false && keep());
      }
      api.addEventListener("rowSelected", (event) => event.node.isSelected() && this.choose(event.data, true));
      api.addEventListener("cellFocused", (event) => {
        const node = event.rowIndex === null ? null : api.getDisplayedRowAtIndex(event.rowIndex);
        if (node?.data && !node.isSelected()) node.setSelected(true, true);
      });
      api.addEventListener("rowDoubleClicked", (event) => event.data && this.emit("open", event.data.id));
      api.addEventListener("cellContextMenu", (event) => event.node?.setSelected(true, true));
      api.addEventListener("cellKeyDown", (event) => {
        if (event.event.key === "Enter" && event.data) this.emit("open", event.data.id);
      });
    }
    source() {
      return {
        getRows: async (params) => {
          const wish = this.wish;
          try {
            const answer = await this.ask(this.body(params.startRow, params.endRow, params.sortModel, params.filterModel));
            this.cursors[params.endRow] = answer.cursor;
            params.successCallback(answer.rows, answer.lastRow);
            this.show(answer, params.startRow, wish);
          } catch (error) {
            params.failCallback();
            this.emit("failed", error.message || texts.offline);
          }
        },
      };
    }
    show(answer, start, wish) {
      const host = this.host();
      if (!host) return;
      host.classList.toggle("lc-no-rows", answer.total === 0);
      const { search, tree, where, filterModel } = this.asked();
      host.classList.toggle("lc-narrowed", Boolean(search || tree || where?.length || Object.keys(filterModel || {}).length));
      this.emit("total", answer.capped ? -1 : answer.total);
      // One asked for before the newest wish may lack it; then the next one tells.
      const tells = !this.wish || wish === this.wish || answer.rows.some((row) => row.id === this.wish);
      if (start === 0 && tells) this.settle(answer.rows);
      this.cards(answer, start);
    }
    settle(rows) {
      this.aim = [this.wish, this.aim, this.current].find((id) => id && rows.some((row) => row.id === id)) || null;
      this.wish = null;
      if (!this.aim && rows.length && this.config.pickFirst) this.aim = rows[0].id;
      if (this.aim) setTimeout(() => this.aim && this.select(this.aim), 0); // the grid draws its rows first
      else if (!rows.length && !this.config.wish) this.choose(null, true);
    }
    // A card that stands stays where it is, filled anew: a press that began on one that is taken away would be lost.
    cards(answer, start) {
      const list = this.host()?.querySelector(".lc-cards");
      if (!list || getComputedStyle(list).display === "none") return;
      list.querySelector(".lc-more")?.remove();
      const standing = new Map([...list.children].map((card) => [card.dataset.id, card]));
      if (start === 0) {
        const ids = new Set(answer.rows.map((row) => row.id));
        standing.forEach((card, id) => ids.has(id) || card.remove());
      }
      let place = start === 0 ? list.firstChild : null;
      for (const row of answer.rows) {
        const card = standing.get(row.id) || this.card(row.id);
        if (card === place) place = place.nextSibling;
        else list.insertBefore(card, place);
        this.fill(card, row);
      }
      if (answer.cursor) {
        const more = make("button", "lc-more lc-chip", texts.more || "…");
        more.style.margin = "10px auto";
        more.addEventListener("click", async () => {
          const from = start + answer.rows.length;
          this.cursors[from] = answer.cursor;
          const next = await this.ask(this.body(from, from + this.config.block, [], {}));
          this.cards(next, from);
        });
        list.append(more);
      }
    }
    card(id) {
      const card = make("div", "lc-card-row");
      card.dataset.id = id;
      card.tabIndex = 0;
      card.addEventListener("click", () => {
        document.body.classList.add("lc-detail-open");
        this.choose({ id }, false);
      });
      card.addEventListener("keydown", (event) => event.key === "Enter" && card.click());
      return card;
    }
    fill(card, row) {
      const says = JSON.stringify(row);
      if (card.says === says) return;
      card.says = says;
      const [chip, number, second, day] = this.config.card;
      const flag = this.config.flag; // of a yes and no, only what is so is said
      const title = row._title || row[second] || "—";
      const right = make("span", "");
      if (chip && row[chip] && (!flag || row[chip] === this.config.yes)) {
        right.className = "lc-chip";
        right.dataset.tone = row._tone[chip] || "";
        right.textContent = flag || row[chip];
      }
      const rest = [row[second], row[day]].filter((text) => text && text !== title).join(" · ");
      card.replaceChildren(make("b", "", title), right, make("small", "", rest), make("span", "lc-num", row[number] ?? ""));
    }
    host() {
      return document.getElementById(this.config.host);
    }
    emit(kind, value) {
      inOrder(() => emitEvent("grid-" + this.name, { kind, value }));
    }
    choose(row, quiet) {
      const id = row?.id ?? null;
      this.host()
        ?.querySelectorAll(".lc-card-row")
        .forEach((card) => card.classList.toggle("lc-on", card.dataset.id === id));
      if (id === this.aim) this.aim = null;
      if (id === this.current && quiet) return;
      this.current = id;
      this.wish = this.aim = null; // somebody was faster than the answer with what is wished
      this.emit(quiet ? "chosen" : "tapped", id);
    }
    select(id) {
      const node = this.api?.getRowNode(id);
      if (node && !node.isSelected()) node.setSelected(true, true);
      else if (node) this.choose(node.data, true);
    }
    setQuery(query, reset) {
      this.query = query;
      if (!this.api) return;
      this.cursors = {};
      if (reset) this.api.purgeInfiniteCache(), this.api.ensureIndexVisible && this.api.getDisplayedRowCount() && this.api.ensureIndexVisible(0);
      else this.api.refreshInfiniteCache();
    }
    refresh(wish) {
      this.cursors = {};
      if (wish) this.wish = wish;
      this.api?.refreshInfiniteCache();
    }
    exportAs(suffix) {
      const state = this.api.getColumnState().filter((column) => !column.hide);
      const sort = state.filter((column) => column.sort).map((column) => ({ colId: column.colId, sort: column.sort }));
      const query = JSON.stringify({ ...this.query, sortModel: sort, filterModel: this.api.getFilterModel() });
      const columns = state.map((column) => column.colId).join(",");
      lc.mayLeave = true;
      location.assign(`/api/export/${this.config.entity}.${suffix}?columns=${encodeURIComponent(columns)}&query=${encodeURIComponent(query)}`);
      setTimeout(() => (lc.mayLeave = false), 1000);
    }
    asked() {
      return { ...this.query, filterModel: this.api.getFilterModel() };
    }
    columnStates() {
      return this.api.getColumnState().map((column) => [column.colId, !column.hide]);
    }
    showColumns(shown, own) {
      this.lent = !own; // columns that come with a query do not become the user's own
      this.api.applyColumnState({ state: this.api.getColumnState().map((column) => ({ colId: column.colId, hide: !shown.includes(column.colId) })) });
    }
    setColumns(shown) {
      const state = this.api.getColumnState().map((column) => ({ colId: column.colId, hide: !shown.includes(column.colId) }));
      this.api.applyColumnState({ state });
      this.emit("state", JSON.stringify(this.api.getColumnState()));
    }
    arrange(state) {
      if (!state) return;
      try {
        this.api.applyColumnState({ state: JSON.parse(state), applyOrder: true });
      } catch {}
    }
    resetColumns() {
      this.api.resetColumnState();
      this.emit("state", "");
    }
  };
  // While the page is still being made its first rows are asked for. A list that asks the same gets that answer, unless something changed by then.
  lc.ahead = (name, config) => {
    const grid = new Grid(name, config);
    const columns = config.state ? JSON.parse(config.state) : [];
    const body = grid.body(0, config.block, columns.filter((column) => column.sort), {});
    const answer = grid.ask(body);
    answer.catch(() => {}); // the list that takes it tells
    early[name] = { asked: JSON.stringify(body), answer };
  };
  lc.gridReady = (params, name, config) => {
    const grid = (lc.grids[name] = new Grid(name, config));
    grid.ready(params.api);
  };
  lc.grid = (name, method, ...args) => {
    if (lc.grids[name]) return lc.grids[name][method](...args);
    delete early[name];
  };

  lc.tags = (tags) => {
    const box = make("span", "lc-tags");
    for (const [text, hue] of tags) {
      const tag = make("span", "lc-chip lc-tag", text);
      tag.style.setProperty("--hue", hue);
      box.append(tag);
    }
    return box;
  };
  // Numbers to dial and addresses to write to, as the server made them. The first click chooses the row like any other, the next one dials.
  lc.links = (pieces) => {
    const box = make("span", "lc-links");
    for (const [text, path] of pieces) {
      const piece = make("span", path ? "lc-dial" : "", text);
      let chosen = false;
      piece.addEventListener("mousedown", () => (chosen = !!piece.closest(".ag-row-selected")));
      if (path) piece.addEventListener("click", () => chosen && follow(path));
      box.append(piece);
    }
    return box;
  };

  // Cells: text and nothing else; a chip is a span with that text.
  lc.textCell = (params) => (params.value === null || params.value === undefined ? (params.data ? "—" : "") : String(params.value));
  lc.chipCell = (params) => {
    if (!params.data) return "";
    const key = params.column.getColId();
    const value = params.value;
    if (value === null || value === undefined || value === "") return make("span", "lc-none", "—");
    const tags = params.data._tags?.[key];
    if (tags) return lc.tags(tags);
    const links = params.data._links?.[key];
    if (links) return lc.links(links);
    const tone = params.data._tone?.[key];
    if (!tone) return make("span", "", value);
    const chip = make("span", "lc-chip", value);
    chip.dataset.tone = tone;
    return chip;
  };
  lc.tip = (params) => params.data?._tip?.[params.column.getColId()] || (params.value && String(params.value).length > 18 ? params.value : null);

  // How much waits behind a link of the navigation, and what the number means.
  lc.badge = (screen, text, words) => {
    const badge = document.querySelector(`.lc-nav [data-badge="${screen}"]`);
    if (!badge) return;
    badge.textContent = text;
    badge.title = badge.ariaLabel = words;
  };

  // The link of the open page, where it is out of sight: the navigation alone is moved.
  lc.showPlace = () => {
    const link = document.querySelector(".lc-nav-part:not(.lc-nav-foot) > .lc-on");
    if (!link) return;
    const nav = link.closest(".lc-nav");
    const [place, box] = [link.getBoundingClientRect(), nav.getBoundingClientRect()];
    const foot = nav.querySelector(".lc-nav-foot")?.offsetHeight ?? 0;
    if (place.top < box.top || place.bottom > box.bottom - foot) nav.scrollTop += place.top - box.top - box.height / 2;
  };

  // splitters -----------------------------------------------------------------------------------------------------------
  lc.splitter = (bar, pane, axis, key, measure) => {
    const sizeOf = () => (axis === "x" ? pane.offsetWidth : pane.offsetHeight);
    const set = (size) => {
      pane.style.flex = "none";
      pane.style[axis === "x" ? "width" : "height"] = size + "px";
    };
    if (measure > 0) set(measure);
    const drag = (start) => {
      bar.setPointerCapture(start.pointerId);
      bar.classList.add("lc-dragging");
      const from = axis === "x" ? start.clientX : start.clientY;
      const size = sizeOf();
      const limit = axis === "x" ? pane.parentElement.clientWidth - 320 : pane.parentElement.clientHeight - 120;
      const move = (event) => set(Math.max(axis === "x" ? 130 : 120, Math.min(limit, size + (axis === "x" ? event.clientX : event.clientY) - from)));
      const stop = () => {
        bar.classList.remove("lc-dragging");
        bar.removeEventListener("pointermove", move);
        emitEvent("splitter", { key, size: sizeOf() });
      };
      bar.addEventListener("pointermove", move);
      bar.addEventListener("pointerup", stop, { once: true });
    };
    bar.addEventListener("pointerdown", drag);
  };
})();
