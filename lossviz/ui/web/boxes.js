// Boxes: predicted and true box to drag and resize, the pull on every corner, the slide across and the map.

import { card } from "./cards.js";
import { clamp, digits, fill, h } from "./dom.js";
import { follow, plane } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const NAMES = ["target", "pred"]; // the predicted box lies on top
const EDGES = ["x1", "y1", "x2", "y2"];
const CORNERS = [["x1", "y1"], ["x2", "y2"], ["x2", "y1"], ["x1", "y2"]];
const FIT_SPARE = 1.08;

export function create(tools) {
  return new Boxes(tools);
}

const tidy = (value) => Math.round(value * 1000) / 1000;

class Boxes {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures, grids } = data;
    this.main = card("lv-main lv-boxes-canvas", text.canvas, this.legend());
    const slide = card("lv-small", text.slide);
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-small",
      contour: figures.contour,
      surface: figures.surface,
      grid: { x: grids.x, y: grids.y },
      key: (handles) => [EDGES.map((edge) => handles[`target.${edge}`]), this.sides(handles), handles.offsets],
      views: ["surface"],
    });
    pictures.classList.add("lv-boxes");
    pictures.append(this.main.element, slide.element, this.map.element);
    this.canvas = new Picture(Plotly, this.main.plot, figures.canvas);
    this.slide = new Picture(Plotly, slide.plot, figures.slide);
    this.pictures = [this.canvas, this.slide, ...this.map.pictures];
    data.losses.forEach((_, i) => this.slide.set(i, { x: grids.slide }));
    for (const picture of this.pictures) {
      picture.tokens = stage.tokens;
      picture.drawn = () => this.place();
    }
    for (const picture of [this.canvas, this.slide, this.map.contour]) picture.draw("");
    this.boxes();
    this.main.frame.addEventListener("dblclick", () => this.fit());
  }

  /** Which line is which. */
  legend() {
    const { text, encoded } = this.stage.data;
    const { anchor, ...always } = text.legend;
    const entry = ([name, words]) => h("span", {}, h("i", { class: `lv-boxes-mark lv-boxes-${name}` }), words);
    this.anchorMark = entry(["anchor", anchor]);
    return h("span", { class: "lv-boxes-legend" }, ...Object.entries(always).map(entry), encoded ? this.anchorMark : null);
  }

  boxes() {
    const { stage, main } = this;
    const { text } = stage.data;
    const area = main.overlay;
    const part = (name) => h("div", { class: `lv-boxes-part lv-boxes-${name}` });
    this.parts = { outer: part("outer"), anchor: part("anchor"), overlap: part("overlap") };
    this.notes = h("p", { class: "lv-boxes-notes" });
    // On the canvas and not in the legend: an arrow that changes the legend's height would change its own length.
    this.arrow = h("i");
    this.arrowKey = h("span", { class: "lv-boxes-key" }, text.arrowKey, this.arrow);
    area.append(...Object.values(this.parts), this.notes, this.arrowKey);
    this.bodies = Object.fromEntries(NAMES.map((name) => [name, part(name)]));
    this.handles = NAMES.flatMap((name) => this.grips(name));
    const centre = fill(text.centre, { box: text.boxes.pred });
    this.handles.push(this.centre("pred", "place", "lv-point", centre, this.map.overlay, this.map.contour));
  }

  /** What a box is held by: its body, its centre and its corners. */
  grips(name) {
    const { stage, main } = this;
    const { text } = stage.data;
    const box = text.boxes[name];
    const area = main.overlay;
    const end = () => stage.report();
    const body = this.bodies[name];
    area.append(body);
    follow(body, area, (left, top) => this.move(name, ...this.canvas.unplace(left, top)), end);
    const specs = Object.fromEntries(stage.data.handleSpecs.map((spec) => [spec.name, spec]));
    const own = (edge) => ({ ...specs[`${name}.${edge}`], name: edge, step: this.upwards(edge, specs[`${name}.${edge}`].step) });
    const corners = CORNERS.map((edges) => {
      const className = `lv-boxes-corner lv-boxes-${name} lv-boxes-${edges.join("")}`;
      const label = fill(text.corner[edges.join("")], { box });
      const resize = (values) => this.resize(name, Object.fromEntries(edges.map((edge, i) => [edge, values[i]])));
      const place = (x, y) => this.canvas.place(x, y);
      const group = `${name}.${edges.join("")}`;
      if (edges[0][1] === edges[1][1]) return Object.assign(plane({ area, name, group, label, className, specs: edges.map(own), place, unplace: (left, top) => this.canvas.unplace(left, top), move: resize, end }), { at: () => edges.map((edge) => stage.handles[`${name}.${edge}`]) });
      // The other two corners move the same four numbers: for the pointer alone.
      const element = h("div", { class: `lv-handle ${className}`, "data-handle": group, title: label }, h("span", { class: "lv-disc" }));
      area.append(element);
      follow(element, area, (left, top) => resize(this.canvas.unplace(left, top).map(tidy)), end);
      const set = ([x, y]) => {
        const [left, top] = place(x, y);
        element.style.transform = `translate(${left}px, ${top}px)`;
      };
      return { set, at: () => edges.map((edge) => stage.handles[`${name}.${edge}`]) };
    });
    return [this.centre(name, "centre", `lv-${name === "pred" ? "pred" : "target"}`, fill(text.centre, { box }), area, this.canvas), ...corners];
  }

  centre(name, what, className, label, area, picture) {
    const { text, canvas } = this.stage.data;
    const axis = (own, words, high) => ({ name: own, label: words, low: 0, high, step: this.upwards(own, 0.1), default: 0 });
    const handle = plane({
      area,
      name: `${name}.${what}`,
      label,
      className: `${className} lv-boxes-centre`,
      specs: [axis("x", text.centreX, canvas.width), axis("y", text.centreY, canvas.height)],
      place: (x, y) => picture.place(x, y),
      unplace: (left, top) => picture.unplace(left, top),
      move: ([x, y]) => this.move(name, x, y),
      end: () => this.stage.report(),
    });
    return Object.assign(handle, { at: () => this.middle(name) });
  }

  /** The arrow key that points up makes y smaller. */
  upwards(edge, step) {
    return edge[0] === "y" ? -step : step;
  }

  edges(name, handles = this.stage.handles) {
    return EDGES.map((edge) => handles[`${name}.${edge}`]);
  }

  middle(name) {
    const [x1, y1, x2, y2] = this.edges(name);
    return [(x1 + x2) / 2, (y1 + y2) / 2];
  }

  /** What the map depends on beside the true box, without the noise of the last digits. */
  sides(handles) {
    const [x1, y1, x2, y2] = this.edges("pred", handles);
    return [x2 - x1, y2 - y1].map((side) => Number(side.toFixed(9)));
  }

  /** Move a box's centre; it stays on the canvas as a whole and keeps its size. */
  move(name, x, y) {
    const { canvas } = this.stage.data;
    const [x1, y1, x2, y2] = this.edges(name);
    const [dx, dy] = [tidy(x - (x1 + x2) / 2), tidy(y - (y1 + y2) / 2)];
    const right = clamp(dx, -Math.min(x1, x2), canvas.width - Math.max(x1, x2));
    const down = clamp(dy, -Math.min(y1, y2), canvas.height - Math.max(y1, y2));
    this.moved(name, { x1: x1 + right, y1: y1 + down, x2: x2 + right, y2: y2 + down });
  }

  /** Move some edges; none passes the one across, and a side keeps a length. */
  resize(name, values) {
    const { canvas } = this.stage.data;
    const { smallest } = canvas;
    const held = Object.fromEntries(EDGES.map((edge) => [edge, this.stage.handles[`${name}.${edge}`]]));
    const kept = Object.entries(values).map(([edge, value]) => {
      const most = edge[0] === "x" ? canvas.width : canvas.height;
      const bounds = edge[1] === "1" ? [0, Math.max(0, held[`${edge[0]}2`] - smallest)] : [Math.min(most, held[`${edge[0]}1`] + smallest), most];
      return [edge, clamp(value, ...bounds)];
    });
    this.moved(name, Object.fromEntries(kept));
  }

  moved(name, values) {
    const { canvas } = this.stage.data;
    const inside = ([edge, value]) => [`${name}.${edge}`, clamp(Number(value.toFixed(9)), 0, edge[0] === "x" ? canvas.width : canvas.height)];
    this.stage.moved(Object.fromEntries(Object.entries(values).map(inside)));
    this.place();
  }

  /** Put everything that the state alone decides where it belongs; also after a picture changed its size. */
  place() {
    if (!this.handles) return;
    for (const name of NAMES) this.span(this.bodies[name], this.edges(name));
    for (const handle of this.handles) handle.set(handle.at());
    const { data, handles } = this.stage;
    const { width, height, anchor } = data.canvas;
    const shown = data.encoded && handles.offsets === "anchor";
    const [x, y] = [(width - anchor) / 2, (height - anchor) / 2];
    this.span(this.parts.anchor, shown ? [x, y, x + anchor, y + anchor] : null);
    this.anchorMark.hidden = !shown;
    const [from] = this.canvas.place(0, 0);
    const [to] = this.canvas.place(data.arrow.key * data.arrow.scale, 0);
    this.arrow.style.width = `${to - from}px`;
    this.arrowKey.hidden = !handles.arrows;
    const [left, top] = this.canvas.place(0, 0);
    const [right, bottom] = this.canvas.place(width, height);
    this.notes.style.transform = `translate(${left + 10}px, ${top + 8}px)`;
    this.arrowKey.style.transform = `translate(-100%, -100%) translate(${right - 10}px, ${bottom - 6}px)`;
  }

  /** Lay an element over a rectangle of the canvas. */
  span(element, edges) {
    element.hidden = !edges || edges.some((edge) => !Number.isFinite(edge));
    if (element.hidden) return;
    const [x1, y1, x2, y2] = edges;
    const [left, top] = this.canvas.place(Math.min(x1, x2), Math.min(y1, y2));
    const [right, bottom] = this.canvas.place(Math.max(x1, x2), Math.max(y1, y2));
    Object.assign(element.style, { transform: `translate(${left}px, ${top}px)`, width: `${right - left}px`, height: `${bottom - top}px` });
  }

  sync() {
    this.place();
    this.map.sync();
  }

  wanted() {
    return ["canvas", "slide", `formula:${this.stage.focus}`, ...this.map.wanted()];
  }

  draw(frame) {
    const { losses } = this.stage.data;
    const { overlap, outer, pull, slide } = frame.arrays;
    this.span(this.parts.overlap, Array.from(overlap.values));
    this.span(this.parts.outer, Array.from(outer.values));
    const corners = rows({ ...pull, shape: [losses.length, 16] });
    corners.forEach((values, i) => this.canvas.set(i, frame.handles.arrows ? this.arrowTrace(values) : { x: [], y: [] }));
    this.canvas.draw(frame.seq);
    const at = (frame.handles["pred.x1"] + frame.handles["pred.x2"]) / 2;
    rows(slide).forEach((y, i) => this.slide.set(i, { y }));
    this.slide.set(losses.length, { x: losses.map(() => at), y: losses.map((loss) => frame.numbers[loss.key]?.loss ?? null) });
    if (!this.fitted) this.fitTo(slide);
    this.slide.draw(frame.seq);
    this.map.draw(frame);
    this.say(frame);
  }

  /** Which losses leave the box alone, and how offsets are made. */
  say(frame) {
    const { losses, text, encoded, canvas } = this.stage.data;
    const still = losses.filter(({ key }) => frame.numbers[key] && EDGES.every((edge) => frame.numbers[key][`gradient.${edge}`] === 0));
    const silent = still.length ? fill(text.silent, { names: still.map((loss) => loss.name).join(", ") }) : "";
    const encoding = encoded ? fill(text.encoding[frame.handles.offsets], { side: canvas.anchor }) : "";
    const lines = [silent, encoding].filter(Boolean).join("\n");
    if (this.notes.textContent !== lines) this.notes.textContent = lines;
  }

  /** One trace for the pull of one loss on all four corners. */
  arrowTrace(values) {
    const { scale } = this.stage.data.arrow;
    const ends = [0, 4, 8, 12].map((i) => values.subarray(i, i + 4)).filter((corner) => corner.every(Number.isFinite));
    return {
      x: ends.flatMap(([x, , dx]) => [x, x + scale * dx, null]),
      y: ends.flatMap(([, y, , dy]) => [y, y + scale * dy, null]),
    };
  }

  fit() {
    this.fitted = false;
    this.stage.ask();
  }

  fitTo({ values }) {
    const top = values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, value) : most), 0) || 1;
    this.slide.range("yaxis", 0, top * FIT_SPARE);
    this.fitted = true;
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { losses, text } = this.stage.data;
    const list = (name) => `(${this.edges(name, frame.handles).map(digits).join(", ")})`;
    const parts = losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      return fill(text.sentence, { name: loss.name, loss: digits(numbers.loss), gradient: EDGES.map((edge) => digits(numbers[`gradient.${edge}`])).join(", ") });
    });
    return `${fill(text.position, { pred: list("pred"), target: list("target") })} ${parts.join(" ")}`;
  }

  table(frame) {
    const { losses, text } = this.stage.data;
    const head = [text.edge, text.boxes.pred, text.boxes.target, ...losses.map((loss) => `${loss.name}: ${text.slope}`)];
    const body = EDGES.map((edge) => [
      edge,
      frame.handles[`pred.${edge}`],
      frame.handles[`target.${edge}`],
      ...losses.map((loss) => frame.numbers[loss.key]?.[`gradient.${edge}`] ?? null),
    ]);
    return { head, body };
  }

  dispose() {
    this.map.dispose();
    for (const picture of this.pictures) picture.dispose();
  }
}
