// Embeddings: points of two or three classes in the plane or on the circle, their distances, and the pull on each.

import { card } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { plane } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const SHAPES = ["round", "square", "triangle"];
const ARROW = { longest: 0.42, low: 0.16, high: 0.6 }; // shares of half the picture's side
const FACTORS = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
const FARTHEST = 4;
const SCATTERED = 0.8;
const TOGETHER = [0.6, 0.8];
const CIRCLE = Float64Array.from({ length: 121 }, (_, i) => (2 * Math.PI * i) / 120);

export function create(tools) {
  return new Embeddings(tools);
}

const thousandths = (value) => Math.round(value * 1000) / 1000;

class Embeddings {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.keys = data.losses.map((loss) => loss.key);
    const act = (name, run) => h("button", { type: "button", class: "lv-tab lv-embeddings-act", "data-act": name, title: text[`${name}Help`], onclick: run }, text[name]);
    const acts = h("span", { class: "lv-tabs" }, act("collapse", () => this.gather()), act("scatter", () => this.scatter()));
    const main = card("lv-main", text.plane, acts);
    const distances = card("lv-embeddings-distances", text.distances, h("span", { class: "lv-embeddings-spread" }, text.spread, this.output("spread")));
    const pulls = card("lv-embeddings-pulls", text.pulls);
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-embeddings-map",
      contour: figures.map,
      surface: figures.surface,
      grid: {},
      key: (handles) => this.fixed(handles),
      views: ["surface"],
    });
    pictures.classList.add("lv-embeddings");
    pictures.append(main.element, this.map.element, distances.element, pulls.element);
    this.main = main;
    this.plane = new Picture(Plotly, main.plot, figures.plane);
    this.distances = new Picture(Plotly, distances.plot, figures.distances);
    this.pulls = new Picture(Plotly, pulls.plot, figures.pulls);
    this.pictures = [this.plane, this.distances, this.pulls, ...this.map.pictures];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.plane.drawn = () => this.place();
    this.distances.drawn = () => this.placeMeans();
    this.means = ["within", "between"].map((name) => h("span", { class: "lv-embeddings-mean", title: text[name] }, this.output(name)));
    distances.overlay.append(...this.means);
    this.made = h("p");
    this.scale = h("p");
    this.note = h("p", { class: "lv-embeddings-note", role: "status", hidden: true });
    main.frame.before(h("div", { class: "lv-embeddings-words" }, this.made, this.scale));
    main.overlay.append(this.note);
    this.handles();
    this.space();
    for (const picture of [this.plane, this.distances, this.pulls]) picture.draw("");
    main.frame.addEventListener("dblclick", () => this.fit());
  }

  /** These numbers are those of the points: every loss has the same. */
  output(name) {
    return h("output", { name, "data-loss": this.keys[0], "data-value": "" }, "–");
  }

  handles() {
    const { data } = this.stage;
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const one = (series, i, className) => {
      const { low, high, step } = specs[series];
      const axis = (offset, label) => ({ name: 2 * i + offset, label, low, high, step, default: 0 });
      return plane({
        area: this.main.overlay,
        name: series,
        group: `${series}.at.${i}`,
        label: "",
        className,
        specs: [axis(0, data.text.x), axis(1, data.text.y)],
        place: (x, y) => this.plane.place(...this.snapped(x, y)),
        unplace: (left, top) => this.plane.unplace(left, top),
        move: (at) => this.move(series, i, at),
        end: () => this.stage.report(),
      });
    };
    this.centres = SHAPES.map((_, k) => one("centres", k, "lv-embeddings-centre"));
    this.points = data.labels.two.map((_, i) => one("points", i, "lv-embeddings-point"));
    this.points.forEach((handle, i) => handle.element.querySelector(".lv-disc").append(h("b", {}, String(i + 1))));
  }

  /** On the circle a node counts at its direction from the origin. */
  snapped(x, y) {
    if (this.stage.handles.space === "plane") return [x, y];
    const length = Math.hypot(x, y);
    return length ? [x / length, y / length] : [1, 0];
  }

  move(series, i, at) {
    const values = [...this.stage.handles[series]];
    values.splice(2 * i, 2, ...this.snapped(...at).map(thousandths));
    this.stage.moved({ [series]: values, ...(series === "points" ? { mover: i + 1 } : {}) });
    this.sync();
  }

  put(points) {
    this.stage.moved({ points });
    this.sync();
    this.stage.report();
  }

  gather() {
    this.put(this.points.flatMap(() => TOGETHER));
  }

  scatter() {
    const reach = SCATTERED * this.edge;
    this.put(this.points.flatMap(() => this.snapped(...[0, 1].map(() => reach * (2 * Math.random() - 1))).map(thousandths)));
  }

  get edge() {
    return this.stage.data.edges[this.stage.handles.space];
  }

  get count() {
    return 1 + Math.max(...this.labels);
  }

  get labels() {
    return this.stage.data.labels[this.stage.handles.classes];
  }

  /** What the map depends on: everything but where its own point is. */
  fixed({ points, centres, space, classes, miner, mover }) {
    return [points.filter((_, i) => Math.floor(i / 2) !== mover - 1), centres, space, classes, miner, mover];
  }

  /** Pictures reach as far as the space does. */
  space() {
    const { edge } = this;
    const { side } = this.stage.data;
    if (edge === this.shownEdge) return;
    this.shownEdge = edge;
    for (const picture of [this.plane, this.map.contour]) for (const axis of ["xaxis", "yaxis"]) picture.range(axis, -edge, edge);
    const grid = Float64Array.from({ length: side }, (_, i) => -edge + (2 * edge * i) / (side - 1));
    for (const picture of this.map.pictures) picture.set(0, { x: grid, y: grid });
    const shown = this.stage.handles.space === "circle";
    this.plane.set(0, { x: shown ? CIRCLE.map(Math.cos) : [], y: shown ? CIRCLE.map(Math.sin) : [] });
    this.factor = undefined;
    this.plane.draw(this.plane.seq);
  }

  place() {
    if (!this.points) return;
    const { points, centres, mover } = this.stage.handles;
    this.points.forEach((handle, i) => handle.set(points.slice(2 * i, 2 * i + 2)));
    this.centres.forEach((handle, k) => handle.set(centres.slice(2 * k, 2 * k + 2)));
    this.points.forEach(({ element }, i) => element.classList.toggle("lv-embeddings-mover", i === mover - 1));
  }

  placeMeans() {
    this.means.forEach((mean, i) => {
      const [left, top] = this.distances.place(this.distances.layout.xaxis.range[1], 1 - i);
      mean.style.transform = `translate(${left + 8}px, ${top}px) translateY(-50%)`;
    });
  }

  sync() {
    const { data, handles, focus } = this.stage;
    const { text, classNames } = data;
    this.space();
    this.place();
    this.points.forEach(({ element }, i) => {
      const kind = this.labels[i];
      element.dataset.shape = SHAPES[kind];
      element.setAttribute("aria-label", fill(text.point, { k: i + 1, name: classNames[kind] }));
    });
    this.centres.forEach(({ element }, k) => {
      element.dataset.shape = SHAPES[k];
      element.hidden = k >= this.count || !Object.values(data.centred).some(Boolean);
      element.classList.toggle("lv-embeddings-idle", !data.centred[focus]);
      element.setAttribute("aria-label", fill(text.centre, { name: classNames[k] }));
    });
    this.made.textContent = data.made[focus]?.[handles.miner] ?? data.made[focus]?.[""] ?? "";
    this.map.sync();
    const name = data.losses.find((loss) => loss.key === focus)?.name;
    if (name) this.map.title.textContent = fill(text.map, { name, mover: handles.mover });
  }

  wanted() {
    const { focus } = this.stage;
    return ["nodes", "distances", "pulls", `arrows:${focus}`, `links:${focus}`, `formula:${focus}`, ...this.map.wanted()];
  }

  draw(frame) {
    const { focus } = this.stage;
    const links = frame.arrays[`links:${focus}`];
    const arrows = frame.arrays[`arrows:${focus}`];
    if (links) this.drawLinks(rows(links));
    if (arrows) this.drawArrows(rows(arrows), frame.handles.arrows);
    this.plane.draw(frame.seq);
    this.drawDistances(rows(frame.arrays.distances));
    this.distances.draw(frame.seq);
    this.drawPulls(rows(frame.arrays.pulls));
    this.pulls.draw(frame.seq);
    this.drawMap(rows(frame.arrays.nodes), arrows && rows(arrows), frame);
    this.say(frame);
  }

  drawLinks(links) {
    const parts = [[1, 0], [-1, 0], [1, 1], [-1, 1]];
    parts.forEach(([way, costs], i) => {
      const own = links.filter((link) => link[4] === way && link[5] === costs);
      this.plane.set(1 + i, { x: own.flatMap(([x, , to]) => [x, to, null]), y: own.flatMap(([, y, , to]) => [y, to, null]) });
    });
    this.linked = links.length > 0;
  }

  /** One scale for all arrows: a step, or a round multiple of it where a step is too long or too short to see. */
  drawArrows(steps, wanted) {
    const longest = Math.max(0, ...steps.map(([, , dx, dy]) => Math.hypot(dx, dy) || 0));
    const { edge } = this;
    const length = (factor) => (factor * longest) / edge;
    if (longest && !(length(this.factor) > ARROW.low && length(this.factor) < ARROW.high)) {
      this.factor = length(1) > ARROW.low && length(1) < ARROW.high ? 1 : FACTORS.findLast((factor) => length(factor) < ARROW.longest) ?? FACTORS[0];
    }
    const shown = wanted && longest > this.stage.data.still ? steps : [];
    this.plane.set(5, arrowTrace(shown, this.factor));
    const { text } = this.stage.data;
    this.scale.textContent = [this.linked ? text.links : "", shown.length ? fill(text.scale, { factor: this.factor }) : ""].filter(Boolean).join(" · ");
  }

  drawDistances(pairs) {
    [1, 0].forEach((same, i) => {
      const own = pairs.filter((pair) => pair[1] === same).map(([distance]) => distance);
      const mean = own.reduce((sum, distance) => sum + distance, 0) / own.length;
      this.distances.set(i, { x: own, y: own.map(() => same) });
      this.bounds ??= [];
      this.bounds[i] = { x: [mean, mean, null], y: [same - 0.32, same + 0.32, null] };
    });
    this.distances.set(2, { x: this.bounds.flatMap(({ x }) => x), y: this.bounds.flatMap(({ y }) => y) });
    const most = Math.max(...pairs.map(([distance]) => distance));
    const top = Math.max(this.farthest ?? (this.stage.handles.space === "circle" ? 2.1 : FARTHEST), most * 1.05);
    this.farthest = top;
    this.distances.range("xaxis", 0, top);
  }

  drawPulls(lengths) {
    lengths.forEach((row, i) => this.pulls.set(i, { y: Array.from(row, (v) => (Number.isFinite(v) ? v : null)).slice(0, this.pulls.data[i].x.length) }));
    const most = Math.max(0, ...lengths.flatMap((row) => Array.from(row).filter(Number.isFinite)));
    if (!this.hardest || most > this.hardest) this.hardest = most * 1.1 || 1;
    this.pulls.range("yaxis", 0, this.hardest);
  }

  drawMap(nodes, steps, frame) {
    const { contour } = this.map;
    const { mover, arrows } = frame.handles;
    const own = mover - 1;
    const others = nodes.slice(0, this.points.length).filter((_, i) => i !== own);
    contour.set(1, { x: others.map(([x]) => x), y: others.map(([, y]) => y) });
    contour.set(2, { x: [nodes[own][0]], y: [nodes[own][1]] });
    contour.set(3, arrowTrace(arrows && steps && this.factor ? [steps[own]] : [], this.factor));
    this.map.draw(frame);
    contour.draw(frame.seq);
  }

  say(frame) {
    const { losses, text, coincide, still } = this.stage.data;
    const all = Object.values(frame.numbers);
    const stuck = losses.filter((loss) => frame.numbers[loss.key]?.gradient < still);
    const none = all.length && stuck.length === all.length;
    const pull = none ? text.stands : stuck.length ? fill(text.stuck, { names: stuck.map((loss) => loss.name).join(", ") }) : "";
    const words = [all[0]?.spread < coincide ? text.coincides : "", pull];
    this.note.textContent = words.filter(Boolean).join(" ");
    this.note.hidden = !this.note.textContent;
  }

  fit() {
    this.farthest = this.hardest = this.factor = undefined;
    this.stage.ask();
  }

  redress() {
    for (const picture of this.pictures) {
      picture.tokens = this.stage.tokens;
      picture.redraw();
    }
  }

  summary(frame) {
    const { data } = this.stage;
    const shape = Object.values(frame.numbers)[0] ?? {};
    const means = Object.fromEntries(["within", "between", "spread"].map((name) => [name, digits(shape[name])]));
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key];
      return fill(data.text.sentence, { name: loss.name, loss: digits(numbers?.loss), gradient: digits(numbers?.gradient) });
    });
    return `${fill(data.text.position, means)} ${parts.join(" ")} ${this.note.textContent}`;
  }

  table(frame) {
    const { losses, text, classNames } = this.stage.data;
    const head = [text.node, text.aClass, "x", "y", ...losses.flatMap((loss) => ["x", "y"].map((axis) => `${loss.name}: ${text.slope} ${axis}`))];
    const body = rows(frame.arrays.nodes).map(([x, y], i) => {
      const kind = i < this.points.length ? this.labels[i] : i - this.points.length;
      const name = i < this.points.length ? String(i + 1) : fill(text.centreName, { name: classNames[kind] });
      const slopes = losses.flatMap((loss) => ["x", "y"].map((axis) => frame.numbers[loss.key]?.[`gradient.${i + 1}.${axis}`]));
      return [name, classNames[kind], x, y, ...slopes.map((slope) => slope ?? "–")];
    });
    return { head, body };
  }

  dispose() {
    this.map.dispose();
    for (const picture of this.pictures) picture.dispose();
  }
}

function arrowTrace(steps, factor) {
  const finite = steps.filter((step) => step.every(Number.isFinite));
  return {
    x: finite.flatMap(([x, , dx]) => [x, x + factor * dx, null]),
    y: finite.flatMap(([, y, , dy]) => [y, y + factor * dy, null]),
  };
}
