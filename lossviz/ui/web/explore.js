// The explorer: pictures that a finger moves, exact numbers beside them. All loss maths is the server's.

import { swatch } from "./cards.js";
import { digits, fill, h, show } from "./dom.js";
import { save, toCsv, toHtml, toPng, toSvg } from "./export.js";
import { formula, formulaLines } from "./mathematics.js";
import { loadPlotly, theme, watchTheme } from "./plots.js";
import { Proof } from "./proof.js";
import { SceneSocket } from "./socket.js";

const GONE_MS = 1500;
const MOST_SHOWN = 6;
const PLAY_MS = 120;
const stages = new WeakMap();

/** Called by Streamlit at every run of the page. */
export function render(component) {
  const root = component.parentElement.querySelector(".lv-root");
  let stage = stages.get(root);
  if (stage && stage.key !== component.data.key) {
    stage.dispose();
    stage = undefined;
  }
  if (!stage) {
    stage = new Stage(root, component.data.key);
    stages.set(root, stage);
  }
  stage.update(component);
}

/** A component can be cleaned up and mounted again in one breath, so only what is gone for good is torn down. */
export function unmounted(component) {
  const root = component.parentElement.querySelector(".lv-root");
  setTimeout(() => {
    if (root && !root.isConnected) stages.get(root)?.dispose();
  }, GONE_MS);
}

class Stage {
  constructor(root, key) {
    this.root = root;
    this.key = key;
    this.revision = 0;
  }

  /** Take the page's word for losses, parameters and handles, unless a report of ours is still on its way there. */
  update(component) {
    const { data } = component;
    this.component = component;
    this.data = data;
    if (this.leaving && data.go) {
      this.leaving = false;
      location.assign(data.go);
    }
    if (this.session && this.session !== data.session) {
      // The server was started again: its new session knows nothing of what was done here since the address was written.
      this.session = data.session;
      this.revision = data.revision;
      return this.report();
    }
    this.session = data.session;
    if (data.revision < this.revision) return;
    const arrived = JSON.stringify([data.handles, data.params, data.focus, data.tab]);
    const first = !this.geometry;
    if (first || arrived !== this.arrived) {
      this.arrived = arrived;
      if (!this.held) Object.assign(this, structuredClone({ handles: data.handles, params: data.params, focus: data.focus, tab: data.tab }));
    }
    const losses = JSON.stringify([data.scene, data.present, data.losses.map((loss) => loss.key), data.numbers]);
    if (losses !== this.losses) {
      this.losses = losses;
      this.build();
    } else this.sync();
    this.socket?.link.again();
  }

  async build() {
    const building = (this.building = Symbol("building"));
    const { data, root } = this;
    this.ready = false;
    cancelAnimationFrame(this.drawing);
    this.drawing = 0;
    const [Plotly, geometry] = await Promise.all([loadPlotly(data.folder), import(`./${data.scene}.js`)]);
    if (building !== this.building || !root.isConnected) return;
    this.pause();
    this.geometry?.dispose();
    this.tokens = theme(root);
    this.status = h("p", { class: "lv-status", role: "status" });
    const pictures = (this.pictures = h("div", { class: "lv-pictures" }));
    const below = data.entry ? h("div", { class: "lv-below" }) : null;
    root.replaceChildren(...[pictures, data.hero ? null : this.side(), below, this.status].filter(Boolean));
    root.classList.toggle("lv-hero", Boolean(data.hero));
    root.classList.toggle("lv-present", Boolean(data.present));
    this.geometry = geometry.create({ Plotly, stage: this, pictures, below });
    this.ready = true;
    this.since = this.socket?.seq ?? 0; // answers to what was asked before belong to other losses or another scene
    this.themes ??= watchTheme(root, () => {
      this.tokens = theme(root);
      this.geometry.redress();
    });
    this.sync();
    this.socket ??= new SceneSocket({
      base: data.base,
      token: () => this.data.token,
      renew: () => this.component.setTriggerValue("token", String(Date.now())),
      request: () => this.request(),
      frame: (frame) => this.draw(frame),
      error: (answer) => this.refused(answer),
      state: (state) => this.connection(state),
    });
    this.ask();
    if (data.hero) this.geometry.wander?.();
  }

