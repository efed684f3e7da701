// Masks: a predicted and a true mask to paint, the gradient of every pixel, and what one pixel alone could do.

import { card } from "./cards.js";
import { clamp, digits, fill, h, show } from "./dom.js";
import { slider } from "./handles.js";
import { Picture, rows } from "./plots.js";

const NAMES = ["pred", "target"];
const REPORT_AFTER_KEY_MS = 400;
const FIT_SPARE = 1.08;
const STEEP_EDGE = 0.02;
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export function create(tools) {
  return new Masks(tools);
}

/** A number short enough for a cell. */
function brief(value) {
  if (!Number.isFinite(value)) return "";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size >= 1000 || size < 1e-3) return sign + size.toExponential(0).replace("e+", "e");
  return sign + (size >= 1 ? String(Number(size.toPrecision(2))) : size.toFixed(size < 0.1 ? 3 : 2).replace(/^0/, ""));
}

const share = (value) => (value === 0 || value === 1 ? "" : value.toFixed(2).replace(/^0/, "").replace(/0$/, ""));

class Masks {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.side = data.side;
    this.count = data.side * data.side;
    this.sums = [];
    this.grids = Object.fromEntries(NAMES.map((name) => [name, this.paintable(name)]));
    this.heat = this.heatMap();
    const profile = card("lv-small lv-masks-profile", text.profile);
    this.profileCard = profile;
    pictures.classList.add("lv-masks");
    pictures.append(this.strip(), this.grids.pred.element, this.heat.element, this.grids.target.element, profile.element);
    this.profile = new Picture(Plotly, profile.plot, figures.profile);
    data.losses.forEach((_, i) => this.profile.set(i, { x: data.profile }));
    this.profile.tokens = stage.tokens;
    this.profile.drawn = () => this.placePixel();
    this.profile.draw("");
    this.pixel = slider({
      area: profile.overlay,
      spec: { name: "pred.cursor", label: text.pixel, low: 0, high: 1, step: 0.05, default: 0 },
      className: "lv-pred",
      place: (value) => this.profile.place(value, this.profile.layout.yaxis.range?.[0] ?? 0),
      unplace: (left) => this.profile.unplace(left, 0)[0],
      move: (_, value) => this.set("pred", stage.handles.cursor, value),
      end: () => this.end(),
    });
    profile.frame.addEventListener("dblclick", () => this.fit());
    this.place();
  }

  /** Where to begin. */
  strip() {
    const { text, presets } = this.stage.data;
    const buttons = Object.entries(presets).map(([name, masks]) =>
      h("button", { class: "lv-chip", type: "button", "data-preset": name, onclick: () => this.begin(masks) }, text.presets[name]),
    );
    return h("div", { class: "lv-masks-presets" }, h("span", {}, text.start), ...buttons);
  }

  begin({ pred, target }) {
    this.stage.moved({ pred: [...pred], target: [...target] });
    this.fitted = false;
    this.scale = 0;
    this.place();
    this.stage.report();
  }

  /** A card with cells in rows: a grid with a cursor. */
  cells(className, title, hint, role) {
    const cell = (i) => h("div", { role: role === "grid" ? "gridcell" : null, class: "lv-masks-cell", tabindex: role === "grid" ? -1 : null, "data-cell": i });
    const cells = Array.from({ length: this.count }, (_, i) => cell(i));
    const lines = Array.from({ length: this.side }, (_, row) => h("div", { role: role === "grid" ? "row" : null, class: "lv-masks-row" }, ...cells.slice(row * this.side, (row + 1) * this.side)));
    const grid = h("div", { class: "lv-masks-grid", style: `--side:${this.side}` }, ...lines);
    const area = h("div", { class: "lv-masks-area" }, grid);
    const note = h("div", { class: "lv-masks-note" }, hint);
    const element = h("figure", { class: `lv-card ${className}` }, h("figcaption", {}, h("span", {}, title)), area, note);
    return { element, grid, cells, note, title: element.querySelector("figcaption span") };
  }

  paintable(name) {
    const { stage } = this;
    const { text } = stage.data;
    const made = this.cells(`lv-masks-${name}`, text.grids[name], text.hints[name], "grid");
    const { grid, cells } = made;
    const sums = Object.entries(text.sums[name]).map(([sum, words]) => h("label", { class: "lv-masks-sum" }, h("span", {}, words), h("output", { name: sum, "data-value": "" }, "–")));
    made.element.firstElementChild.append(h("span", { class: "lv-masks-sums" }, ...sums));
    this.sums.push(...sums.map((label) => label.lastElementChild));
    for (const [attribute, value] of Object.entries({ role: "grid", "aria-label": text.grids[name], "data-handle": name })) grid.setAttribute(attribute, value);
    grid.addEventListener("pointerdown", (event) => this.paint(name, grid, event));
    grid.addEventListener("keydown", (event) => this.key(name, event));
    cells.forEach((cell, i) => (cell.dataset.handle = `${name}.${i}`));
    return made;
  }

  heatMap() {
    const { text } = this.stage.data;
    this.ends = [h("b"), h("b")];
    this.taken = h("p");
    const legend = h("div", { class: "lv-masks-legend" }, h("span", {}, this.ends[0], text.legendLow), h("i"), h("span", {}, this.ends[1], text.legendHigh));
    const made = this.cells("lv-masks-heat", "", "", "img");
    made.note.replaceChildren(legend, this.taken);
    made.grid.setAttribute("role", "img");
    made.grid.addEventListener("pointerdown", (event) => {
      const cell = this.at(made.grid, event);
      if (cell == null) return;
      this.stage.moved({ cursor: cell });
      this.place();
      this.stage.report();
    });
    return made;
  }

  /** The cell under the pointer. */
  at(grid, { clientX, clientY }) {
    const box = grid.getBoundingClientRect();
    const [column, row] = [clientX - box.left, clientY - box.top].map((v, i) => Math.floor((v / [box.width, box.height][i]) * this.side));
    const inside = [column, row].every((v) => v >= 0 && v < this.side);
    return inside ? row * this.side + column : null;
  }

  /** One stroke: what the first cell becomes, all others become; a fast pointer leaves no gaps. */
  paint(name, grid, down) {
    const first = this.at(grid, down);
    if (down.button !== 0 || first == null) return;
    down.preventDefault();
    grid.setPointerCapture(down.pointerId);
    this.grids[name].cells[first].focus({ preventScroll: true });
    const value = this.stroke(name, first);
    this.set(name, first, value);
    let last = down;
    const moved = (event) => {
      const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
      const pieces = Math.max(1, Math.ceil((Math.hypot(dx, dy) / grid.clientWidth) * 2 * this.side));
      for (let i = 1; i <= pieces; i += 1) {
        const cell = this.at(grid, { clientX: last.clientX + (dx * i) / pieces, clientY: last.clientY + (dy * i) / pieces });
        if (cell != null && (this.stage.handles[name][cell] !== value || cell !== this.stage.handles.cursor)) this.set(name, cell, value);
      }
      last = event;
    };
    const released = () => {
      grid.removeEventListener("pointermove", moved);
      this.end();
    };
    grid.addEventListener("pointermove", moved);
    grid.addEventListener("lostpointercapture", released, { once: true });
  }

  /** What the brush makes of a cell: its own value, or nothing where that is already. */
  stroke(name, cell) {
    const brush = name === "target" ? 1 : Math.round(this.stage.handles.brush * 100) / 100;
    return this.stage.handles[name][cell] === brush ? 0 : brush;
  }

  set(name, cell, value) {
    const values = [...this.stage.handles[name]];
    values[cell] = value;
    this.stage.moved({ [name]: values, cursor: cell });
    this.place();
  }

  key(name, event) {
    const { handles } = this.stage;
    const [row, column] = [Math.floor(handles.cursor / this.side), handles.cursor % this.side];
    const move = MOVES[event.key];
    if (move) {
      const [to, over] = [clamp(row + move[0], 0, this.side - 1), clamp(column + move[1], 0, this.side - 1)];
      this.stage.moved({ cursor: to * this.side + over });
    } else if (event.key === "Home" || event.key === "End") {
      this.stage.moved({ cursor: row * this.side + (event.key === "End" ? this.side - 1 : 0) });
    } else if (event.key === " " || event.key === "Enter") {
      this.set(name, handles.cursor, this.stroke(name, handles.cursor));
    } else return;
    event.preventDefault();
    this.place();
    this.grids[name].cells[handles.cursor].focus({ preventScroll: true });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.end(), REPORT_AFTER_KEY_MS);
  }

  /** Axes keep their range under the finger; a point that has left the picture brings a new range once let go. */
  end() {
    this.stage.report();
    const frame = this.stage.frame;
    const top = this.profile.layout.yaxis.range?.[1] ?? Infinity;
    if (frame && Object.values(frame.numbers).some(({ loss }) => loss > top)) this.fit();
    else this.stage.ask();
  }

  /** Everything that the state alone decides follows at once. */
  place() {
    const { handles, data } = this.stage;
    const { text } = data;
    for (const name of NAMES) {
      this.grids[name].cells.forEach((cell, i) => {
        const value = handles[name][i];
        const at = i === handles.cursor;
        if (cell.value !== value) {
          cell.value = value;
          cell.style.setProperty("--share", `${Math.round(1000 * value) / 10}%`);
          cell.textContent = share(value);
          cell.setAttribute("aria-label", fill(text.cell, { row: Math.floor(i / this.side) + 1, column: (i % this.side) + 1, value: Number(value.toFixed(3)) }));
        }
        cell.tabIndex = at ? 0 : -1;
        cell.classList.toggle("lv-masks-cursor", at);
      });
    }
    this.heat.cells.forEach((cell, i) => cell.classList.toggle("lv-masks-cursor", i === handles.cursor));
    for (const { cells } of [this.grids.pred, this.heat]) this.outline(cells, handles.target);
    this.placePixel();
  }

  /** Edges between object and background, on cells of another picture. */
  outline(cells, target) {
    const inside = (row, column) => row >= 0 && column >= 0 && row < this.side && column < this.side && target[row * this.side + column] > 0;
    cells.forEach((cell, i) => {
      const [row, column] = [Math.floor(i / this.side), i % this.side];
      const sides = inside(row, column) ? [[-1, 0, "top"], [1, 0, "bottom"], [0, -1, "left"], [0, 1, "right"]].filter(([y, x]) => !inside(row + y, column + x)).map(([, , side]) => side) : [];
      const edges = sides.join(" ");
      if (cell.dataset.edges !== edges) cell.dataset.edges = edges;
    });
  }

  placePixel() {
    if (!this.pixel) return;
    const { handles } = this.stage;
    this.pixel.element.dataset.handle = `pred.${handles.cursor}`;
    this.pixel.set(handles.pred[handles.cursor]);
  }

  sync() {
    this.place();
    const { data, focus } = this.stage;
    const loss = data.losses.find(({ key }) => key === focus);
    this.heat.title.textContent = loss ? fill(data.text.gradient, { name: loss.name }) : "";
    this.taken.textContent = data.taken[focus] ?? "";
  }

  wanted() {
    const { focus } = this.stage;
    return [`gradient:${focus}`, "profile", `formula:${focus}`];
  }

  draw(frame) {
    const { losses, profile: grid } = this.stage.data;
    const numbers = Object.values(frame.numbers)[0];
    for (const output of this.sums) show(output, numbers?.[output.name], frame.seq);
    this.drawHeat(frame.arrays[`gradient:${this.stage.focus}`], frame.seq);
    rows(frame.arrays.profile).forEach((y, i) => this.profile.set(i, { y }));
    const at = frame.handles.pred[frame.handles.cursor];
    this.profile.set(losses.length, { x: losses.map(() => at), y: losses.map(({ key }) => frame.numbers[key]?.loss ?? null) });
    if (!this.fitted) this.fitTo(frame, grid);
    this.profile.draw(frame.seq);
    this.placePixel();
  }

  /** Colours around 0; the ends are the largest gradient, and keep still while a finger paints unless it is exceeded. */
  drawHeat(array, seq) {
    const values = array ? array.values : new Float32Array(this.count).fill(NaN);
    const most = values.reduce((top, value) => (Number.isFinite(value) ? Math.max(top, Math.abs(value)) : top), 0);
    if (!this.stage.held || most > (this.scale ?? 0)) this.scale = most;
    this.heat.cells.forEach((cell, i) => {
      const share = this.scale && Number.isFinite(values[i]) ? Math.round((100 * Math.abs(values[i])) / this.scale) : 0;
      cell.style.setProperty("--share", `${Math.min(100, share)}%`);
      cell.dataset.sign = values[i] < 0 ? "less" : "more";
      cell.textContent = brief(values[i]);
    });
    this.ends[0].textContent = digits(-this.scale);
    this.ends[1].textContent = digits(this.scale).replace(/^(?=\d)/, "+");
    this.heat.grid.setAttribute("aria-label", `${this.heat.title.textContent}, −${digits(this.scale)} … ${digits(this.scale)}`);
    this.heat.grid.dataset.seq = seq;
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  /** Without the last steps before 0 and 1, where logarithms go through the roof, unless a point is there. */
  fitTo(frame, grid) {
    const { values } = frame.arrays.profile;
    const inner = values.filter((value, i) => Number.isFinite(value) && Math.abs(grid[i % grid.length] - 0.5) <= 0.5 - STEEP_EDGE);
    const points = Object.values(frame.numbers).map(({ loss }) => loss);
    const [low, top] = [Math.min(0, ...inner), Math.max(...inner, ...points, 1e-6)];
    this.profile.range("yaxis", low * FIT_SPARE, top * FIT_SPARE);
    this.fitted = true;
  }

  redress() {
    this.profile.tokens = this.stage.tokens;
    this.profile.redraw();
  }

  summary(frame) {
    const { losses, text } = this.stage.data;
    const first = Object.values(frame.numbers)[0] ?? {};
    const parts = losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      return fill(text.sentence, { name: loss.name, loss: digits(numbers.loss), gradient: digits(numbers.gradient) });
    });
    const sums = { area: digits(first.area), target: digits(first["area.target"]), intersection: digits(first.intersection) };
    return `${fill(text.position, sums)} ${parts.join(" ")}`;
  }

  table(frame) {
    const { text, losses } = this.stage.data;
    const { focus } = this.stage;
    const gradient = frame.arrays[`gradient:${focus}`]?.values ?? [];
    const name = losses.find(({ key }) => key === focus)?.name ?? "";
    const head = [text.row, text.column, text.grids.pred, text.grids.target, `${name}: ${text.slope}`];
    const body = frame.handles.pred.map((value, i) => [String(Math.floor(i / this.side) + 1), String((i % this.side) + 1), value, frame.handles.target[i], gradient[i] ?? null]);
    return { head, body };
  }

  dispose() {
    clearTimeout(this.timer);
    this.profile.dispose();
  }
}
