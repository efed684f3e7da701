// Your own loss: a field for its formula and sliders for its parameters above the pictures of scalar regression.

import { digits, fill, h, math } from "./dom.js";
import { Regression } from "./regression.js";

const PAUSE_MS = 150;
const KEEP_AFTER_MS = 700;
const BEFORE_CARET = 36;
const AFTER_CARET = 20;
const MOST_BESIDE = 2;
const OWN = "formula";

const plain = (value) => String(Number(value.toPrecision(6))).replace("-", "−");
const short = (value) => (Number.isInteger(value) && Math.abs(value) < 1000 ? String(value).replace("-", "−") : digits(value));

export function create(tools) {
  return new Formula(tools);
}

class Formula extends Regression {
  constructor(tools) {
    super(tools);
    const { stage, pictures } = tools;
    const { data } = stage;
    const { text } = data;
    this.spec = data.handleSpecs.find((spec) => spec.name === "formula");
    this.range = data.handleSpecs.find((spec) => spec.name === "values");
    this.good = stage.handles.formula;
    this.known = new Map();
    this.ranged = new Map();
    this.names = [];
    this.input = h("input", {
      type: "text",
      id: "lv-formula-field",
      class: "lv-formula-field",
      "data-handle": "formula",
      maxlength: this.spec.most,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      "aria-label": this.spec.label,
      "aria-describedby": "lv-formula-said",
      oninput: () => this.typing(),
      onchange: () => this.type(),
    });
    this.trainButton = h("button", { class: "lv-button lv-formula-train", type: "button", title: text.trainHelp, onclick: () => this.train() }, text.train);
    this.understood = h("div", { class: "lv-math" });
    this.said = h("div", { class: "lv-formula-said", id: "lv-formula-said", role: "status" });
    this.parameters = h("div", { class: "lv-formula-parameters" });
    const examples = data.presets.map((preset) => h("button", { class: "lv-chip", type: "button", "data-preset": preset.name, onclick: () => this.take(preset) }, preset.name));
    this.rail = h(
      "section",
      { class: "lv-card lv-formula-rail" },
      h("div", { class: "lv-formula-line" }, h("label", { for: "lv-formula-field" }, text.field), this.input, this.trainButton),
      h("div", { class: "lv-formula-meaning" }, this.said, this.parameters),
      h("div", { class: "lv-chips" }, h("span", { class: "lv-chips-name" }, text.examples), ...examples, this.language(text)),
    );
    this.list = h("ul", { class: "lv-properties lv-formula-checks", tabindex: 0, "aria-label": text.checks });
    this.found = h("section", { class: "lv-card lv-formula-found" }, h("figcaption", {}, h("span", {}, text.checks)), this.list);
    this.checked = Object.keys(text.properties).map((name) => this.property(name));
    pictures.classList.add("lv-formula-stage");
    pictures.prepend(this.rail);
    this.main.element.after(this.found);
  }

  language(text) {
    return h("details", { class: "lv-formula-language" }, h("summary", {}, text.language), h("p", {}, text.languageHelp));
  }

  property(name) {
    const { label } = this.stage.data.text.properties[name];
    const mark = h("span", { class: "lv-mark", "aria-hidden": "true" });
    const words = h("p");
    const row = h("li", { "data-property": name }, mark, h("div", {}, h("b", {}, label), words));
    this.list.append(row);
    return { name, row, mark, words };
  }

  mapKey({ formula, values }) {
    return `${formula} ${values}`;
  }

  // --- what is typed

