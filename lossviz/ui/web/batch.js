// A batch under the microscope: what each row adds to what a reduction makes of the values, and the gradient by its
// logits; labels of the rows, class weights.

import { digits, fill, h, show } from "./dom.js";

const WEIGHT_STEP = 0.1;
const REDUCTIONS = ["mean", "sum", "none"];

/** A card of its own for the scene of several classes, shown while the option `batch` is set. */
export class Batch {
  constructor(stage) {
    this.stage = stage;
    const { text, handleSpecs, count } = stage.data;
    const words = text.batch;
    this.title = h("span");
    this.tabs = REDUCTIONS.map((name) => h("button", { type: "button", class: "lv-tab", "data-reduction": name, onclick: () => this.write({ reduction: name }) }, name));
    const tabs = h("span", { class: "lv-tabs", role: "group", "aria-label": words.reduction }, ...this.tabs);
    this.note = h("p", { class: "lv-note" });
    this.share = h("th", { scope: "col", rowspan: 2 });
    this.gradient = h("th", { scope: "colgroup", colspan: count });
    const heads = words.logits.map((head) => h("th", { scope: "col", rowspan: 2 }, head));
    const classes = Array.from({ length: count }, (_, i) => h("th", { scope: "col" }, `z${i + 1}`));
    this.rows = words.rows.map((name, i) => this.row(name, i));
    const body = h("tbody", {}, ...this.rows.map(({ element }) => element));
    const table = h("table", {}, h("thead", {}, h("tr", {}, ...heads, this.share, this.gradient), h("tr", {}, ...classes)), body);
    this.sum = h("p", { class: "lv-classes-sum" });
    const spec = handleSpecs.find(({ name }) => name === "weights");
    this.weights = Array.from({ length: count }, (_, i) => this.weight(spec, i));
    this.panel = h("fieldset", { class: "lv-classes-weights" }, h("legend", {}, words.weights), ...this.weights.map(({ element }) => element));
    const shown = h("div", { class: "lv-classes-rows" }, table, this.note, this.sum);
    this.element = h("figure", { class: "lv-card lv-classes-batch" }, h("figcaption", {}, this.title, tabs), h("div", { class: "lv-classes-lens" }, shown, this.panel));
  }

  /** Something was chosen: shown at once, kept by the page. */
  write(values) {
    const { stage } = this;
    Object.assign(stage.handles, values);
    stage.sync();
    stage.report();
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

  /** The first row is the one held in the picture, and its label the label there. */
  row(name, i) {
    const { data } = this.stage;
    const { batch } = data.text;
    const number = (what) => h("output", { name: `batch.${i}.${what}`, "data-value": "" });
    const numbers = { loss: number("loss"), part: number("part") };
    const slopes = Array.from({ length: data.count }, (_, k) => number(`gradient.${k + 1}`));
    const cells = slopes.map((output) => h("td", { class: "lv-classes-slope" }, output));
    const bar = h("i");
    const select = i === 0 && data.soft ? null : this.select(i, fill(batch.labelOf, { row: name }));
    const ignored = h("span", { hidden: true }, ` (${batch.ignored})`);
    const label = h("td", {}, select ?? batch.soft, ignored);
    const element = h("tr", {}, h("th", { scope: "row" }, name), label, h("td", {}, numbers.loss), h("td", { class: "lv-classes-part" }, bar, numbers.part), ...cells);
    return { element, select, ignored, ...numbers, bar, slopes, cells };
  }

  select(i, name) {
    const { stage } = this;
    const { count } = stage.data;
    const classes = Array.from({ length: count }, (_, k) => h("option", { value: k + 1 }, String(k + 1)));
    const others = () => stage.handles.labels.map((old, j) => (j === i - 1 ? Number(select.value) : old));
    const onchange = () => this.write(i === 0 ? { label: Number(select.value) } : { labels: others() });
    const select = h("select", { "aria-label": name, "data-handle": i === 0 ? "batch.label" : `labels.${i - 1}`, onchange }, ...classes, i === 0 ? null : h("option", { value: 0 }, stage.data.text.batch.ignore));
    return select;
  }

  sync() {
    const { data, focus, handles } = this.stage;
    const { batch } = data.text;
    const { reduction } = handles;
    this.element.hidden = !handles.batch;
    const loss = data.losses.find(({ key }) => key === focus);
    this.title.textContent = loss ? fill(batch.title[reduction], { name: loss.name }) : "";
    for (const tab of this.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.reduction === reduction));
    this.share.textContent = batch.share[reduction];
    this.gradient.textContent = batch.gradient[reduction];
    this.rows.forEach(({ select }, i) => {
      if (!select) return;
      const label = i === 0 ? handles.label : handles.labels[i - 1];
      select.value = label && i > 0 ? ((label - 1) % data.count) + 1 : label;
    });
    this.panel.hidden = !data.weighted.includes(focus);
    this.weights.forEach(({ input, value }, i) => {
      input.value = handles.weights[i];
      value.textContent = handles.weights[i].toFixed(1);
    });
  }