  request() {
    const { scene, losses } = this.data;
    const keys = losses.filter((loss) => !loss.own).map((loss) => loss.key);
    const params = Object.fromEntries(keys.map((key) => [key, this.params[key] ?? {}]));
    const proof = this.proof ? [`proof:${this.focus}`] : [];
    const step = this.stepping ? [`step:${this.focus}`] : [];
    return { scene, losses: keys, params, handles: this.handles, views: [...this.geometry.wanted(), ...proof, ...step] };
  }

  /** What was asked can't be answered: a scene may know where to say so. An older question's error is old news. */
  refused(answer) {
    const newest = answer.seq == null || answer.seq === this.socket.seq;
    if (newest && !this.geometry?.refused?.(answer)) this.say(answer.error);
  }

  /** To the page that trains, by the address that this page says; it has written what is held into its own by then. */
  leave() {
    this.leaving = true;
    this.report();
    this.component.setTriggerValue("train", String(Date.now()));
  }

  /** The handles or parameters changed: evaluate them. */
  ask() {
    if (this.ready && this.data.losses.length) this.socket?.ask();
  }

  /** A handle moved under the finger. */
  moved(values) {
    this.pause();
    this.held = true;
    Object.assign(this.handles, values);
    this.ask();
  }

  /** One step of gradient descent: the server says where it leads. */
  step() {
    this.stepping = true;
    this.ask();
  }

  play() {
    if (this.playing) return this.pause();
    this.playing = setInterval(() => this.step(), PLAY_MS);
    this.playButton.textContent = this.data.text.pause;
  }

  pause() {
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = undefined;
    this.playButton.textContent = this.data.text.play;
    this.report();
  }

  /** Follow the step that a frame brought, unless a finger holds something by now or an older answer led here before. */
  follow({ moved, handles }) {
    const names = Object.keys(moved);
    if (!this.stepping || !names.length) return;
    const here = (values) => names.every((name) => JSON.stringify(this.handles[name]) === JSON.stringify(values[name]));
    if (!this.held && !here(handles)) return;
    this.stepping = false;
    if (this.held) return;
    const still = here(moved);
    Object.assign(this.handles, moved);
    this.sync();
    if (!this.playing) this.report();
    else if (still) this.pause(); // it has arrived
  }

  /** A handle was let go, a parameter set: the page keeps it in the address. */
  report() {
    this.held = false;
    if (this.data.hero) return;
    this.revision = Math.max(this.revision, this.data.revision) + 1;
    const { handles, params, focus, tab } = this;
    this.arrived = JSON.stringify([handles, params, focus, tab]);
    this.component.setStateValue("state", { handles, params, focus, tab, revision: this.revision });
  }

  /** Handles, sliders and marks follow the state at once; numbers and pictures wait for torch. */
  sync() {
    if (!this.ready) return;
    this.geometry.sync();
    for (const sync of this.syncs ?? []) sync();
    this.ask();
  }

  draw(frame) {
    if (!this.ready || frame.seq <= this.since) return;
    for (const output of this.root.querySelectorAll("output[data-loss]")) {
      const numbers = frame.numbers[output.dataset.loss];
      const line = output.dataset.line;
      if (line == null) show(output, numbers?.[output.name], frame.seq);
      else if (frame[output.dataset.lines][output.dataset.loss]) this.drawLine(output, frame[output.dataset.lines][output.dataset.loss][line], frame.seq);
      else if (frame.notes[output.dataset.loss]) show(output, null, frame.seq); // undefined here: what was is not what is
    }
    this.proof?.draw(frame.proofs[this.focus], frame.seq);
    for (const note of this.root.querySelectorAll("[data-note]")) note.textContent = frame.notes[note.dataset.note] ?? "";
    this.frame = frame;
    this.follow(frame);
    this.drawing ||= requestAnimationFrame(() => this.drawPictures());
    this.describe();
  }

