// A batch under the microscope: what each row adds to the mean, and the mean's gradient by its logits; class weights.

import { digits, fill, h } from "./dom.js";

const WEIGHT_STEP = 0.1;

/** A card of its own for the scene of several classes, shown while the option `batch` is set. */
export class Batch {
  constructor(stage) {
    this.stage = stage;
    const { text, handleSpecs, count } = stage.data;
    const words = text.batch;
    this.title = h("span");
    this.note = h("p", { class: "lv-note" });
    this.body = h("tbody");
    const heads = [...words.head.map((head) => h("th", { scope: "col", rowspan: 2 }, head)), h("th", { scope: "colgroup", colspan: count }, words.gradient)];
    const classes = Array.from({ length: count }, (_, i) => h("th", { scope: "col" }, `z${i + 1}`));
    this.table = h("table", {}, h("thead", {}, h("tr", {}, ...heads), h("tr", {}, ...classes)), this.body);
    this.sum = h("p", { class: "lv-classes-sum" });
    const spec = handleSpecs.find(({ name }) => name === "weights");
    this.weights = Array.from({ length: count }, (_, i) => this.weight(spec, i));
    this.panel = h("fieldset", { class: "lv-classes-weights" }, h("legend", {}, words.weights), ...this.weights.map(({ element }) => element));
    const shown = h("div", { class: "lv-classes-rows" }, this.table, this.note, this.sum);
    this.element = h("figure", { class: "lv-card lv-classes-batch" }, h("figcaption", {}, this.title), h("div", { class: "lv-classes-lens" }, shown, this.panel));
  }

  weight(spec, i) {
    const { stage } = this;
    const value = h("output", { class: "lv-classes-weight" });
    const input = h("input", { type: "range", min: spec.low, max: spec.high, step: WEIGHT_STEP, "data-handle": `weights.${i}` });
    input.addEventListener("input", () => {
      stage.moved({ weights: stage.handles.weights.map((old, j) => (j === i ? Number(input.value) : old)) });
      value.textContent = Number(input.value).toFixed(1);
    });
    input.addEventListener("change", () => stage.report());
    return { element: h("label", {}, h("span", {}, fill(stage.data.text.aClass, { k: i + 1 })), input, value), input, value };
  }

  sync() {
    const { data, focus, handles } = this.stage;
    this.element.hidden = !handles.batch;
    const loss = data.losses.find(({ key }) => key === focus);
    this.title.textContent = loss ? fill(data.text.batch.title, { name: loss.name }) : "";
    this.panel.hidden = !data.weighted.includes(focus);
    this.weights.forEach(({ input, value }, i) => {
      input.value = handles.weights[i];
      value.textContent = handles.weights[i].toFixed(1);
    });
  }

  draw(frame) {
    const { batch } = frame.told;
    if (this.element.hidden) return;
    const rows = batch?.rows ?? [];
    this.note.textContent = batch?.note ?? "";
    this.body.replaceChildren(...rows.map((row, i) => this.row(row, i)));
    this.sum.hidden = !rows.length;
    if (rows.length) this.sum.textContent = fill(this.stage.data.text.batch.sum, { sum: digits(batch.sum), over: digits(batch.over), mean: digits(batch.mean) });
    this.element.dataset.seq = frame.seq;
  }

  row({ label, ignored, loss, part, share, gradient }, i) {
    const { batch } = this.stage.data.text;
    const number = (name, value, words = digits(value)) => h("output", { name: `batch.${i}.${name}`, "data-value": String(value) }, words);
    const percent = share == null ? "–" : `${(100 * share).toFixed(1)} %`;
    const bar = h("i", { style: `--share: ${Math.max(0, Math.min(1, share ?? 0))}` });
    const most = Math.max(...gradient.map(Math.abs), 1e-9);
    const cells = gradient.map((slope, k) => h("td", { class: "lv-classes-slope", "data-sign": slope < 0 ? "less" : "more", style: `--size: ${Math.round((45 * Math.abs(slope)) / most)}%` }, number(`gradient.${k + 1}`, slope, slope.toFixed(3).replace("-", "−"))));
    const attributes = ignored ? { class: "lv-classes-ignored" } : {};
    return h(
      "tr",
      attributes,
      h("th", { scope: "row" }, batch.rows[i]),
      h("td", {}, ignored ? `${label} (${batch.ignored})` : String(label)),
      h("td", {}, number("loss", loss)),
      h("td", { class: "lv-classes-part" }, bar, number("part", part, percent)),
      ...cells,
    );
  }
}
