// Sparse penalties: the solution sticks to an axis or only shrinks; and scores as probabilities that are exactly 0.

import { card, swatch } from "./cards.js";
import { digits, fill, h } from "./dom.js";
import { plane, slider } from "./handles.js";
import { LossMap } from "./map.js";
import { Picture, rows } from "./plots.js";

const SCORES = ["z1", "z2", "z3"];
const LABEL_AT = 22;
const LINES = { data: 0, levels: 1, dataThrough: 2, through: 3, paths: 4 };

export function create(tools) {
  return new Sparse(tools);
}

class Sparse {
  constructor({ Plotly, stage, pictures }) {
    this.stage = stage;
    const { data } = stage;
    const { text, figures } = data;
    this.keys = data.losses.map((loss) => loss.key);
    const main = card("lv-main", text.plane);
    const path = card("lv-sparse-path", text.path);
    const maps = card("lv-sparse-maps", text.maps);
    maps.plot.remove();
    this.map = new LossMap({
      Plotly,
      stage,
      className: "lv-sparse-map",
      contour: figures.map,
      surface: figures.surface,
      grid: {},
      key: (handles) => this.mapped(handles),
      views: ["surface"],
    });
    pictures.classList.add("lv-sparse");
    pictures.append(main.element, this.map.element, maps.element, path.element);
    Object.assign(this, { main, path, maps });
    this.plane = new Picture(Plotly, main.plot, figures.plane);
    this.way = new Picture(Plotly, path.plot, figures.path);
    this.pictures = [this.plane, this.way, ...this.map.pictures];
    for (const picture of this.pictures) picture.tokens = stage.tokens;
    this.arrowsAt = LINES.paths + this.keys.length;
    this.words();
    this.scores();
    this.ends = ["w₁", "w₂"].map((name) => h("span", { class: "lv-sparse-end" }, name));
    path.overlay.append(...this.ends);
    this.plane.drawn = () => this.place();
    this.way.drawn = () => this.placeEnds();
    this.plane.draw("");
    this.way.draw("");
    this.handles();
    this.scoreSize = new ResizeObserver(() => this.place());
    this.scoreSize.observe(this.maps.frame);
    main.frame.addEventListener("dblclick", () => this.fit());
  }

  /** Under the title: what the lines are, and every penalty's solution. */
  words() {
    const { data } = this.stage;
    this.legend = h("p");
    this.arrowWords = h("p", {}, data.text.arrows);
    const solution = (loss, i) => {
      const numbers = [1, 2].map((k) => h("output", { name: `solution.${k}`, "data-loss": loss.key, "data-value": "" }, "–"));
      return h("span", { class: "lv-sparse-solution", "data-solution": loss.key }, swatch(i, data.dashes[i]), h("b", {}, loss.name), " w = (", numbers[0], ", ", numbers[1], ")");
    };
    const penalties = data.losses.map((loss, i) => [loss, i]).filter(([loss]) => data.penalties.includes(loss.key));
    this.solutions = h("div", { class: "lv-sparse-solutions" }, ...penalties.map(([loss, i]) => solution(loss, i)));
    this.main.frame.before(h("div", { class: "lv-sparse-words" }, this.solutions, ...this.groups(), this.legend, this.arrowWords));
  }

  /** For each penalty of groups: which weights are one. */
  groups() {
    const { data } = this.stage;
    this.groupers = [];
    return data.grouped.map((key) => {
      const name = data.losses.find((loss) => loss.key === key).name;
      const buttons = data.groupings.map((grouping) => {
        const element = h("button", { class: "lv-tab", type: "button", title: grouping.meaning, onclick: () => this.group(key, grouping.groups) }, grouping.name);
        this.groupers.push({ key, grouping, element });
        return element;
      });
      const label = fill(data.text.groups, { name });
      return h("div", { class: "lv-sparse-groups", role: "group", "aria-label": label }, h("span", {}, label), ...buttons);
    });
  }

  /** Level sets and path are then those of this penalty. */
  group(key, groups) {
    const { stage } = this;
    stage.params[key].groups = groups;
    stage.focus = key;
    stage.sync();
    stage.report();
  }

  /** How a penalty groups the weights, in words; nothing where it has no groups or others than are offered. */
  grouping(key, params) {
    const same = ({ groups }) => JSON.stringify(groups) === JSON.stringify(params[key]?.groups);
    return this.stage.data.grouped.includes(key) ? this.stage.data.groupings.find(same)?.name : undefined;
  }

