"use strict";
// The order form: a grid that is filled by keyboard alone. It shows texts and sends texts; every amount comes from the server.
// Texts are written as text, never as markup. Python mounts it (order_entry.py) and answers its events (dialogs).
(() => {
  const lc = window.localcrm;
  const make = lc.make;
  // The cells of every order from left to right; the company's own stand between these and the remark.
  const CELLS = ["product", "quantity", "price", "discount", "tax_rate"];
  const ENTER_GOES = ["product", "quantity", "price", "discount"];
  const SENT = ["id", "product_id", "code", "name", "spec", "unit", "quantity", "price", "discount", "tax_rate", "remark", "below_reason", "refs"];
  // Least widths of the company's columns in pixels, by what they hold.
  const WIDTHS = { integer: 76, quantity: 84, money: 96, date: 104, datetime: 136, boolean: 70, choice: 92, ref: 92, longtext: 140 };
  const BETWEEN = /[;；、\n]+\s*/;

  class Order {
    constructor(host, sheet, words) {
      Object.assign(this, { host, words, rows: [], serial: 0, dirty: false, saving: null, focused: null });
      this.own = words.ownColumns.filter((own) => !own.fixed);
      this.fixed = words.ownColumns.filter((own) => own.fixed);
      const keys = this.own.map((own) => own.key);
      this.cells = [...CELLS, ...keys, "remark"];
      this.enterGoes = [...ENTER_GOES, ...keys];
      this.sent = [...SENT, ...keys];
      this.load(sheet);
    }

    // state -------------------------------------------------------------------------------------------------------
    load(sheet) {
      this.sheet = sheet;
      this.header = { ...sheet.header };
      this.titles = { ...sheet.titles };
      this.rows = sheet.lines.map((line) => this.row(line));
      this.setDirty(false);
      this.draw();
      const path = this.words.path + "/" + sheet.id;
      if (sheet.id && location.pathname !== path) history.replaceState(null, "", path);
    }
    row(values) {
      return { ...values, key: String(++this.serial), refs: { ...values.refs } };
    }
    preset(values) {
      // What a new line starts with where nothing was given.
      const row = { ...values, refs: { ...values.refs } };
      for (const own of this.own) {
        if (own.key in row) continue;
        row[own.key] = own.preset;
        if (own.preset_id) row.refs[own.key] = own.preset_id;
      }
      return row;
    }
    blank(row) {
      const typed = ["code", "name", "quantity", "price", "discount", "remark"].some((key) => (row[key] || "").trim());
      return !row.product_id && !typed && !this.own.some((own) => (row[own.key] || "").trim() !== own.preset);
    }
    filled() {
      return this.rows.filter((row) => !this.blank(row));
    }
    body() {
      const lines = this.filled().map((row) => ({ key: row.key, ...Object.fromEntries(this.sent.map((key) => [key, row[key] ?? null])) }));
      return { paper: this.words.paper, id: this.sheet.id, version: this.sheet.version, header: this.header, titles: this.titles, tax_included: this.header.tax_included, lines };
    }
    context() {
      return { paper: this.words.paper, customer_id: this.header.customer_id, warehouse_id: this.header.warehouse_id };
    }
    emit(kind, value) {
      emitEvent("order", { kind, value: value ?? null, id: this.sheet.id });
    }
    ask(name, body) {
      return lc.fetch("/api/order/" + name, body);
    }
    setDirty(on) {
      this.dirty = on;
      lc.setDirty("order", on);
    }

    // everything that changed by hand comes through here ------------------------------------------------------------
    changed(later = 1200) {
      if (!this.sheet.editable) return;
      this.turn = (this.turn || 0) + 1;
      this.setDirty(true);
      this.say(this.words.unsaved, "");
      clearTimeout(this.counting);
      this.counting = setTimeout(() => this.count(), 120);
      clearTimeout(this.keeping);
      this.keeping = setTimeout(() => this.save().catch(() => {}), later);
    }
    async count() {
      const turn = this.turn;
      let answer;
      try {
        answer = await this.ask("preview", this.body());
      } catch (error) {
        return this.problem(error.message || this.words.offline);
      }
      if (turn !== this.turn) return;
      for (const row of this.rows) {
        const found = answer.lines[row.key];
        row.fault = found?.fault || null;
        for (const key of ["net", "tax", "gross"]) row[key] = found?.[key] || "";
        if (found && !found.fault) Object.assign(row, { tidy: found, below_reason: found.below_reason || "" });
        this.showRow(row);
      }
      this.sheet.totals = answer.totals;
      this.drawTotals();
    }

    // saving --------------------------------------------------------------------------------------------------------
    async save(act = "") {
      clearTimeout(this.keeping);
      while (this.saving) await this.saving.catch(() => {});
      if (!act && (!this.dirty || (!this.sheet.id && !this.filled().length && !this.header.customer_id))) return;
      this.saving = this.send(act);
      try {
        await this.saving;
      } finally {
        this.saving = null;
      }
    }
    async send(act) {
      const turn = this.turn;
      this.say(this.words.saving, "");
      let saved;
      try {
        saved = await this.ask("save", { ...this.body(), post: act === "post", submit: act === "submit" });
      } catch (error) {
        if (error.saved) await this.load(await this.ask("sheet", { paper: this.words.paper, id: error.saved }));
        this.say(error.saved ? this.words.saved : this.words.notSaved, error.saved ? "" : "bad");
        if (error.stale) this.compare();
        else this.problem(error.message || this.words.offline, error.field, error.row);
        throw error;
      }
      this.problem("");
      if (act) {
        this.load(saved);
        for (const text of saved.warnings || []) this.notice(text, "lc-warn");
        this.emit(act === "post" ? "posted" : "submitted", act === "post" ? saved.number : saved.asked);
        return;
      }
      this.take(saved, turn);
    }
    take(saved, turn) {
      // Only what the server gave: ids and the version. What is being typed stays as it is.
      const { id, version, number, open, progress, totals, submit } = saved;
      const isNew = !this.sheet.id;
      Object.assign(this.sheet, { id, version, number, open, progress, submit });
      this.drawCommit();
      if (turn === this.turn) this.sheet.totals = totals;
      const lines = new Map(saved.lines.map((line) => [line.id, line]));
      for (const row of this.rows) {
        if (!saved.ids || !(row.key in saved.ids)) continue;
        row.id = saved.ids[row.key];
        for (const own of this.fixed) row[own.key] = lines.get(row.id)?.[own.key] || "";
        if (this.fixed.length) this.showRow(row);
      }
      for (const input of this.host.querySelectorAll("[data-typed]")) {
        if (input === document.activeElement || turn !== this.turn) continue;
        input.value = this.header[input.dataset.typed] = saved.header[input.dataset.typed] || "";
      }
      if (isNew) {
        history.replaceState(null, "", this.words.path + "/" + id);
        this.emit("saved");
      }
      if (JSON.stringify(this.sheet.deeds) !== JSON.stringify(saved.deeds)) (this.sheet.deeds = saved.deeds), this.drawDeeds();
      if (turn === this.turn) this.setDirty(false), this.drawTotals();
      const now = new Date();
      this.words.saved = this.words.savedAt.replace("{time}", `${String(now.getHours()).padStart(2, "0")}:${String(now.getMinutes()).padStart(2, "0")}`);
      this.say(this.dirty ? this.words.unsaved : this.words.saved, "");
    }
    async finish(act) {
      document.activeElement?.blur();
      try {
        await this.save(act);
      } catch {}
    }
    async reload(remote) {
      if (!this.sheet.id) return;
      if (remote && (this.dirty || this.saving)) return; // the save will tell
      const fresh = await this.ask("sheet", { paper: this.words.paper, id: this.sheet.id }).catch(() => null);
      if (!fresh) return; // not to be seen any more
      const shown = (rows) => JSON.stringify(rows.map((row) => this.sent.slice(1).map((key) => row[key] || "")));
      const state = (sheet) => [sheet.version, sheet.editable, sheet.open, !sheet.reversed_by, !sheet.submit, sheet.state.key, JSON.stringify(sheet.progress)].join();
      const same = state(fresh) === state(this.sheet) && shown(fresh.lines) === shown(this.filled());
      if (remote && (this.dirty || this.saving || same)) return;
      const place = this.place();
      this.load(fresh);
      this.restore(place);
    }
    place() {
      return this.focused && { index: this.rows.indexOf(this.focused.row), cell: this.focused.cell };
    }
    restore(place) {
      if (place && this.sheet.editable) this.focus(this.rows[Math.min(place.index, this.rows.length - 1)], place.cell);
    }
    async compare() {
      const found = await this.ask("compare", this.body());
      const box = make("div", "oe-veil");
      const card = make("div", "oe-compare lc-card");
      card.setAttribute("role", "dialog");
      card.append(make("div", "lc-dialog-title", this.words.staleTitle), make("div", "lc-muted", this.words.staleDetail));
      const table = make("table", "lc-table");
      const head = make("tr");
      for (const word of ["", this.words.yours, this.words.theirs]) head.append(make("th", "", word));
      table.append(head);
      for (const row of found.rows) {
        const line = make("tr");
        line.append(make("td", "lc-label", row.label), make("td", "", row.yours), make("td", "", row.theirs));
        table.append(line);
      }
      const scroll = make("div", "lc-scroll");
      scroll.append(table);
      const close = () => box.remove();
      const buttons = make("div", "lc-dialog-buttons");
      buttons.append(
        this.button(this.words.goOn, "", close),
        this.button(this.words.takeTheirs, "", () => (close(), this.load(found.sheet))),
        this.button(this.words.keepMine, "primary", () => {
          close();
          this.sheet.version = found.sheet.version;
          this.changed(0);
        }),
      );
      card.append(scroll, buttons);
      box.append(card);
      this.host.append(box);
      buttons.lastChild.focus();
    }

    // drawing -------------------------------------------------------------------------------------------------------
    draw() {
      const edit = this.sheet.editable;
      this.host.replaceChildren();
      this.host.classList.toggle("oe-read", !edit);
      this.notices = make("div", "lc-notices");
      this.host.append(this.drawHead(), this.notices, this.drawHeader());
      this.chips = make("div", "oe-chips");
      const work = make("div", "oe-work");
      work.append(this.drawGrid(), this.drawSide());
      this.host.append(this.chips, work);
      if (this.sheet.foreign) this.notice(this.words.foreign.replace("{branch}", this.sheet.foreign), "lc-info");
      if (this.sheet.deleted) this.notice(this.words.deleted, "lc-info");
      this.drawAccount();
      if (edit) {
        if (!this.rows.length) this.insert(0, false);
        if (this.filled().length) this.count();
        if (!this.header.customer_id) this.customerInput?.focus();
        else this.focus(this.rows.find((row) => this.blank(row)) || this.rows[this.rows.length - 1], "product");
      }
    }
    drawHead() {
      const head = make("div", "lc-head");
      const title = make("div", "lc-title", this.sheet.number || (this.sheet.id ? this.words.title : this.words.newTitle));
      title.setAttribute("role", "heading");
      head.append(title);
      const chip = make("span", "lc-chip", this.sheet.state.label);
      chip.dataset.tone = this.sheet.state.tone;
      head.append(chip);
      for (const { label, tone } of this.sheet.progress || []) {
        const state = make("span", "lc-chip", label);
        state.dataset.tone = tone;
        head.append(state);
      }
      for (const key of ["reverses", "reversed_by"]) {
        if (!this.sheet[key]) continue;
        const link = make("a", "lc-chip", `${this.words[key]} ${this.sheet[key].number}`);
        link.href = "/orders/" + this.sheet[key].id;
        head.append(link);
      }
      if (this.sheet.ordered) {
        const link = make("a", "lc-chip", `${this.words.ordered} ${this.sheet.ordered.number}`);
        link.href = "/orders/" + this.sheet.ordered.id;
        head.append(link);
      }
      this.status = make("span", "oe-status lc-muted");
      this.status.setAttribute("role", "status");
      head.append(this.status, make("div", "grow"));
      const tools = make("div", "lc-row oe-tools");
      if (this.sheet.editable) {
        if (this.sheet.id) tools.append(this.button(this.words.delete, "danger", () => this.emit("delete")));
        tools.append(this.button(this.words.save, "", () => this.save().catch(() => {}), "Ctrl S"));
        tools.append((this.commit = make("span")));
        this.drawCommit();
      } else if (this.sheet.id && this.words.copy) {
        tools.append(this.button(this.words.copy, "", () => lc.go("/orders/new?copy=" + this.sheet.id)));
        if (this.sheet.state.key === "posted" && !this.sheet.foreign) {
          if (this.words.mayReverse) tools.append(this.button(this.words.reverse, "danger", () => this.emit("reverse")));
          if (this.words.mayReceive && this.sheet.open_plain !== "0.00") tools.append(this.button(this.words.receive, "primary", () => this.emit("receive")));
        }
      }
      tools.append((this.deeds = make("span", "lc-row oe-tools")));
      this.drawDeeds();
      head.append(tools);
      if (this.sheet.code) {
        const code = make("img", "oe-code");
        code.src = this.sheet.code;
        code.alt = this.sheet.number;
        head.append(code);
      }
      return head;
    }
    drawDeeds() {
      // What can be done with it where it stands; what was typed is saved first.
      this.deeds.replaceChildren();
      for (const deed of this.sheet.deeds || []) this.deeds.append(this.button(deed.label, deed.look, () => this.deed(deed.id)));
    }
    async deed(id) {
      document.activeElement?.blur();
      try {
        await this.save();
      } catch {
        return;
      }
      this.emit("deed", id);
    }
    drawCommit() {
      // Posting, or where somebody has to agree first, submitting.
      const act = this.sheet.submit ? "submit" : this.words.mayPost ? "post" : "";
      if (!this.commit || this.commit.dataset.act === act) return;
      this.commit.dataset.act = act;
      this.commit.replaceChildren();
      if (!act) return;
      const button = this.button(this.words[act], "primary", () => this.finish(act), "Ctrl ⏎");
      button.dataset.commit = "";
      this.commit.append(button);
    }
    button(text, kind, run, key) {
      const button = make("button", "oe-button" + (kind ? " oe-" + kind : ""), text);
      button.type = "button";
      if (key) button.append(make("kbd", "lc-kbd", key));
      button.addEventListener("click", run);
      return button;
    }
    field(key, child, wide, required = key === "customer_id") {
      const box = make("label", "lc-field" + (wide ? " oe-wide" : ""));
      box.dataset.field = key;
      box.append(make("span", "lc-label" + (required && this.sheet.editable ? " lc-required" : ""), this.words.labels[key]), child);
      return box;
    }
    drawHeader() {
      const card = make("div", "lc-card oe-header");
      for (const [key, entity] of this.words.pickers) card.append(this.picked(key, entity));
      // Typed, not chosen: the browser's own date field shows days in the order of its own language.
      for (const key of this.words.typed) card.append(this.typed(key));
      card.append(
        this.ticked("tax_included", (on) => {
          this.host.querySelector(".oe-price-head > span").textContent = on ? this.words.columns.priceWithTax : this.words.columns.price;
        }),
      );
      if (this.words.own.length) {
        const more = make("div", "oe-own");
        for (const own of this.words.own) {
          if (own.fixed) more.append(this.field(own.key, this.readOnly(this.titles[own.key] || this.header[own.key])));
          else if (own.kind === "ref") more.append(this.picked(own.key, own.entity));
          else if (own.kind === "boolean") more.append(this.ticked(own.key));
          else more.append(this.typed(own.key, own));
        }
        card.append(more);
      }
      card.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.ctrlKey || event.isComposing || event.defaultPrevented) return;
        if (event.target.tagName === "TEXTAREA") return; // a new line
        event.preventDefault();
        this.nextHeader(event.target);
      });
      return card;
    }
    picked(key, entity) {
      const first = key === "customer_id";
      if (!this.sheet.editable) return this.field(key, this.readOnly(this.titles[key], first), first);
      const input = this.input("oe-input" + (first ? " oe-strong" : ""), this.titles[key] || "");
      input.setAttribute("aria-label", this.words.labels[key]);
      new Combo(input, {
        words: this.words,
        find: async (text) => (await lc.fetch(`/api/pick/${entity}?q=${encodeURIComponent(text)}`)).rows,
        draw: (row) => [make("span", "", row.title), make("small", "", row.second)],
        create: this.words.mayCreate[entity] ? (text) => this.emit("create", { entity, text }) : null,
        all: true,
        picked: (row) => this.setHeader(key, row.id, row.title, input),
        left: () => (input.value = this.titles[key] || ""),
      });
      if (first) this.customerInput = input;
      else this[key + "Input"] = input;
      return this.field(key, input, first);
    }
    typed(key, own = {}) {
      const value = this.header[key] || "";
      if (!this.sheet.editable) return this.field(key, this.readOnly(value));
      let input;
      if (own.kind === "list") {
        input = make("select", "oe-input");
        for (const label of new Set(["", ...own.options, value])) input.append(new Option(label || "—", label));
        input.value = value;
      } else {
        input = own.kind === "note" ? this.noteInput("oe-input oe-note", value) : this.input("oe-input", value);
        input.dataset.typed = key;
        input.placeholder = own.hint || "";
      }
      input.setAttribute("aria-label", this.words.labels[key]);
      input.addEventListener("change", () => ((this.header[key] = input.value.trim() || null), this.changed()));
      return this.field(key, input, false, own.required);
    }
    ticked(key, also) {
      const box = make("input");
      box.type = "checkbox";
      box.checked = !!this.header[key];
      box.disabled = !this.sheet.editable;
      box.addEventListener("change", () => {
        this.header[key] = box.checked;
        if (also) also(box.checked);
        this.changed();
      });
      const label = make("label", "oe-check");
      label.append(box, make("span", "", this.words.labels[key]));
      return label;
    }
    readOnly(text, strong) {
      return make("div", "oe-value" + (strong ? " oe-strong" : ""), text || "—");
    }
    noteInput(className, value) {
      const input = make("textarea", className);
      input.value = value;
      input.rows = 1;
      return input;
    }
    input(className, value) {
      const input = make("input", className);
      input.value = value ?? "";
      input.autocomplete = "off";
      input.spellcheck = false;
      return input;
    }
    nextHeader(input) {
      const inputs = [...this.host.querySelectorAll(".oe-header input, .oe-header select, .oe-header textarea")];
      const next = inputs[inputs.indexOf(input) + 1];
      if (next) next.focus();
      else this.focus(this.rows[0], "product");
    }
    setHeader(key, id, title, input) {
      this.header[key] = id;
      this.titles[key] = title;
      if (input) {
        input.value = title;
        input.removeAttribute("aria-invalid");
      }
      this.changed();
      if (key === "customer_id") {
        this.drawAccount();
        this.focus(this.rows.find((row) => this.blank(row)) || this.rows[0], "product");
      } else if (input) this.nextHeader(input);
    }
    async drawAccount() {
      const answer = await this.ask("account", this.context()).catch(() => ({ chips: [] }));
      this.chips.replaceChildren();
      for (const chip of answer.chips) {
        const shown = make("span", "lc-chip", chip.text);
        shown.dataset.tone = chip.tone;
        this.chips.append(shown);
      }
    }
    say(text, tone) {
      this.status.textContent = text;
      this.status.classList.toggle("lc-bad-text", tone === "bad");
    }
    problem(text, field, row) {
      this.notices.querySelectorAll(".oe-problem").forEach((box) => box.remove());
      this.host.querySelectorAll(".oe-header [aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
      if (!text) return;
      this.notice(text, "oe-problem");
      const inHead = ["input", "select", "textarea"].map((tag) => `.oe-header [data-field="${CSS.escape(field || "")}"] ${tag}`).join();
      const input = row ? this.rows[row - 1]?.inputs[field] : field && this.host.querySelector(inHead);
      if (!input) return;
      input.focus();
      input.setAttribute("aria-invalid", "true");
      input.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    notice(text, kind) {
      const box = make("div", "lc-notice " + kind);
      box.setAttribute("role", "alert");
      const close = make("button", "oe-close", "✕");
      close.type = "button";
      close.setAttribute("aria-label", this.words.close);
      close.addEventListener("click", () => box.remove());
      box.append(make("span", "grow", text), close);
      this.notices.append(box);
    }

    // the grid ------------------------------------------------------------------------------------------------------
    drawGrid() {
      const card = make("div", "lc-card oe-grid");
      card.setAttribute("role", "grid");
      const head = make("div", "oe-row oe-head");
      head.setAttribute("role", "row");
      const columns = this.words.columns;
      const own = this.words.ownColumns;
      const heads = [
        ["#", "oe-c-no"], [columns.product, "oe-c-product"], [columns.spec, "oe-c-spec"], [columns.unit, "oe-c-unit"], [columns.quantity, "lc-num"],
        [this.header.tax_included ? columns.priceWithTax : columns.price, "lc-num oe-price-head"], [columns.discount, "lc-num"],
        [columns.tax_rate, "lc-num"], [columns.amount, "lc-num"],
        ...own.map((one) => [one.label, "oe-c-own" + (one.number ? " lc-num" : ""), one]), [columns.remark, "oe-c-remark"], ["", "oe-c-more"],
      ];
      for (const [text, kind, one] of heads) {
        const cell = make("div", kind);
        cell.setAttribute("role", "columnheader");
        cell.append(make("span", one?.required && this.sheet.editable ? "lc-required" : "", text));
        cell.title = one?.hint ? `${text}: ${one.hint}` : text;
        head.append(cell);
      }
      card.classList.toggle("oe-has-own", !!own.length);
      card.style.setProperty("--oe-own", own.map((one) => `minmax(${WIDTHS[one.type] || 104}px, ${one.number ? 0.6 : 1}fr)`).join(" "));
      this.list = make("div", "oe-rows");
      this.list.append(...this.rows.map((row) => this.drawRow(row)));
      card.append(head, this.list);
      this.foot = make("div", "oe-foot");
      if (this.sheet.editable) {
        const add = this.button(this.words.addRow, "plain", () => this.insert(this.rows.length, true));
        const lists = this.own.some((own) => own.options.length || own.kind === "ref");
        this.foot.append(add, make("span", "oe-hint lc-muted", this.words.hint + (lists ? " · " + this.words.listHint : "")));
      }
      card.append(this.foot);
      card.addEventListener("keydown", (event) => this.key(event));
      card.addEventListener("paste", (event) => this.paste(event));
      card.addEventListener("contextmenu", (event) => this.menu(event));
      this.number();
      return card;
    }
    drawRow(row) {
      const line = make("div", "oe-row");
      line.setAttribute("role", "row");
      line.dataset.key = row.key;
      row.element = line;
      row.inputs = {};
      const cell = (kind, child) => {
        const box = make("div", kind);
        box.setAttribute("role", "gridcell");
        if (child) box.append(child);
        line.append(box);
        return box;
      };
      row.no = make("span", "lc-muted");
      cell("oe-c-no", row.no);
      const product = cell("oe-c-product");
      row.shown = make("div", "oe-shown");
      product.append(row.shown);
      if (this.sheet.editable) product.append(this.productInput(row));
      row.spec_box = make("span", "lc-cut");
      cell("oe-c-spec", row.spec_box);
      row.unit_box = make("span");
      cell("oe-c-unit", row.unit_box);
      for (const key of ["quantity", "price", "discount", "tax_rate"]) cell("lc-num oe-c-" + key, this.cellInput(row, key));
      row.amount_box = make("span");
      cell("lc-num oe-c-amount", row.amount_box);
      row.fixed = {};
      for (const own of this.words.ownColumns) {
        const list = this.sheet.editable && !own.fixed && !["text", "note"].includes(own.kind);
        const box = cell("oe-c-own" + (own.number ? " lc-num" : "") + (list ? " oe-c-list" : ""), this.ownCell(row, own));
        box.dataset.label = own.label; // where there is no head above it
        if (own.required && this.sheet.editable) box.dataset.required = "";
      }
      cell("oe-c-remark", this.cellInput(row, "remark"));
      const more = make("button", "oe-more", "⋯");
      more.type = "button";
      more.tabIndex = -1;
      more.setAttribute("aria-label", this.words.rowMenu);
      more.addEventListener("click", (event) => this.openMenu(row, event.clientX, event.clientY));
      cell("oe-c-more", this.sheet.editable ? more : null);
      row.mark_box = make("div", "oe-mark");
      line.append(row.mark_box);
      row.fault_box = make("div", "oe-fault");
      row.fault_box.setAttribute("role", "alert");
      line.append(row.fault_box);
      this.showRow(row);
      return line;
    }
    cellInput(row, key) {
      if (!this.sheet.editable) return make("span", key === "remark" ? "lc-cut" : "", row[key] || (key === "discount" ? "—" : ""));
      const input = this.asCell(row, key, this.input("oe-cell", row[key]), this.words.columns[key], key !== "remark");
      if (key === "tax_rate" && this.words.taxRates.length) input.setAttribute("list", this.taxRates());
      return input;
    }
    asCell(row, key, input, label, number) {
      input.dataset.cell = key;
      input.setAttribute("aria-label", label);
      if (number) input.inputMode = "decimal";
      input.addEventListener("input", () => {
        row[key] = input.value;
        delete row.refs[key]; // another name is another person
        row.tidy = null;
        this.changed();
      });
      input.addEventListener("focus", () => this.entered(row, key, input));
      input.addEventListener("blur", () => {
        this.focused = null;
        this.showRow(row);
      });
      row.inputs[key] = input;
      return input;
    }
    // a field of the company: typed, or chosen from a list that opens while one types
    ownCell(row, own) {
      const key = own.key;
      if (!this.sheet.editable || own.fixed) {
        const text = (row.fixed[key] = make("span", "lc-cut", row[key] || ""));
        text.title = row[key] || "";
        return text;
      }
      const plain = own.kind === "note" ? this.noteInput("oe-cell", row[key] || "") : this.input("oe-cell", row[key]);
      const input = this.asCell(row, key, plain, own.label, own.number);
      if (own.hint) input.title = own.hint;
      if (own.kind === "text" || own.kind === "note") return input;
      const many = own.kind === "many";
      const parts = () => input.value.split(BETWEEN).filter(Boolean);
      const typing = () => (many ? input.value.split(BETWEEN).pop() : input.value).trim().toLowerCase(); // of several the last one
      const set = (text, id) => {
        row[key] = input.value = text;
        if (id) row.refs[key] = id;
        row.tidy = null;
        this.changed();
      };
      const combo = new Combo(input, {
        words: this.words,
        all: true,
        inGrid: true,
        find: async (text) => {
          if (own.kind === "ref") return (await lc.fetch(`/api/pick/${own.entity}?q=${encodeURIComponent(text)}`)).rows;
          const sought = text && typing();
          const chosen = many ? parts() : [];
          const found = own.options.filter((label) => !chosen.includes(label) && label.toLowerCase().includes(sought));
          const whole = found.filter((label) => label.toLowerCase() === sought);
          return [...new Set([...whole, ...found])].map((title) => ({ title }));
        },
        draw: (found) => [make("span", "", found.title), make("small", "", found.second || "")],
        // Where no list is open one goes on to the next cell; also from what no list knows, and the row will say so.
        accept: () => (combo.box ? !combo.rows.length : !combo.timer),
        picked: (found) => {
          if (!many) return set(found.title, found.id), this.goOn(row, key, false);
          const kept = typing() && !own.options.includes(parts().at(-1)) ? parts().slice(0, -1) : parts();
          set([...kept, found.title].join(this.words.between) + this.words.between);
        },
      });
      return input;
    }
    taxRates() {
      if (!this.host.querySelector("#oe-tax-rates")) {
        const list = make("datalist");
        list.id = "oe-tax-rates";
        for (const rate of this.words.taxRates) list.append(new Option(rate));
        this.host.append(list);
      }
      return "oe-tax-rates";
    }
    productInput(row) {
      const input = this.input("oe-cell oe-product-input", row.code || row.name || "");
      input.dataset.cell = "product";
      input.setAttribute("aria-label", this.words.columns.product);
      input.placeholder = this.words.productHint;
      input.addEventListener("focus", () => this.entered(row, "product", input));
      row.combo = new Combo(input, {
        words: this.words,
        wide: true,
        find: async (text) => (await this.ask("products", { text, ...this.context() })).rows,
        draw: (found) => this.drawOffer(found, input.value),
        create: this.words.mayCreate.product ? (text) => this.create(row, text) : null,
        hint: this.words.pickHint,
        accept: () => !!row.product_id && input.value.trim() === (row.code || "").trim(),
        accepted: () => this.focus(row, "quantity"),
        typed: (text) => {
          // Another text is another product: the old one must not stay behind it.
          if (row.product_id && text.trim() !== row.code) Object.assign(row, { product_id: null, name: "", spec: "", unit: "" });
          row.code = text;
          this.changed();
        },
        picked: (found) => this.choose(row, found),
        left: () => {
          this.focused = null;
          this.showRow(row);
        },
      });
      row.inputs.product = input;
      return input;
    }
    drawOffer(found, typed) {
      const left = make("span", "oe-offer");
      const text = found.code;
      const at = typed.trim() ? text.toLowerCase().indexOf(typed.trim().toLowerCase()) : -1;
      if (at >= 0) left.append(text.slice(0, at), make("b", "", text.slice(at, at + typed.trim().length)), text.slice(at + typed.trim().length));
      else left.append(text);
      left.append(" " + found.name, make("small", "", found.spec ? " " + found.spec : ""));
      const right = make("small", found.short ? "lc-bad-text" : "");
      const stock = !found.stocked ? "" : found.short ? this.words.outOfStock : this.words.available.replace("{quantity}", `${found.available} ${found.unit}`.trim());
      const elsewhere = found.short && found.elsewhere ? found.elsewhere : "";
      const last = found.last_price ? this.words.lastPrice.replace("{price}", found.last_price) : "";
      const level = found.level_price ? this.words.levelPrice.replace("{price}", found.level_price) : "";
      const share = found.discount ? this.words.agreedShare.replace("{share}", found.discount) : "";
      right.textContent = [stock, elsewhere, level, share, last].filter(Boolean).join(" · ");
      return [left, right];
    }
    choose(row, found) {
      const { product_id, code, name, spec, unit, tax_rate } = found;
      Object.assign(row, { product_id, code, name, spec, unit, tax_rate, price: found.first_price, discount: found.discount ?? row.discount, tidy: null, mark: "", below_reason: "" });
      if (!(row.quantity || "").trim()) row.quantity = "1";
      for (const key of ["quantity", "price", "discount", "tax_rate"]) row.inputs[key].value = row[key] || "";
      row.inputs.product.value = code;
      row.fault = null;
      this.showRow(row);
      this.changed();
      this.focus(row, "quantity");
    }
    create(row, text) {
      this.pending = row;
      this.emit("create", { entity: "product", text });
    }
    async created(entity, id, title) {
      if (entity === "customer") return this.setHeader("customer_id", id, title, this.customerInput);
      if (entity !== "product") return this.setHeader(entity + "_id", id, title, this[entity + "_idInput"]);
      const row = this.pending || this.rows[this.rows.length - 1];
      this.pending = null;
      const { rows } = await this.ask("products", { text: title, ...this.context() });
      const found = rows.find((found) => found.product_id === id);
      if (found) this.choose(row, found);
    }
    notCreated() {
      const row = this.pending;
      this.pending = null;
      if (row) this.focus(row, "product");
    }
    showRow(row) {
      if (!row.element) return;
      const at = document.activeElement;
      row.shown.replaceChildren();
      if (row.product_id) row.shown.append(make("span", "", row.name), make("span", "lc-muted", " " + row.code));
      else if (row.code || row.name) row.shown.append(make("span", "lc-bad-text", [row.code, row.name].filter(Boolean).join(" ")));
      row.spec_box.textContent = row.spec || (row.product_id ? "—" : "");
      row.unit_box.textContent = row.unit || (row.product_id ? "—" : "");
      row.amount_box.textContent = (this.header.tax_included ? row.gross : row.net) || (row.product_id ? "—" : "");
      if (row.tidy?.refs && !row.fault) row.refs = { ...row.tidy.refs };
      for (const own of this.fixed) row.fixed[own.key].textContent = row.fixed[own.key].title = row[own.key] || "";
      for (const key of this.cells.slice(1)) {
        const input = row.inputs[key];
        if (!input || input === at) continue;
        if (row.tidy && key in row.tidy && !row.fault) row[key] = row.tidy[key];
        input.value = row[key] || "";
        if (key === "discount") input.placeholder = row.product_id ? "—" : "";
        input.toggleAttribute("aria-invalid", row.fault?.field === key);
      }
      if (row.inputs.product && row.inputs.product !== at) row.inputs.product.value = row.code || "";
      // Not before one has left the row: what is half typed is not wrong yet.
      const quiet = this.focused?.row === row || this.blank(row);
      const reason = row.below_reason && !row.fault ? this.words.below.replace("{reason}", row.below_reason) : "";
      row.mark_box.textContent = row.product_id ? [reason, row.mark].filter(Boolean).join(" · ") : "";
      row.element.classList.toggle("oe-new", this.blank(row));
      row.element.classList.toggle("oe-bad", !!row.fault && !quiet);
      this.showFault(row, quiet);
    }
    showFault(row, quiet) {
      const box = row.fault_box;
      if (box.contains(document.activeElement)) return; // a reason is being written there
      box.replaceChildren();
      if (!row.fault || quiet) return;
      box.append(make("span", "", row.fault.message));
      if (!row.fault.why) return;
      const input = this.input("oe-input oe-why", row.below_reason);
      input.placeholder = this.words.why;
      input.setAttribute("aria-label", this.words.why);
      input.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && input.blur());
      input.addEventListener("change", () => ((row.below_reason = input.value.trim()), this.changed()));
      box.append(input);
    }
    drawSide() {
      const side = make("aside", "lc-card oe-side");
      this.dealsBox = make("div", "oe-deals");
      this.totalsBox = make("div", "oe-totals");
      side.append(this.dealsBox, this.totalsBox);
      if (this.sheet.receipts?.length) {
        const box = make("div", "oe-receipts");
        box.append(make("b", "", this.words.receipts));
        for (const receipt of this.sheet.receipts) {
          const line = make("div", "oe-pair");
          line.append(make("span", "lc-muted", `${receipt.date} ${receipt.method}`), make("span", "", receipt.amount));
          box.append(line);
        }
        side.append(box);
      }
      if (this.sheet.margin) {
        const words = this.words.margin, box = make("div", "oe-list oe-inside");
        box.append(make("b", "", words.head));
        for (const key of ["goods", "expenses", "left"]) {
          if (!this.sheet.margin[key]) continue;
          const line = make("div", "oe-pair");
          line.append(make("span", "lc-muted", words[key]), make("span", "", this.sheet.margin[key]));
          box.append(line);
        }
        if (this.sheet.margin.unknown) box.append(make("div", "lc-muted oe-small", this.sheet.margin.unknown));
        side.append(box);
      }
      if (this.sheet.deliveries?.length) {
        const box = make("div", "oe-list");
        box.append(make("b", "", this.words.deliveries));
        for (const one of this.sheet.deliveries) {
          const line = make("div", "oe-pair"), link = make("a", "", `${one.number} ${one.date}`);
          link.href = "/deliveries/" + one.id;
          line.append(link, make("span", "lc-muted", one.status));
          box.append(line);
        }
        side.append(box);
      }
      if (this.sheet.editable || this.header.remark) {
        let child;
        if (this.sheet.editable) {
          child = make("textarea", "oe-input oe-note");
          child.value = this.header.remark || "";
          child.rows = 2;
          child.addEventListener("input", () => ((this.header.remark = child.value || null), this.changed()));
        } else child = make("div", "oe-value", this.header.remark);
        side.append(this.field("remark", child));
      }
      this.drawTotals();
      this.drawDeals(null);
      return side;
    }
    drawTotals() {
      const totals = this.sheet.totals;
      const pair = (label, text, kind) => {
        const line = make("div", "oe-pair" + (kind ? " " + kind : ""));
        line.append(make("span", kind ? "" : "lc-muted", label), make("span", "", text));
        return line;
      };
      const words = this.words.totals;
      this.totalsBox.replaceChildren(pair(words.net, totals.net), pair(words.tax, totals.tax), pair(words.gross, "¥" + totals.gross, "oe-sum"));
      if (totals.capital) this.totalsBox.append(make("div", "lc-muted oe-small", totals.capital));
      if (this.sheet.state.key === "posted") {
        this.totalsBox.append(pair(words.received, this.sheet.received));
        const open = pair(words.open, this.sheet.open, "oe-open");
        this.totalsBox.append(open);
      }
    }
    async drawDeals(row) {
      const key = row?.product_id && this.header.customer_id ? row.product_id + this.header.customer_id : "";
      if (key === this.dealsOf && key) return;
      this.dealsOf = key;
      this.dealsBox.replaceChildren(make("b", "", this.words.deals));
      const { rows } = key ? await this.ask("deals", { product_id: row.product_id, customer_id: this.header.customer_id }).catch(() => ({ rows: [] })) : { rows: [] };
      if (this.dealsOf !== key) return;
      if (!rows.length) this.dealsBox.append(make("div", "lc-muted oe-small", key ? this.words.noDeals : this.words.dealsHint));
      for (const deal of rows) {
        const line = make("div", "oe-pair oe-small lc-muted");
        line.append(make("span", "", deal.date), make("span", "", deal.text));
        this.dealsBox.append(line);
      }
    }

    // rows ----------------------------------------------------------------------------------------------------------
    number() {
      this.rows.forEach((row, index) => row.no && (row.no.textContent = index + 1));
    }
    insert(index, focus, values = {}) {
      const row = this.row(this.preset(values));
      this.rows.splice(index, 0, row);
      const before = this.rows[index + 1]?.element || null;
      this.list.insertBefore(this.drawRow(row), before);
      this.number();
      if (focus) this.focus(row, "product");
      return row;
    }
    remove(row) {
      const index = this.rows.indexOf(row);
      const cell = this.focused?.cell || "product";
      this.rows.splice(index, 1);
      row.element.remove();
      if (!this.rows.length) this.insert(0, false);
      this.number();
      if (!this.blank(row)) {
        this.changed();
        this.offerUndo(row, index);
      }
      this.focus(this.rows[Math.min(index, this.rows.length - 1)], cell);
    }
    offerUndo(row, index) {
      this.undo?.remove();
      const box = (this.undo = make("div", "lc-toast oe-undo"));
      box.setAttribute("role", "status");
      const back = this.button(this.words.undo, "link", () => {
        box.remove();
        const { key, element, inputs, combo, ...values } = row;
        this.insert(Math.min(index, this.rows.length), true, values);
        this.changed();
      });
      box.append(make("span", "", this.words.removed.replace("{name}", row.name || row.code || "")), back);
      this.host.append(box);
      setTimeout(() => box.remove(), 7000);
    }
    duplicate(row) {
      const { key, id, element, inputs, combo, ...values } = row;
      for (const own of this.fixed) delete values[own.key];
      this.insert(this.rows.indexOf(row) + 1, true, values);
      this.changed();
    }

    // keys ----------------------------------------------------------------------------------------------------------
    entered(row, cell, input) {
      this.focused = { row, cell };
      input.select();
      this.list.querySelectorAll(".oe-on").forEach((line) => line.classList.remove("oe-on"));
      row.element.classList.add("oe-on");
      this.drawDeals(row);
      for (const other of this.rows) if (other !== row && other.fault) this.showRow(other);
      row.element.classList.remove("oe-bad");
    }
    focus(row, cell) {
      row?.inputs?.[cell]?.focus();
      row?.element?.scrollIntoView({ block: "nearest" });
    }
    at(target) {
      const line = target.closest?.(".oe-rows .oe-row");
      return line ? this.rows.find((row) => row.key === line.dataset.key) : null;
    }
    key(event) {
      if (event.isComposing || event.defaultPrevented) return;
      const row = this.at(event.target);
      const cell = event.target.dataset?.cell;
      if (!row || !cell || !this.sheet.editable) return;
      const control = event.ctrlKey || event.metaKey;
      const index = this.rows.indexOf(row);
      const note = event.target.tagName === "TEXTAREA" ? event.target : null;
      if (note && event.key.startsWith("Arrow") && note.value.includes("\n")) return;
      if (note && event.key === "Enter" && event.altKey) {
        note.setRangeText("\n", note.selectionStart, note.selectionEnd, "end");
        note.dispatchEvent(new Event("input"));
      } else if (event.key === "Enter" && !control) this.goOn(row, cell, event.shiftKey);
      else if ((event.key === "Delete" || event.key === "Backspace") && control) this.remove(row);
      else if (event.key === "Insert" && !control) this.insert(index, true);
      else if (event.key === "ArrowUp" && !control) this.focus(this.rows[index - 1], cell);
      else if (event.key === "ArrowDown" && !control) {
        if (index + 1 < this.rows.length) this.focus(this.rows[index + 1], cell);
        else if (!this.blank(row)) this.focus(this.insert(index + 1, false), cell === "remark" ? "product" : cell);
      } else return;
      event.preventDefault();
    }
    goOn(row, cell, back) {
      const index = this.rows.indexOf(row);
      const goes = this.enterGoes;
      const place = goes.indexOf(cell);
      if (back) {
        if (place > 0) this.focus(row, goes[place - 1]);
        else this.focus(this.rows[index - 1], goes[goes.length - 1]);
      } else if (place >= 0 && place < goes.length - 1 && row.product_id) this.focus(row, goes[place + 1]);
      else if (!row.product_id) this.focus(row, "product");
      else if (index + 1 < this.rows.length) this.focus(this.rows[index + 1], "product");
      else this.insert(index + 1, true);
    }

    // a block from a spreadsheet --------------------------------------------------------------------------------------
    async paste(event) {
      const text = event.clipboardData?.getData("text/plain") || "";
      const row = this.at(event.target);
      const cell = event.target.dataset?.cell;
      if (!row || !cell || !/[\t\n]/.test(text.trim())) return;
      event.preventDefault();
      row.combo?.close();
      if (cell !== "product") return this.fillDown(row, cell, text);
      let lines;
      try {
        ({ lines } = await this.ask("pasted", { text, ...this.context() }));
      } catch (error) {
        return this.problem(error.message || this.words.offline);
      }
      let index = this.rows.indexOf(row);
      if (this.blank(row) || (!row.product_id && !row.code)) {
        this.rows.splice(index, 1);
        row.element.remove();
      } else index += 1;
      for (const line of lines) this.insert(index++, false, { quantity: "1", ...line });
      this.changed();
      const next = this.rows[index] && this.blank(this.rows[index]) ? this.rows[index] : this.insert(index, false);
      this.focus(next, "product");
    }
    fillDown(row, cell, text) {
      const lines = text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
      const first = this.cells.indexOf(cell);
      let index = this.rows.indexOf(row);
      for (const line of lines) {
        const target = this.rows[index] || this.insert(index, false);
        line.split("\t").forEach((value, step) => {
          const key = this.cells[first + step];
          if (!key) return;
          target[key] = value.trim();
          delete target.refs[key];
          target.tidy = null;
          target.inputs[key].value = target[key];
        });
        index += 1;
      }
      this.changed();
    }

    // the menu of a row -------------------------------------------------------------------------------------------------
    menu(event) {
      const row = this.at(event.target);
      if (!row || !this.sheet.editable) return;
      event.preventDefault();
      this.openMenu(row, event.clientX, event.clientY);
    }
    openMenu(row, x, y) {
      document.querySelector(".oe-menu")?.remove();
      const menu = make("div", "oe-menu");
      menu.setAttribute("role", "menu");
      const close = () => menu.remove();
      const entry = (label, key, run, danger) => {
        const item = make("button", "oe-item" + (danger ? " lc-bad-text" : ""), label);
        item.type = "button";
        item.setAttribute("role", "menuitem");
        if (key) item.append(make("kbd", "lc-kbd", key));
        item.addEventListener("click", () => (close(), run()));
        menu.append(item);
      };
      const index = () => this.rows.indexOf(row);
      entry(this.words.insertAbove, "Insert", () => this.insert(index(), true));
      entry(this.words.insertBelow, "", () => this.insert(index() + 1, true));
      entry(this.words.duplicate, "", () => this.duplicate(row));
      menu.append(make("hr"));
      entry(this.words.removeRow, "Ctrl Del", () => this.remove(row), true);
      document.body.append(menu);
      menu.style.left = Math.min(x, innerWidth - menu.offsetWidth - 8) + "px";
      menu.style.top = Math.min(y, innerHeight - menu.offsetHeight - 8) + "px";
      menu.firstChild.focus();
      menu.addEventListener("keydown", (event) => {
        const items = [...menu.querySelectorAll("button")];
        const at = items.indexOf(document.activeElement);
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) items[(at + step + items.length) % items.length].focus();
        else if (event.key === "Escape") close(), this.focus(row, "product");
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
      setTimeout(() => document.addEventListener("mousedown", (event) => menu.contains(event.target) || close(), { once: true }), 0);
    }
  }

  // An input with a list of what it may mean -----------------------------------------------------------------------------
  class Combo {
    constructor(input, options) {
      Object.assign(this, { input, options, rows: [], index: 0, turn: 0, box: null });
      input.setAttribute("role", "combobox");
      input.setAttribute("aria-expanded", "false");
      input.addEventListener("input", () => {
        options.typed?.(input.value);
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.load(), 90);
      });
      input.addEventListener("focus", () => input.select());
      input.addEventListener("click", () => options.all && !this.box && this.load(""));
      input.addEventListener("keydown", (event) => this.key(event));
      input.addEventListener("blur", () => {
        clearTimeout(this.timer);
        this.timer = null; // or Enter would choose, on coming back, what nobody sees
        this.turn += 1;
        this.close();
        options.left?.();
      });
    }
    async load(text = this.input.value) {
      clearTimeout(this.timer);
      this.timer = null;
      const turn = ++this.turn;
      if (!text.trim() && !this.options.all) return this.close();
      let rows;
      try {
        rows = await this.options.find(text.trim());
      } catch {
        return;
      }
      if (turn !== this.turn || document.activeElement !== this.input) return;
      this.rows = rows;
      this.index = 0;
      this.open();
    }
    open() {
      if (!this.box) {
        this.box = make("div", "oe-picks" + (this.options.wide ? " oe-picks-wide" : ""));
        this.box.setAttribute("role", "listbox");
        document.body.append(this.box);
        this.input.setAttribute("aria-expanded", "true");
      }
      this.box.replaceChildren();
      this.rows.forEach((row, index) => {
        const line = make("div", "oe-pick");
        line.setAttribute("role", "option");
        line.append(...this.options.draw(row));
        line.addEventListener("mousedown", (event) => (event.preventDefault(), this.pick(row)));
        line.addEventListener("mousemove", () => this.index !== index && ((this.index = index), this.mark()));
        this.box.append(line);
      });
      if (!this.rows.length) this.box.append(make("div", "oe-pick lc-muted", this.options.words.nothing));
      if (this.options.create && this.input.value.trim()) {
        const line = make("div", "oe-pick oe-create");
        line.append(make("span", "", this.options.words.create.replace("{text}", this.input.value.trim())), make("kbd", "lc-kbd", "Alt N"));
        line.addEventListener("mousedown", (event) => (event.preventDefault(), this.create()));
        this.box.append(line);
      }
      if (this.options.hint) this.box.append(make("div", "oe-picks-foot lc-muted", this.options.hint));
      const place = this.input.getBoundingClientRect();
      const width = this.options.wide ? Math.max(460, place.width) : Math.max(240, place.width);
      this.box.style.width = Math.min(width, innerWidth - 16) + "px";
      this.box.style.left = Math.max(8, Math.min(place.left, innerWidth - Math.min(width, innerWidth - 16) - 8)) + "px";
      const below = innerHeight - place.bottom;
      if (below < this.box.offsetHeight + 8 && place.top > below) this.box.style.top = place.top - this.box.offsetHeight - 4 + "px";
      else this.box.style.top = place.bottom + 4 + "px";
      this.mark();
    }
    mark() {
      this.box?.querySelectorAll(".oe-pick").forEach((line, index) => {
        line.classList.toggle("oe-on", index === this.index && this.rows.length > 0);
        if (index === this.index) line.scrollIntoView({ block: "nearest" });
      });
    }
    close() {
      this.box?.remove();
      this.box = null;
      this.input.setAttribute("aria-expanded", "false");
    }
    async key(event) {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const control = event.ctrlKey || event.metaKey;
      if (event.altKey && event.key.toLowerCase() === "n" && this.options.create) this.create();
      else if (step && this.box && this.rows.length) {
        this.index = (this.index + step + this.rows.length) % this.rows.length;
        this.mark();
      } else if (event.key === "ArrowDown" && this.options.all && (event.altKey || !this.options.inGrid)) this.load("");
      else if (event.key === "Enter" && !control && !event.shiftKey) {
        if (this.options.accept?.()) return this.close();
        if (!this.box && !this.timer && !this.options.typed) return;
        event.preventDefault();
        event.stopPropagation();
        // A scanner is faster than the list.
        if (this.timer || !this.box) await this.load();
        if (this.rows[this.index] && this.box) this.pick(this.rows[this.index]);
        return;
      } else if (event.key === "Escape" && this.box) this.close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
    pick(row) {
      clearTimeout(this.timer);
      this.timer = null;
      this.turn += 1;
      this.close();
      this.options.picked(row);
    }
    create() {
      const text = this.input.value.trim();
      this.close();
      this.options.create(text);
    }
  }

  lc.go = (path) => {
    location.assign(path);
  };
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s" || !lc.order) return;
    event.preventDefault();
    lc.order.save().catch(() => {});
  });
  lc.mountOrder = (host, sheet, words) => {
    lc.order = new Order(host, sheet, words);
  };
})();