  draw(frame) {
    const { batch } = frame.told;
    if (this.element.hidden) return;
    this.note.textContent = batch?.note ?? "";
    this.rows.forEach((row, i) => this.drawRow(row, batch?.rows?.[i], frame.seq));
    this.sum.hidden = !batch?.rows;
    this.sum.replaceChildren(...(batch?.rows ? this.summed(batch, frame.handles) : []));
    this.element.dataset.seq = frame.seq;
  }

  /** Without an answer for it a row keeps its label and has no numbers. */
  drawRow({ element, select, ignored, loss, part, bar, slopes, cells }, row, seq) {
    element.classList.toggle("lv-classes-ignored", Boolean(row?.ignored));
    ignored.hidden = !row?.ignored || select?.value === "0";
    show(loss, row?.loss, seq);
    show(part, row?.part, seq);
    part.textContent = row?.share == null ? "–" : `${(100 * row.share).toFixed(1)} %`;
    bar.hidden = row?.share == null;
    bar.style.setProperty("--share", Math.max(0, Math.min(1, row?.share ?? 0)));
    const most = Math.max(...(row?.gradient ?? []).map(Math.abs), 1e-9);
    slopes.forEach((output, k) => {
      const slope = row?.gradient[k];
      show(output, slope, seq);
      if (slope != null) output.textContent = slope.toFixed(3).replace("-", "−");
      cells[k].dataset.sign = slope < 0 ? "less" : "more";
      cells[k].style.setProperty("--size", `${Math.round((45 * Math.abs(slope ?? 0)) / most)}%`);
    });
  }

  /** What becomes of the values, with every number in it. */
  summed({ rows, reduction, ...numbers }, { soft }) {
    const { data, focus, params } = this.stage;
    const { batch } = data.text;
    const number = (name) => h("output", { name: `batch.${name}`, "data-value": String(numbers[name]) }, digits(numbers[name]));
    const counts = rows.map((row) => row.counts);
    const short = (count) => String(Number(count.toPrecision(4)));
    const over = number("over");
    over.textContent = short(numbers.over);
    const summed = counts.every((count) => count === 1) ? [over] : [`(${counts.map(short).join(" + ")} = `, over, ")"];
    const lines = [said(batch.sum[reduction], { sum: number("sum"), over: h("span", {}, ...summed), mean: number("mean") })];
    if (reduction === "mean" && numbers.over !== rows.length) {
      const weighted = rows.some((row) => !row.ignored && row.counts !== 1);
      const why = !rows.some((row) => row.ignored) ? "weighted" : weighted ? "both" : "ignored";
      const index = String(params[focus].ignore_index).replace("-", "−");
      lines.push([" "], said(batch.plain[why], { rows: String(rows.length), index, plain: number("plain") }));
    }
    if (reduction === "mean" && soft.length && data.weighted.includes(focus)) lines.push([" "], [batch.rowsCount]);
    return lines.flat();
  }
}

/** A translated sentence with elements in the places of its names. */
const said = (text, parts) => text.split(/\{(\w+)\}/).map((part, i) => (i % 2 ? parts[part] : part));