  /** One row a class: its score on a track, and the three probabilities as bars. */
  scores() {
    const { data } = this.stage;
    const { text, maps } = data;
    const head = h("div", { class: "lv-sparse-head" }, h("span"), h("span"), ...Object.values(maps).map((title) => h("b", {}, title)));
    this.bars = SCORES.map((_, k) =>
      Object.keys(maps).map((name) => {
        const bar = h("i");
        const output = h("output", { name: `${name}.${k + 1}`, "data-loss": this.keys[0], "data-value": "" }, "–");
        return { bar, output, element: h("span", { class: "lv-sparse-share" }, h("span", {}, bar), output) };
      }),
    );
    this.tracks = SCORES.map(() => h("span", { class: "lv-sparse-track" }));
    const lines = SCORES.map((_, k) => h("div", { class: "lv-sparse-row" }, h("span", { class: "lv-sparse-class" }, fill(text.aClass, { k: k + 1 })), this.tracks[k], ...this.bars[k].map(({ element }) => element)));
    this.maps.frame.prepend(h("div", { class: "lv-sparse-scores" }, head, ...lines));
  }

  handles() {
    const { data } = this.stage;
    const specs = Object.fromEntries(data.handleSpecs.map((spec) => [spec.name, spec]));
    const end = () => this.stage.report();
    const point = (name, label, className) =>
      plane({
        area: this.main.overlay,
        name,
        label,
        className,
        specs: ["x", "y"].map((axis) => ({ ...specs[`${name}.${axis}`], name: axis })),
        place: (x, y) => this.plane.place(x, y),
        unplace: (left, top) => this.plane.unplace(left, top),
        move: ([x, y]) => this.move({ [`${name}.x`]: x, [`${name}.y`]: y }),
        end,
      });
    this.weights = point("w", data.text.weights, "lv-sparse-w");
    this.optimum = point("optimum", data.text.optimum, "lv-target lv-sparse-optimum");
    for (const [handle, name] of [[this.weights, "w"], [this.optimum, "w*"]]) handle.element.append(h("span", { class: "lv-sparse-name", "aria-hidden": "true" }, name));
    const box = (k) => {
      const area = this.maps.overlay.getBoundingClientRect();
      const track = this.tracks[k].getBoundingClientRect();
      return { left: track.left - area.left, width: track.width, top: track.top - area.top + track.height / 2 };
    };
    this.sliders = SCORES.map((name, k) => {
      const { low, high } = specs[name];
      return slider({
        area: this.maps.overlay,
        spec: specs[name],
        className: "lv-pred",
        place: (value) => [box(k).left + ((value - low) / (high - low)) * box(k).width, box(k).top],
        unplace: (left) => low + ((left - box(k).left) / box(k).width) * (high - low),
        move: (_, value) => this.move({ [name]: value }),
        end,
      });
    });
    this.label = slider({
      area: this.maps.overlay,
      spec: specs.label,
      className: "lv-target",
      place: (value) => [LABEL_AT, box(value - 1).top],
      unplace: (_, top) => {
        const far = SCORES.map((__, k) => Math.abs(box(k).top - top));
        return far.indexOf(Math.min(...far)) + 1;
      },
      move: (_, label) => this.move({ label }),
      end,
    });
  }

  move(values) {
    this.stage.moved(values);
    this.place();
  }

  place() {
    if (!this.label) return;
    const { handles } = this.stage;
    this.optimum.set([handles["optimum.x"], handles["optimum.y"]]);
    this.weights.set([handles["w.x"], handles["w.y"]]);
    for (const handle of this.sliders) handle.set(handles[handle.spec.name]);
    this.label.set(handles.label);
  }

  /** Direct labels where the lines of the path leave the picture's right side. */
  placeEnds() {
    if (!this.last) return;
    const at = this.way.layout.xaxis.range[1];
    const places = this.last.map((value) => this.way.place(at, value));
    if (Math.abs(places[0][1] - places[1][1]) < 16) {
      const middle = (places[0][1] + places[1][1]) / 2;
      const first = places[0][1] <= places[1][1] ? 0 : 1;
      places[first][1] = middle - 8;
      places[1 - first][1] = middle + 8;
    }
    this.ends.forEach((end, i) => (end.style.transform = `translate(${places[i][0] + 5}px, ${places[i][1]}px) translateY(-50%)`));
  }

