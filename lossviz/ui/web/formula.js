// Your own loss: a field for its formula and sliders for its parameters above the pictures of scalar regression.

import { digits, fill, h, math } from "./dom.js";
import { Regression } from "./regression.js";

const PAUSE_MS = 150;
const KEEP_AFTER_MS = 700;
const BEFORE_CARET = 36;
const AFTER_CARET = 20;
const MOST_BESIDE = 2;
const OWN = "formula";

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
    this.understood = h("div", { class: "lv-math" });
    this.said = h("div", { class: "lv-formula-said", id: "lv-formula-said", role: "status" });
    this.parameters = h("div", { class: "lv-formula-parameters" });
    const examples = data.presets.map((preset) => h("button", { class: "lv-chip", type: "button", "data-preset": preset.name, onclick: () => this.take(preset) }, preset.name));
    this.rail = h(
      "section",
      { class: "lv-card lv-formula-rail" },
      h("div", { class: "lv-formula-line" }, h("label", { for: "lv-formula-field" }, text.field), this.input),
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
    this.fitted = false;
    stage.moved({ formula, values: this.filled(values) });
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
  }

  /** The text is no formula: the last good one stays, greyed. */
  refused({ error, position }) {
    const { handles, data } = this.stage;
    if (handles.formula === this.good) return false;
    this.failed = { error, position, text: handles.formula };
    this.typed = undefined;
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
    this.stage.root.classList.toggle("lv-formula-failed", Boolean(this.failed));
  }

  /** The formula was understood: keep each parameter's value by its name. Whether the values had to change places. */
  accept({ formula, values }, names) {
    const fresh = formula === this.typed && formula !== this.good;
    if (formula !== this.good) this.fitted = false;
    this.good = formula;
    if (formula === this.stage.handles.formula && formula === this.input.value) {
      this.failed = this.typed = undefined;
      this.mark();
    }
    if (!fresh) return false;
    this.stage.handles.values = this.filled(names.map((name) => this.known.get(name) ?? 1));
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.stage.report(), KEEP_AFTER_MS);
    return String(this.stage.handles.values) !== String(values);
  }

  // --- parameters

  /** A slider and an exact number for each name. */
  slide(names) {
    if (String(names) === String(this.names) && this.syncs) return;
    this.names = names;
    const { stage } = this;
    this.syncs = [];
    const made = names.map((name, i) => {
      const write = (value, done) => {
        const values = [...stage.handles.values];
        values[i] = value;
        stage.moved({ values });
        for (const sync of this.syncs) sync();
        if (done) stage.report();
      };
      const label = fill(stage.data.text.parameter, { name });
      const { control, sync, extra } = stage.number(name, label, { ...this.range, scale: "linear" }, () => stage.handles.values[i], write);
      extra.dataset.handle = `values.${i}`;
      this.syncs.push(sync);
      return h("div", { class: "lv-param" }, h("div", { class: "lv-param-head" }, ...control), extra);
    });
    this.parameters.replaceChildren(...made);
    this.parameters.classList.toggle("lv-formula-many", names.length > MOST_BESIDE);
    for (const sync of this.syncs) sync();
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
    const { parameters, mathml, checks } = frame.told;
    const { formula, values } = frame.handles;
    if (this.accept(frame.handles, parameters)) return this.stage.ask();
    parameters.forEach((name, i) => this.known.set(name, values[i]));
    this.slide(parameters);
    if (!this.failed && this.shown !== formula) {
      this.understood.replaceChildren(math(mathml));
      this.said.replaceChildren(h("span", { class: "lv-fine" }, this.stage.data.text.understood), this.understood);
    }
    this.shown = this.failed ? undefined : formula;
    this.inDetail(formula, mathml);
    this.check(checks, frame.seq);
    super.draw(frame);
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
