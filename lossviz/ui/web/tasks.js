// Task gradients: arrows in a plane that a finger turns, what each method makes of them, weights and falls as bars.

import { card } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { Picture, rows } from "./plots.js";

const SVG = "http://www.w3.org/2000/svg";
const EDGE = 14;
const HEAD_PX = 13;
const SPARE = 1.15;
const TASKS = [1, 2, 3];
const PAIRS = [[1, 2], [1, 3], [2, 3]];

export function create(tools) {
  return new Tasks(tools);
}

class Tasks {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.count = data.losses.length;
    this.main = card("lv-main lv-tasks-plane", text.plane);
    const bars = card("lv-small lv-tasks-bars", text.bars);
    const falls = card("lv-small lv-tasks-falls", text.falls);
    const numbers = card("lv-small lv-tasks-numbers", text.tasks);
    numbers.frame.replaceChildren(this.sliders());
    pictures.classList.add("lv-tasks");
    pictures.append(this.main.element, bars.element, falls.element, numbers.element);
    this.plane = new Picture(Plotly, this.main.plot, figures.plane);
    this.bars = new Picture(Plotly, bars.plot, figures.bars);
    this.falls = new Picture(Plotly, falls.plot, figures.falls);
    this.pictures = [this.plane, this.bars, this.falls];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.plane.drawn = () => {
      this.place();
      if (this.stage.frame) this.drawCone(this.stage.frame);
    };
    this.scale(data.reach * SPARE);
    for (const picture of [this.bars, this.falls]) picture.range("yaxis", -1, 1);
    this.overlay();
    for (const picture of this.pictures) picture.draw("");
    this.resizing = new ResizeObserver(() => this.place());
    this.resizing.observe(numbers.frame);
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  /** The region where nothing rises, how the gradients lie to one another, and the discs at their tips. */
  overlay() {
    const { stage } = this;
    const { data } = stage;
    const { text } = data;
    this.cone = document.createElementNS(SVG, "path");
    const sheet = document.createElementNS(SVG, "svg");
    sheet.setAttribute("class", "lv-tasks-cone");
    sheet.setAttribute("aria-hidden", "true");
    sheet.append(this.cone);
    this.said = h("span", { class: "lv-tasks-said" });
    this.pairs = PAIRS.map(([i, j]) => {
      const cosine = h("output", { name: `cosine.${i}.${j}`, "data-value": "" }, "–");
      const angle = h("output", { name: `angle.${i}.${j}`, "data-value": "" }, "–");
      const verdict = h("b", {});
      const element = h("span", { class: "lv-tasks-pair" }, h("span", {}, fill(text.pair, { i, j })), angle, h("i", {}, text.cosine), cosine, verdict);
      return { i, j, cosine, angle, verdict, element };
    });
    this.main.overlay.append(sheet, h("div", { class: "lv-tasks-pairs" }, ...this.pairs.map((pair) => pair.element), this.said));
    const spec = Object.fromEntries(data.handleSpecs.map((one) => [one.name, one]));
    this.tips = TASKS.map((k) => {
      const axes = ["x", "y"].map((axis) => ({ ...spec[`g${k}.${axis}`], name: axis }));
      const tip = plane({
        area: this.main.overlay,
        name: `g${k}`,
        label: fill(text.gradient, { k }),
        className: "lv-tasks-tip",
        specs: axes,
        place: (x, y) => this.plane.place(x, y),
        unplace: (left, top) => this.plane.unplace(left, top),
        move: ([x, y]) => this.move({ [`g${k}.x`]: x, [`g${k}.y`]: y }),
        end: () => this.end(),
      });
      tip.element.querySelector(".lv-disc").append(String(k));
      return tip;
    });
  }