  /** The penalty that level sets and path belong to: the one in focus, or else the first. */
  get penalty() {
    const { data, focus } = this.stage;
    return data.penalties.includes(focus) ? focus : data.penalties[0];
  }

  get aboutScores() {
    return !this.stage.data.penalties.includes(this.stage.focus);
  }

  /** What the map depends on beside the loss and its parameters. */
  mapped(handles) {
    return this.aboutScores ? [handles.z3, handles.label] : [handles["optimum.x"], handles["optimum.y"], handles.correlation];
  }

  sync() {
    const { data, focus } = this.stage;
    const { text } = data;
    const name = (key) => data.losses.find((loss) => loss.key === key)?.name ?? "";
    for (const { key, grouping, element } of this.groupers) element.setAttribute("aria-pressed", String(this.grouping(key, this.stage.params) === grouping.name));
    this.arrowWords.hidden = !this.stage.handles.arrows || !this.penalty;
    this.legend.textContent = this.penalty ? fill(text.key, { name: name(this.penalty) }) : text.none;
    this.path.element.querySelector("figcaption span").textContent = this.penalty ? fill(text.pathOf, { name: name(this.penalty) }) : text.path;
    for (const element of this.solutions.children) element.classList.toggle("lv-sparse-focus", element.dataset.solution === this.penalty);
    const position = this.keys.indexOf(this.penalty);
    for (const i of [LINES.levels, LINES.through, this.arrowsAt + 1]) {
      const trace = this.plane.data[i];
      trace.line = { ...trace.line, color: `@loss${Math.max(0, position)}` };
    }
    this.map.sync();
    if (this.aboutScores && focus) this.map.title.textContent = fill(text.scoreMap, { name: name(focus) });
    this.axes();
    this.place();
  }

  /** The map's axes are the two weights, or for a loss of scores the first two of these. */
  axes() {
    const { text, reach, scoreReach, side } = this.stage.data;
    const edge = this.aboutScores ? scoreReach : reach;
    const titles = this.aboutScores ? [text.score1, text.score2] : [text.weight1, text.weight2];
    if (edge === this.edge) return;
    this.edge = edge;
    const grid = Float64Array.from({ length: side }, (_, i) => -edge + (2 * edge * i) / (side - 1));
    for (const picture of this.map.pictures) picture.set(0, { x: grid, y: grid });
    ["xaxis", "yaxis"].forEach((axis, i) => {
      this.map.contour.range(axis, -edge, edge);
      this.map.contour.layout[axis].title.text = titles[i];
      this.map.surface.layout.scene[axis].title.text = titles[i];
    });
    this.map.contour.stale = this.map.surface.stale = true;
  }

  wanted() {
    const { focus } = this.stage;
    const own = this.penalty ? ["levels", "touch", "pulls"].map((view) => `${view}:${this.penalty}`) : [];
    return ["data", "solutions", "paths", "maps", `formula:${focus}`, ...own, ...this.map.wanted()];
  }

  draw(frame) {
    const { arrays, handles } = frame;
    const own = (view) => arrays[`${view}:${this.penalty}`];
    const touch = own("touch") ? sets(own("touch")) : [];
    const several = { [LINES.data]: sets(arrays.data), [LINES.levels]: own("levels") ? sets(own("levels")) : [], [LINES.dataThrough]: touch.slice(0, 1), [LINES.through]: touch.slice(1) };
    for (const [i, lines] of Object.entries(several)) this.plane.set(Number(i), joined(lines));
    this.drawPaths(sets(arrays.paths), frame);
    const pulls = own("pulls") && handles.arrows ? rows(own("pulls")) : [];
    [0, 1, 2].forEach((i) => this.plane.set(this.arrowsAt + i, arrowTrace(pulls.slice(i, i + 1))));
    const solutions = rows(arrays.solutions);
    this.plane.set(this.arrowsAt + 3, { x: solutions.map(([x]) => x), y: solutions.map(([, y]) => (Number.isNaN(y) ? null : y)) });
    this.plane.draw(frame.seq);
    this.drawShares(rows(arrays.maps));
    this.emphasise();
    const at = this.aboutScores ? [handles.z1, handles.z2] : [handles["w.x"], handles["w.y"]];
    this.map.contour.set(1, { x: [at[0]], y: [at[1]] });
    this.map.draw(frame);
    this.map.contour.draw(frame.seq);
  }