  typing() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.type(), PAUSE_MS);
  }

  /** Ask what the text in the field says. */
  type() {
    clearTimeout(this.pause);
    const formula = this.input.value;
    if (formula === this.typed || (formula === this.good && !this.failed)) return;
    this.typed = formula;
    this.stage.moved({ formula });
  }

  /** An example, with its own values. */
  take({ formula, values }) {
    const { stage } = this;
    this.forget();
    this.ranged.clear();
    this.fitted = false;
    stage.moved({ formula, values: this.filled(values), ranges: "" });
    this.sync();
    stage.report();
  }

  filled(values) {
    return Array.from({ length: this.range.most }, (_, i) => values[i] ?? 1);
  }

  /** The field shows the formula that is held. */
  forget() {
    clearTimeout(this.pause);
    clearTimeout(this.keeping);
    this.typed = this.failed = undefined;
    this.input.value = "";
    this.mark();
  }

  reset() {
    this.forget();
    this.ranged.clear();
  }

  /** The text is no formula: the last good one stays, greyed. */
  refused({ error, position }) {
    const { handles, data } = this.stage;
    if (handles.formula === this.good) return false;
    this.failed = { error, position, text: handles.formula };
    this.typed = undefined;
    this.leaving = false;
    handles.formula = this.good;
    const from = Math.max(0, (position ?? 0) - BEFORE_CARET);
    const shown = this.failed.text.slice(from, (position ?? 0) + AFTER_CARET);
    const pointer = position == null ? [] : [h("pre", { "aria-hidden": "true" }, `${shown}\n${" ".repeat(position - from)}^`)];
    const kept = h("p", { class: "lv-fine" }, fill(data.text.kept, { formula: this.good }));
    this.said.replaceChildren(...pointer, h("div", {}, h("p", { class: "lv-formula-error" }, error), kept));
    this.mark();
    return true;
  }

  mark() {
    this.input.setAttribute("aria-invalid", String(Boolean(this.failed)));
    this.trainButton.disabled = Boolean(this.failed);
    this.stage.root.classList.toggle("lv-formula-failed", Boolean(this.failed));
  }

  /** The formula was understood: keep each parameter's value by its name. Whether the values had to change places. */
  accept({ formula, values, ranges }, names) {
    const fresh = formula === this.typed && formula !== this.good;
    if (formula !== this.good) this.fitted = false;
    this.good = formula;
    if (formula === this.stage.handles.formula && formula === this.input.value) {
      this.failed = this.typed = undefined;
      this.mark();
    }
    if (!fresh) return false;
    this.stage.handles.values = this.filled(names.map((name) => this.known.get(name) ?? 1));
    this.stage.handles.ranges = this.written(names);
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.stage.report(), KEEP_AFTER_MS);
    return String(this.stage.handles.values) !== String(values) || this.stage.handles.ranges !== ranges;
  }

  /** To the page that trains, once what is typed has been understood. */
  train() {
    this.type();
    this.leaving = true;
    if (!this.typed) this.leave();
  }

  leave() {
    this.leaving = false;
    clearTimeout(this.keeping);
    this.stage.leave();
  }

  // --- parameters

  /** A slider with its range and an exact number for each name. */
  slide(names, ranges) {
    const now = JSON.stringify([names, ranges]);
    if (now === this.slid) return;
    this.slid = now;
    this.names = names;
    const { stage } = this;
    const open = this.opened();
    this.syncs = [];
    const made = names.map((name, i) => {
      const [low, high, scale] = ranges[i];
      const write = (value, done) => {
        const values = [...stage.handles.values];
        values[i] = value;
        stage.moved({ values });
        for (const sync of this.syncs) sync();
        if (done) stage.report();
      };
      const label = fill(stage.data.text.parameter, { name });
      const { control, sync, extra } = stage.number(name, label, { low, high, scale }, () => stage.handles.values[i], write);
      extra.dataset.handle = `values.${i}`;
      this.syncs.push(sync);
      return h("div", { class: "lv-param" }, h("div", { class: "lv-param-head" }, ...control), extra, this.span(name, i, ranges[i], name === open));
    });
    const held = [...this.parameters.querySelectorAll("input")].indexOf(document.activeElement);
    this.parameters.replaceChildren(...made);
    this.parameters.querySelectorAll("input")[held]?.focus();
    this.parameters.classList.toggle("lv-formula-many", names.length > MOST_BESIDE);
    for (const sync of this.syncs) sync();
  }

  /** Where a slider begins and ends and how it is spaced: shown in a word, to be changed below it. */
  span(name, place, [low, high, scale], open) {
    const { text } = this.stage.data;
    const log = scale === "log";
    const words = fill(log ? text.spanLog : text.span, { low: plain(low), high: plain(high) });
    const end = (value, label) => h("input", { type: "number", step: "any", value, "aria-label": fill(label, { name }), onchange: () => change() });
    const from = end(low, text.lowest);
    const to = end(high, text.highest);
    const spaced = h("input", { type: "checkbox", onchange: () => change() });
    spaced.checked = log;
    const said = h("p", { class: "lv-formula-error", role: "status" });
    const fields = h("div", { class: "lv-formula-range" }, from, "…", to, h("label", {}, spaced, text.log), said);
    const change = () => {
      const good = this.rescale(name, place, Number(from.value || NaN), Number(to.value || NaN), spaced.checked);
      said.textContent = good ? "" : fill(text.spanWrong, { largest: plain(this.stage.data.largest) });
    };
    return h("details", { class: "lv-formula-span", "data-range": name, open }, h("summary", { "aria-label": fill(text.spanOf, { name, range: words }) }, words), fields);
  }

  /** The name of the parameter whose range is being changed. */
  opened() {
    return this.parameters.querySelector("details[open]")?.dataset.range;
  }

  /** Another range, if it is one: kept by name while the page is open, in the address for the names of this formula. */
  rescale(name, place, low, high, log) {
    const { stage } = this;
    const { largest } = stage.data;
    if (!(-largest <= low && low < high && high <= largest) || (log && low <= 0)) return false;
    this.ranged.set(name, [low, high, ...(log ? ["log"] : [])].join(":"));
    const values = [...stage.handles.values];
    values[place] = Math.min(high, Math.max(low, values[place]));
    stage.moved({ values, ranges: this.written(this.names) });
    stage.report();
    return true;
  }

  /** What the answer says of these names, which an address may have said. */
  remember(names, ranges) {
    for (const name of names) this.ranged.delete(name);
    for (const [name, ...range] of ranges ? ranges.split(",").map((part) => part.split(":")) : []) this.ranged.set(name, range.join(":"));
  }

  written(names) {
    return names.filter((name) => this.ranged.has(name)).map((name) => `${name}:${this.ranged.get(name)}`).join(",");
  }

  // --- the stage's calls

  sync() {
    super.sync();
    if (!this.input) return;
    const { formula } = this.stage.handles;
    if (!this.typed && !this.failed && document.activeElement !== this.input) this.input.value = formula;
    else if (formula !== this.good && formula !== this.typed) {
      this.forget();
      this.input.value = formula;
    } else if (!this.input.value) this.input.value = formula;
    for (const sync of this.syncs ?? []) sync();
  }

  wanted() {
    return [...super.wanted(), "checks"];
  }

  draw(frame) {
    const { parameters, ranges, mathml, checks } = frame.told;
    const { formula, values } = frame.handles;
    if (this.accept(frame.handles, parameters)) return this.stage.ask();
    parameters.forEach((name, i) => this.known.set(name, values[i]));
    this.remember(parameters, frame.handles.ranges);
    this.slide(parameters, ranges);
    if (!this.failed && this.shown !== formula) {
      this.understood.replaceChildren(math(mathml));
      this.said.replaceChildren(h("span", { class: "lv-fine" }, this.stage.data.text.understood), this.understood);
    }
    this.shown = this.failed ? undefined : formula;
    this.inDetail(formula, mathml);
    this.check(checks, frame.seq);
    super.draw(frame);
    if (this.leaving && !this.typed) this.leave();
  }

  /** The formula beside its number, in the panel. */
  inDetail(formula, mathml) {
    const held = this.stage.root.querySelector(`.lv-detail output[data-loss="${OWN}"][data-lines]`)?.previousElementSibling;
    if (!held || held.dataset.shown === formula) return;
    held.replaceChildren(math(mathml));
    held.dataset.shown = formula;
  }

  check(checks, seq) {
    const { properties } = this.stage.data.text;
    const found = Object.fromEntries(checks.map((check) => [check.name, check]));
    for (const { name, row, mark, words } of this.checked) {
      const { holds, trials, kind, numbers } = found[name];
      const { yes, no, none } = properties[name];
      const shown = Object.fromEntries(Object.entries(numbers).map(([part, value]) => [part, short(value)]));
      row.className = holds == null ? "lv-na" : holds ? "lv-yes" : "lv-no";
      row.dataset.numbers = JSON.stringify(numbers);
      row.dataset.holds = String(holds);
      row.dataset.seq = seq;
      mark.textContent = holds == null ? "–" : holds ? "✓" : "✗";
      words.textContent = fill(holds == null ? none : holds ? yes : no[kind], { ...shown, trials });
    }
  }

  dispose() {
    clearTimeout(this.pause);
    clearTimeout(this.keeping);
    this.stage.root.classList.remove("lv-formula-failed");
    super.dispose();
  }
}