  /** Numbers are on screen before the pictures are begun, and of several answers only the newest is drawn. */
  drawPictures() {
    this.drawing = 0;
    if (this.ready && this.root.isConnected) this.geometry.draw(this.frame);
  }

  drawLine(output, values, seq) {
    const shown = values.slice(0, MOST_SHOWN).map(digits).join(", ") + (values.length > MOST_SHOWN ? ", …" : "");
    output.textContent = values.length === 1 ? digits(values[0]) : `(${shown})`;
    output.dataset.value = values.length === 1 ? String(values[0]) : JSON.stringify(values);
    output.dataset.seq = seq;
  }

  /** The picture in words, for whoever can't see it; spoken when the finger pauses. */
  describe() {
    clearTimeout(this.describing);
    this.describing = setTimeout(() => {
      if (this.summary && this.frame) this.summary.textContent = this.geometry.summary(this.frame);
      if (this.table?.open && this.frame) this.fillTable();
    }, 500);
  }

  connection(state) {
    if (state === "live") {
      this.seen = new Date();
      if (this.offline) this.say("");
      this.offline = false;
    } else {
      this.offline = true;
      this.say(fill(this.data.text.offline, { time: this.seen?.toLocaleTimeString() ?? "–" }));
    }
    this.root.classList.toggle("lv-offline", this.offline);
  }

  say(text) {
    if (this.status) this.status.textContent = text;
  }

  /** The right column: numbers of every loss, then parameters and formula of the one in focus. */
  side() {
    const { data } = this;
    const { text } = data;
    this.syncs = [];
    const list = h("ul", { class: "lv-losses" }, ...data.losses.map((loss, i) => this.lossRow(loss, i)));
    const detail = h("div", { class: "lv-detail" });
    let shown;
    this.syncs.push(() => {
      const loss = data.losses.find((entry) => entry.key === this.focus) ?? data.losses[0];
      if (shown === loss?.key) return;
      shown = loss?.key;
      detail.replaceChildren(...(loss ? this.details(loss) : []));
    });
    this.summary = h("p", { class: "lv-hidden", "aria-live": "polite" });
    this.table = h("details", { class: "lv-table", ontoggle: () => this.table.open && this.frame && this.fillTable() }, h("summary", {}, text.table), h("div"));
    const steps = data.steps ? this.steps() : [];
    const options = this.options();
    const reset = h("button", { class: "lv-button", type: "button", onclick: () => this.reset() }, text.reset);
    const fit = h("button", { class: "lv-button", type: "button", onclick: () => this.geometry.fit() }, text.fit);
    const copy = h("button", { class: "lv-button", type: "button", onclick: () => this.copyLink() }, text.copy);
    return h("aside", { class: "lv-side" }, ...[list, options, steps.length ? h("div", { class: "lv-buttons" }, ...steps) : null, detail, h("div", { class: "lv-buttons" }, fit, reset, copy), this.take(), this.table, this.summary].filter(Boolean));
  }

  steps() {
    const { text } = this.data;
    this.playButton = h("button", { class: "lv-button", type: "button", "data-play": true, onclick: () => this.play() }, text.play);
    return [h("button", { class: "lv-button", type: "button", title: text.stepHelp, "data-step": true, onclick: () => this.step() }, text.step), this.playButton];
  }

  /** The scene's own choices, handles that no finger holds; for those that are `placed` it has a place of its own. */
  options() {
    const { options, text } = this.data;
    if (!Object.keys(options).length) return null;
    const controls = Object.entries(options).filter(([name]) => !this.data.placed?.includes(name)).map(([name, option]) => {
      const write = (value, done) => {
        this.handles[name] = value;
        this.sync();
        if (done) this.report();
      };
      return this.control(option, name, name, () => this.handles[name], write);
    });
    return h("details", { class: "lv-more lv-options", open: true }, h("summary", {}, text.options), ...controls);
  }

