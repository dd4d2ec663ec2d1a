export default {
  template: `
    <div class="lc-picker">
      <q-input ref="input" outlined dense v-model="text" :placeholder="placeholder" :disable="disabled" :error="!!error" hide-bottom-space autocomplete="off" :autofocus="autofocus"
        @update:model-value="typed" @focus="focused" @blur="left" @keydown="key" @click="show" :aria-label="label" role="combobox" :aria-expanded="open">
        <template v-slot:append>
          <q-icon v-if="chosen && clearable && !disabled" name="close" size="16px" class="cursor-pointer" @mousedown.prevent="clear" />
          <q-icon v-else name="expand_more" size="18px" class="cursor-pointer" @mousedown.prevent="toggle" />
        </template>
      </q-input>
      <q-menu v-model="open" no-focus no-refocus no-parent-event fit :target="$refs.input" anchor="bottom left" self="top left" :offset="[0, 3]">
        <div class="lc-picks" role="listbox">
          <div v-for="(row, index) in rows" :key="row.id" class="lc-pick" :class="{'lc-on': index === at}" role="option"
            @mousemove="at = index" @mousedown.prevent="pick(row)"><span>{{ row.title }}</span><small>{{ row.second }}</small></div>
          <div v-if="creatable && text.trim()" class="lc-pick" :class="{'lc-on': at === rows.length}" @mousemove="at = rows.length"
            @mousedown.prevent="create"><span>＋ {{ createText() }}</span></div>
          <div v-if="!rows.length && !(creatable && text.trim())" class="lc-pick lc-muted">{{ loading ? words.loading : words.nothing }}</div>
        </div>
      </q-menu>
    </div>`,
  props: {
    source: String, value: String, title: String, label: String, placeholder: String, where: Object, creatable: Boolean, clearable: Boolean,
    disabled: Boolean, autofocus: Boolean, error: String, words: Object,
  },
  data() {
    return { text: this.title || "", chosen: this.value || null, chosenTitle: this.title || "", rows: [], at: 0, open: false, loading: false, turn: 0 };
  },
  watch: {
    value(value) { this.chosen = value || null; },
    title(title) { this.text = title || ""; this.chosenTitle = title || ""; },
  },
  methods: {
    createText() { return this.words.create.replace("{text}", this.text.trim()); },
    focused() { this.$refs.input.select(); },
    show() { if (!this.open && !this.disabled) { this.open = true; this.load(""); } },
    toggle() { this.open ? (this.open = false) : (this.$refs.input.focus(), this.show()); },
    typed(text) {
      this.open = true;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(text), 100);
    },
    async load(text) {
      const turn = ++this.turn;
      this.loading = true;
      const where = Object.entries(this.where || {}).map(([key, value]) => `&w.${key}=${encodeURIComponent(value)}`).join("");
      try {
        const answer = await localcrm.fetch(`${this.source}?q=${encodeURIComponent(text)}${where}`);
        if (turn !== this.turn) return;
        this.rows = answer.rows;
        this.at = 0;
      } catch (error) {
        if (turn === this.turn) this.rows = [];
      }
      this.loading = false;
    },
    async key(event) {
      if (event.isComposing) return;
      const count = this.rows.length + (this.creatable && this.text.trim() ? 1 : 0);
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (!this.open) this.show();
        else this.at = (this.at + (event.key === "ArrowDown" ? 1 : -1) + Math.max(count, 1)) % Math.max(count, 1);
      } else if (event.key === "Enter" && !event.ctrlKey && this.open) {
        if (this.timer) { clearTimeout(this.timer); if (this.text !== this.chosenTitle) await this.load(this.text); }
        if (this.at < this.rows.length) this.pick(this.rows[this.at]);
        else if (this.creatable && this.text.trim()) this.create();
        event.stopPropagation();
      } else if (event.key === "Escape" && this.open) {
        this.open = false;
        this.text = this.chosenTitle;
        event.stopPropagation();
      } else { return; }
      event.preventDefault();
    },
    pick(row) {
      this.open = false;
      this.chosen = row.id; this.text = this.chosenTitle = row.title;
      this.$emit("pick", { id: row.id, title: row.title });
      this.next();
    },
    next() {
      const form = this.$el.closest(".lc-form");
      if (!form) return;
      const inputs = [...form.querySelectorAll("input, textarea")].filter((input) => input.offsetParent && !input.readOnly && !input.disabled);
      const at = inputs.indexOf(this.$el.querySelector("input"));
      inputs[at + 1]?.focus();
    },
    create() { this.open = false; this.$emit("create", { text: this.text.trim() }); },
    clear() { this.chosen = null; this.text = this.chosenTitle = ""; this.$emit("pick", { id: null, title: "" }); this.$refs.input.focus(); },
    left() {
      setTimeout(() => {
        this.open = false;
        if (this.text.trim() === "" && this.chosen && this.clearable) { this.chosen = null; this.chosenTitle = ""; this.$emit("pick", { id: null, title: "" }); }
        else this.text = this.chosenTitle;
      }, 150);
    },
    focus() { this.$refs.input.focus(); },
  },
};