  /** A row for each kind of number that a chosen method looks at, a column for each task. */
  sliders() {
    const { stage } = this;
    const { data } = stage;
    const { text } = data;
    const needed = data.handleSpecs.filter((spec) => data.needed.includes(spec.name));
    this.columns = TASKS.map(() => []);
    this.cells = [];
    const heads = TASKS.map((k) => {
      const head = h("span", { class: "lv-tasks-head" }, fill(text.task, { k }));
      this.columns[k - 1].push(head);
      return head;
    });
    const table = h("div", { class: "lv-tasks-table" }, h("span", {}), ...heads);
    for (const series of needed) {
      table.append(h("span", { class: "lv-tasks-name" }, series.label));
      for (const k of TASKS) {
        const value = h("span", { class: "lv-tasks-value", "aria-hidden": "true" });
        const area = h("span", { class: "lv-tasks-track" });
        const cell = h("span", { class: "lv-tasks-cell" }, area, value);
        this.columns[k - 1].push(cell);
        table.append(cell);
        const { low, high } = series;
        const width = () => area.clientWidth - 2 * EDGE;
        const handle = slider({
          area,
          spec: { ...series, name: `${series.name}.${k - 1}`, label: fill(text.ofTask, { label: series.label, k }), default: series.default[k - 1] },
          place: (at) => [EDGE + ((at - low) / (high - low)) * width(), area.clientHeight / 2],
          unplace: (left) => low + clamp((left - EDGE) / width(), 0, 1) * (high - low),
          move: (_, at) => this.moveSeries(series.name, k - 1, at),
          end: () => this.end(),
        });
        this.cells.push({ name: series.name, i: k - 1, handle, value });
      }
    }
    return table;
  }

  end() {
    this.stage.report();
    if (this.stage.frame && this.outside(this.stage.frame)) this.fit();
  }

  move(values) {
    this.stage.moved(values);
    this.place();
  }

  moveSeries(name, i, value) {
    const moved = [...this.stage.handles[name]];
    moved[i] = value;
    this.move({ [name]: moved });
  }

  get tasks() {
    return this.stage.data.counts[this.stage.handles.tasks];
  }

  /** The tasks of a frame. */
  shown({ handles }) {
    return TASKS.slice(0, this.stage.data.counts[handles.tasks]);
  }

  place() {
    if (!this.tips) return;
    const { handles } = this.stage;
    this.tips.forEach((tip, i) => tip.set([handles[`g${i + 1}.x`], handles[`g${i + 1}.y`]]));
    for (const { name, i, handle, value } of this.cells) {
      handle.set(handles[name][i]);
      value.textContent = handles[name][i].toFixed(2).replace("-", "−");
    }
  }

  sync() {
    const { tasks } = this;
    this.tips.forEach((tip, i) => (tip.element.hidden = i >= tasks));
    this.columns.forEach((column, i) => column.forEach((cell) => (cell.hidden = i >= tasks)));
    for (const { j, element } of this.pairs) element.hidden = j > tasks;
    this.place();
  }

  wanted() {
    return ["arrows", "bars", "falls", `formula:${this.stage.focus}`];
  }

  draw(frame) {
    if (!this.fitted) this.fitTo(frame);
    this.drawPlane(frame);
    const tasks = this.shown(frame);
    for (const name of ["bars", "falls"]) {
      const picture = this[name];
      rows(frame.arrays[name]).forEach((y, i) => picture.set(i, { x: tasks, y }));
      picture.range("xaxis", 0.5, tasks.length + 0.5);
      picture.draw(frame.seq);
    }
    this.drawPairs(frame);
  }

  drawPlane(frame) {
    const { handles, arrays } = frame;
    const tips = this.shown({ handles }).map((k) => [handles[`g${k}.x`], handles[`g${k}.y`]]);
    this.plane.set(0, { x: tips.flatMap(([x]) => [0, x, null]), y: tips.flatMap(([, y]) => [0, y, null]) });
    if (this.plane.stale) this.plane.draw(frame.seq);
    const [zero, one] = [this.plane.place(0, 0), this.plane.place(1, 0)];
    const head = HEAD_PX / (one[0] - zero[0]);
    rows(arrays.arrows).forEach(([x, y], i) => {
      const length = Math.hypot(x, y);
      const shown = handles.arrows && length > 0;
      const share = Math.max(0, 1 - head / length);
      this.plane.set(1 + i, shown ? { x: [0, x * share], y: [0, y * share] } : { x: [], y: [] });
      this.plane.set(1 + this.count + i, shown ? { x: [x * share, x, null], y: [y * share, y, null] } : { x: [], y: [] });
    });
    this.drawCone(frame);
    this.plane.draw(frame.seq);
  }