  lossRow(loss, position) {
    const { data } = this;
    const button = h("button", { class: "lv-name", type: "button", title: data.text.focus, onclick: () => this.choose(loss.key) }, swatch(position, data.dashes[position]), loss.name);
    this.syncs.push(() => button.setAttribute("aria-pressed", String(loss.key === this.focus)));
    const numbers = data.numbers.map(([name, label]) =>
      h("label", { class: "lv-number" }, h("span", {}, label), h("output", { name, "data-loss": loss.key, "data-value": "" }, "–")),
    );
    return h("li", { "data-loss": loss.key }, button, h("div", { class: "lv-row" }, ...numbers), h("p", { class: "lv-note", "data-note": loss.key }));
  }

  choose(key) {
    this.focus = key;
    this.sync();
    this.report();
  }

  details(loss) {
    const { text } = this.data;
    this.syncs = this.syncs.filter((sync) => !sync.param);
    const params = Object.entries(loss.params).map(([name, param]) => this.param(loss, name, param));
    const lines = formulaLines(loss, "lines", loss.formula);
    this.proof = loss.returns === "loss" ? new Proof(text, loss.detached) : undefined;
    for (const sync of this.syncs) if (sync.param) sync();
    const more = h("details", { class: "lv-more" }, h("summary", {}, text.know), h("ul", {}, ...loss.pitfalls.map((pitfall) => h("li", {}, pitfall))), h("p", {}, loss.reference));
    const shown = h("div", { class: "lv-formula" }, h("h4", {}, text.formula), ...lines, loss.own ? null : formula(loss.gradient));
    return [...params, shown, this.proof?.element, this.data.entry || loss.own ? null : more].filter(Boolean);
  }

  /** One parameter: a word to choose, a mark to set, or a slider that the picture follows beside an exact number. */
  param(loss, name, param) {
    const write = (value, done) => {
      this.params[loss.key][name] = value;
      for (const sync of this.syncs) if (sync.param) sync();
      this.ask();
      if (done) this.report();
    };
    return this.control(param, name, `${loss.key}.${name}`, () => this.params[loss.key][name], write, true);
  }

  /** `path` names it in sentences; a control that is `passing` goes with the loss in focus. */
  control(param, name, path, read, write, passing = false) {
    const { control, sync, extra } = param.options ? choice(param, name, read, write) : param.flag ? flag(name, read, write) : this.number(name, path, param, read, write);
    sync.param = passing;
    this.syncs.push(sync);
    sync();
    return h("div", { class: "lv-param", title: param.meaning }, h("div", { class: "lv-param-head" }, ...control), extra ?? null, h("p", {}, param.meaning));
  }

  number(name, path, param, read, write) {
    const { text } = this.data;
    const log = param.scale === "log";
    const slide = log ? Math.log : (value) => value;
    const unslide = (value) => (log ? Number(Math.exp(value).toPrecision(3)) : Number(value.toPrecision(4)));
    const bound = (value) => Math.min(param.high, Math.max(param.low, param.integer ? Math.round(value) : value));
    const range = h("input", { type: "range", min: slide(param.low), max: slide(param.high), step: param.integer ? 1 : "any", "aria-label": path });
    const exact = h("input", { type: "number", min: param.low, max: param.high, step: "any", "aria-label": fill(text.exact, { name }) });
    const from = (event, done) => write(bound(unslide(Number(event.target.value))), done);
    range.addEventListener("input", (event) => from(event, false));
    range.addEventListener("change", (event) => from(event, true));
    exact.addEventListener("change", () => {
      const value = Number(exact.value);
      if (exact.value !== "" && value >= param.low && value <= param.high) write(value, true);
      else {
        this.say(fill(text.range, { name: path, value: exact.value, low: param.low, high: param.high }));
        sync();
      }
    });
    const use = param.nullable ? h("input", { type: "checkbox", "aria-label": fill(text.use, { name }), onchange: () => write(use.checked ? bound(1) : null, true) }) : null;
    const sync = () => {
      const value = read();
      range.disabled = exact.disabled = value == null;
      if (use) use.checked = value != null;
      if (value == null) exact.value = "";
      else if (typeof value === "number") {
        range.value = slide(value);
        if (document.activeElement !== exact) exact.value = value;
      }
    };
    return { control: [use, h("span", {}, name), exact].filter(Boolean), sync, extra: param.integer ? null : range };
  }