  drawPaths(paths, frame) {
    const { data } = this.stage;
    paths.forEach((path, i) => this.plane.set(LINES.paths + i, { x: path.map(([, x]) => x), y: path.map(([, , y]) => (Number.isNaN(y) ? null : y)) }));
    const path = paths[this.keys.indexOf(this.penalty)] ?? [];
    const strength = frame.params[this.penalty]?.[data.strength[this.penalty]];
    const top = strength > data.strengthShown ? data.strongest : data.strengthShown;
    this.way.range("xaxis", 0, top);
    const shown = path.filter(([s]) => s <= top);
    [1, 2].forEach((k) => this.way.set(k, { x: shown.map(([s]) => s), y: shown.map((entry) => entry[k]) }));
    this.last = shown.length ? [shown.at(-1)[1], shown.at(-1)[2]] : undefined;
    for (const end of this.ends) end.hidden = !this.last;
    const solution = rows(frame.arrays.solutions)[this.keys.indexOf(this.penalty)] ?? [];
    const here = Array.from(solution);
    this.way.set(3, { x: here.map(() => strength), y: here });
    this.way.set(0, here.length ? { x: [strength, strength], y: [-data.reach, data.reach] } : { x: [], y: [] });
    this.way.draw(frame.seq);
    this.placeEnds();
  }

  drawShares(maps) {
    this.bars.forEach((row, k) => row.forEach(({ bar }, i) => (bar.style.width = `${100 * maps[i][k]}%`)));
  }

  /** An exact zero says so. */
  emphasise() {
    const exact = this.stage.data.text.exact;
    const outputs = [...this.bars.flat().map(({ output }) => output), ...this.solutions.querySelectorAll("output")];
    for (const output of outputs) {
      const zero = output.dataset.value !== "" && Number(output.dataset.value) === 0;
      output.classList.toggle("lv-sparse-zero", zero);
      if (zero) output.textContent = `0 ${exact}`;
    }
  }

  /** A loss's name, with its groups where it has some. */
  named(loss, params) {
    const groups = this.grouping(loss.key, params);
    return groups ? fill(this.stage.data.text.ofGroups, { name: loss.name, groups }) : loss.name;
  }

  fit() {
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
    const { handles } = frame;
    const pair = (name) => `(${digits(handles[`${name}.x`])}, ${digits(handles[`${name}.y`])})`;
    const scores = SCORES.map((name) => digits(handles[name])).join(", ");
    const parts = data.losses.map((loss) => {
      const numbers = frame.numbers[loss.key] ?? {};
      const name = this.named(loss, frame.params);
      const sentence = fill(data.text.sentence, { name, loss: digits(numbers.loss), gradient: digits(numbers.gradient) });
      if (!data.penalties.includes(loss.key)) return sentence;
      return `${sentence} ${fill(data.text.solved, { first: digits(numbers["solution.1"]), second: digits(numbers["solution.2"]) })}`;
    });
    return `${fill(data.text.position, { optimum: pair("optimum"), weights: pair("w"), scores, label: handles.label })} ${parts.join(" ")}`;
  }

  /** The path of every penalty's solution. */
  table(frame) {
    const { losses, text } = this.stage.data;
    const paths = sets(frame.arrays.paths);
    const body = losses.flatMap((loss, i) => paths[i].filter((entry, j) => j % 4 === 0 && !Number.isNaN(entry[1])).map((entry) => [this.named(loss, frame.params), ...entry]));
    return { head: [text.lossHead, text.strengthHead, text.firstHead, text.secondHead], body };
  }

  dispose() {
    this.map.dispose();
    this.scoreSize.disconnect();
    for (const picture of this.pictures) picture.dispose();
  }
}

/** A list of lists of points from an array of three axes. */
function sets({ shape, values }) {
  const [count, length, width] = shape;
  return rows({ shape: [count * length, width], values }).reduce((lists, entry, i) => {
    if (i % length === 0) lists.push([]);
    lists.at(-1).push(Array.from(entry));
    return lists;
  }, []);
}

/** Several lines as one, with gaps between. */
function joined(lines) {
  return { x: lines.flatMap((line) => [...line.map(([x]) => x), null]), y: lines.flatMap((line) => [...line.map(([, y]) => (Number.isNaN(y) ? null : y)), null]) };
}

function arrowTrace(steps) {
  return { x: steps.flatMap(([x, , dx]) => [x, x + dx, null]), y: steps.flatMap(([, y, , dy]) => [y, y + dy, null]) };
}