  drawCone({ arrays }) {
    const { cone } = arrays;
    const none = Number.isNaN(cone.values[0]);
    const points = none ? [] : rows(cone).map(([x, y]) => this.plane.place(x, y).map((pixel) => pixel.toFixed(1)).join(" "));
    this.cone.setAttribute("d", none ? "" : `M${points.join("L")}Z`);
    const { xaxis, yaxis } = this.main.plot._fullLayout;
    const right = this.main.plot.clientWidth - xaxis._offset - xaxis._length;
    const bottom = this.main.plot.clientHeight - yaxis._offset - yaxis._length;
    this.cone.parentElement.style.clipPath = `inset(${yaxis._offset}px ${right}px ${bottom}px ${xaxis._offset}px)`;
    const { text } = this.stage.data;
    this.said.textContent = none ? text.noCone : text.cone;
    this.said.classList.toggle("lv-tasks-none", none);
  }

  drawPairs(frame) {
    const { text } = this.stage.data;
    const numbers = Object.values(frame.numbers)[0] ?? {};
    for (const { i, j, cosine, angle, verdict } of this.pairs) {
      const write = (output, name, words) => {
        const value = numbers[`${name}.${i}.${j}`];
        output.textContent = value == null ? "–" : words(value);
        output.dataset.value = value == null ? "" : String(value);
        output.dataset.seq = frame.seq;
      };
      write(angle, "angle", (value) => fill(text.degrees, { angle: value.toFixed(1) }));
      write(cosine, "cosine", (value) => value.toFixed(3).replace("-", "−"));
      const conflict = numbers[`dot.${i}.${j}`] < 0;
      verdict.textContent = conflict ? text.conflict : text.agree;
      verdict.dataset.conflict = String(conflict);
    }
  }

  longest({ arrays, handles }) {
    const tips = this.shown({ handles }).flatMap((k) => [handles[`g${k}.x`], handles[`g${k}.y`]]);
    return Math.max(...[...arrays.arrows.values, ...tips].map(Math.abs));
  }

  outside(frame) {
    const highest = (name) => Math.max(...Array.from(frame.arrays[name].values, Math.abs));
    return this.longest(frame) > this.reach || highest("bars") > this.bars.layout.yaxis.range[1] || highest("falls") > this.falls.layout.yaxis.range[1];
  }

  scale(reach) {
    this.reach = reach;
    this.plane.range("xaxis", -reach, reach);
    this.plane.range("yaxis", -reach, reach);
  }

  fitTo(frame) {
    this.scale(Math.max(this.stage.data.reach, this.longest(frame)) * SPARE);
    for (const name of ["bars", "falls"]) {
      const values = Array.from(frame.arrays[name].values);
      const top = Math.max(0.5, ...values) * SPARE;
      this[name].range("yaxis", Math.min(0, Math.min(...values) * SPARE, name === "falls" ? -top / 3 : 0), top);
    }
    this.fitted = true;
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  list(numbers, name, tasks) {
    return TASKS.slice(0, tasks).map((k) => digits(numbers[`${name}.${k}`])).join(", ");
  }

  summary(frame) {
    const { data } = this.stage;
    const tasks = this.shown(frame).length;
    const numbers = Object.values(frame.numbers)[0] ?? {};
    const lie = PAIRS.filter(([, j]) => j <= tasks).map(([i, j]) => {
      const verdict = numbers[`dot.${i}.${j}`] < 0 ? data.text.conflict : data.text.agree;
      return `${fill(data.text.pair, { i, j })}: ${fill(data.text.degrees, { angle: digits(numbers[`angle.${i}.${j}`]) })}, ${verdict}`;
    });
    const parts = data.losses.map((loss) => {
      const own = frame.numbers[loss.key] ?? {};
      return fill(data.text.sentence, { name: loss.name, loss: digits(own.loss), weights: this.list(own, "weight", tasks), falls: this.list(own, "falls", tasks) });
    });
    return `${fill(data.text.position, { pairs: lie.join("; ") })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const head = ["", "x", "y", text.loss, ...losses.flatMap((loss) => [`${loss.name}: ${text.weight}`, `${loss.name}: ${text.fall}`])];
    const own = this.shown(frame).map((k) => [
      fill(text.task, { k }),
      frame.handles[`g${k}.x`],
      frame.handles[`g${k}.y`],
      frame.handles.losses[k - 1],
      ...losses.flatMap((loss) => [frame.numbers[loss.key]?.[`weight.${k}`], frame.numbers[loss.key]?.[`falls.${k}`]]),
    ]);
    const made = losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      return [loss.name, numbers.x, numbers.y, numbers.loss, ...losses.flatMap(() => ["–", "–"])];
    });
    return { head, body: [...own, ...made] };
  }

  dispose() {
    this.resizing.disconnect();
    for (const picture of this.pictures) picture.dispose();
  }
}