  reset() {
    const { data } = this;
    this.handles = { ...data.defaults.handles };
    this.params = structuredClone(data.defaults.params);
    this.geometry.reset?.();
    this.geometry.fit();
    this.sync();
    this.report();
  }

  /** The address holds all of the state; where the browser keeps scripts from the clipboard, it is shown instead. */
  copyLink() {
    const shown = () => this.say(location.href);
    if (!navigator.clipboard) return shown();
    navigator.clipboard.writeText(location.href).then(() => this.say(this.data.text.copied), shown);
  }

  /** The picture and its numbers as files. */
  take() {
    const { text, scene } = this.data;
    const turn = () => this.component.setTriggerValue("present", String(Date.now()));
    if (this.data.present) return h("button", { class: "lv-button lv-leave", type: "button", "data-present": true, onclick: turn }, text.leave);
    const files = {
      png: () => toPng(this.pictures, this.tokens["@surface"]).then((blob) => save(`${scene}.png`, blob)),
      svg: () => save(`${scene}.svg`, toSvg(this.pictures, this.tokens["@surface"]), "image/svg+xml"),
      html: () => save(`${scene}.html`, toHtml(this.root, { title: `lossviz: ${scene}`, background: this.tokens["@surface"], address: location.href }), "text/html"),
      csv: () => save(`${scene}.csv`, toCsv(this.geometry.table(this.frame)), "text/csv"),
    };
    const buttons = Object.entries(files).map(([kind, write]) => h("button", { class: "lv-button", type: "button", "data-take": kind, onclick: () => this.frame && write() }, kind.toUpperCase()));
    const present = this.data.address ? h("button", { class: "lv-button", type: "button", "data-present": true, onclick: turn }, text.present) : null;
    return h("details", { class: "lv-more lv-take" }, h("summary", {}, text.take), h("div", { class: "lv-buttons" }, ...[...buttons, present].filter(Boolean)));
  }

  fillTable() {
    const { head, body } = this.geometry.table(this.frame);
    const row = (tag, cells) => h("tr", {}, ...cells.map((cell) => h(tag, {}, typeof cell === "number" ? digits(cell) : cell)));
    this.table.lastElementChild.replaceChildren(h("table", {}, h("thead", {}, row("th", head)), h("tbody", {}, ...body.map((cells) => row("td", cells)))));
  }

  dispose() {
    clearInterval(this.playing);
    this.socket?.close();
    this.themes?.disconnect();
    this.geometry?.dispose();
    clearTimeout(this.describing);
    stages.delete(this.root);
  }
}

/** A parameter that is one of a few words. */
function choice(param, name, read, write) {
  const select = h("select", { "aria-label": name, onchange: () => write(select.value, true) }, ...param.options.map((option) => h("option", { value: option }, option)));
  return { control: [h("span", {}, name), select], sync: () => (select.value = read()) };
}

/** A parameter that is true or false. */
function flag(name, read, write) {
  const box = h("input", { type: "checkbox", "aria-label": name, onchange: () => write(box.checked, true) });
  return { control: [h("span", {}, name), box], sync: () => (box.checked = read()) };
}
