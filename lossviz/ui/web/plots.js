// Plotly: loaded once a page, dressed in the theme of the moment, drawn from typed arrays.

import { spanOf } from "./levels.js";
import { LineLayer } from "./lines.js";

let loading;

/** Load plotly.js from our own server, once. */
export function loadPlotly(folder) {
  loading ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = document.createElement("script");
    script.src = `${folder}/plotly.min.js`;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = undefined;
      reject(new Error("plotly.min.js could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

/** Mark `root` as dark or light after Streamlit's own theme, and return the colours that specs name with @. */
export function theme(root) {
  const style = getComputedStyle(root);
  const background = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
  root.classList.toggle("lv-dark", luminance(background) < 0.4);
  const ours = getComputedStyle(root);
  const colour = (name) => ours.getPropertyValue(name).trim();
  const tokens = {
    "@text": colour("--st-text-color") || "#222222",
    "@font": colour("--st-font") || "sans-serif",
    "@muted": colour("--lv-muted"),
    "@grid": colour("--lv-grid"),
    "@zero": colour("--lv-zero"),
    "@surface": background,
    "@warm": colour("--lv-warm"),
  };
  for (let i = 0; i < 8; i += 1) tokens[`@loss${i}`] = colour(`--lv-loss${i}`);
  return tokens;
}

/** Streamlit changes its theme in place: call `changed` whenever the colours around `root` are others than before. */
export function watchTheme(root, changed) {
  const state = () => ["--st-background-color", "--st-text-color", "--st-font"].map((name) => getComputedStyle(root).getPropertyValue(name)).join();
  let known = state();
  const look = () => {
    if (!root.isConnected || state() === known) return;
    known = state();
    changed();
  };
  const observer = new MutationObserver(() => setTimeout(look, 50));
  for (let element = root; element && element !== document.body; element = element.parentElement) {
    observer.observe(element, { attributes: true, attributeFilter: ["class", "style"] });
  }
  observer.observe(document.head, { childList: true, subtree: true });
  return observer;
}

function luminance(colour) {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.fillStyle = colour;
  const hex = canvas.fillStyle;
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** A copy of `spec` with every @token replaced. */
export function dress(spec, tokens) {
  if (typeof spec === "string") return spec[0] === "@" ? (tokens[spec] ?? spec) : spec;
  if (Array.isArray(spec)) return spec.map((part) => dress(part, tokens));
  if (spec && typeof spec === "object" && !ArrayBuffer.isView(spec)) {
    return Object.fromEntries(Object.entries(spec).map(([name, part]) => [name, dress(part, tokens)]));
  }
  return spec;
}

const CONFIG = { displayModeBar: false, responsive: false, staticPlot: false, doubleClick: false, scrollZoom: false };

/**
 * One picture. Axes and maps are Plotly's; lines, points, arrows and bars are a layer of our own over them, so that a
 * drag redraws no more than what moves. A contour is both: Plotly's map with level lines of ours. Indices are those of
 * the spec's traces.
 */
export class Picture {
  constructor(Plotly, element, spec) {
    Object.assign(this, { Plotly, element, tokens: {}, seq: "", stale: true });
    this.data = spec.data.map((trace) => ({ ...trace }));
    this.layout = structuredClone(spec.layout);
    this.flat = !spec.layout.scene;
    this.resizing = new ResizeObserver(() => this.redraw());
    this.resizing.observe(element);
  }

  /** Set a trace's fields; drawn with the next `draw`. */
  set(index, fields) {
    Object.assign(this.data[index], fields);
    if (!this.isLine(this.data[index])) this.stale = true;
  }

  /** Set an axis's range. */
  range(axis, low, high) {
    const [was, to] = this.layout[axis].range ?? [];
    if (was === low && to === high) return;
    this.layout[axis] = { ...this.layout[axis], range: [low, high] };
    this.stale = true;
  }

  isLine(trace) {
    return this.flat && (trace.type === "scatter" || trace.type === "bar");
  }

  isOverlaid(trace) {
    return this.isLine(trace) || trace.type === "contour";
  }

  /** Draw everything again with the next frame: another theme or size. */
  redraw() {
    this.stale = true;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.element.isConnected) this.draw(this.seq);
    });
  }

  /** Draw now what has changed, and say so in `data-seq`. */
  draw(seq) {
    this.seq = seq;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    if (this.stale) this.drawFrame(width, height);
    if (this.lines) this.drawLines();
    this.element.dataset.seq = seq;
  }

  drawFrame(width, height) {
    this.stale = false;
    this.revision = (this.revision ?? 0) + 1;
    const layout = { ...dress(this.layout, this.tokens), width, height, autosize: false, datarevision: this.revision };
    const rest = this.data.filter((trace) => !this.isLine(trace) && trace.contours?.coloring !== "none").map((trace) => dressTrace(heatMap(trace), this.tokens));
    this.Plotly.react(this.element, rest.length ? rest : [{ type: "scatter", x: [], y: [] }], layout, CONFIG);
    if (!this.lines && this.data.some((trace) => this.isOverlaid(trace))) this.lines = new LineLayer(this.element);
    this.drawn?.();
  }

  drawLines() {
    const { xaxis, yaxis } = this.element._fullLayout;
    const traces = this.data.filter((trace) => this.isOverlaid(trace)).map((trace) => dressTrace(trace, this.tokens));
    const area = { left: xaxis._offset, top: yaxis._offset, width: xaxis._length, height: yaxis._length };
    this.lines.draw(traces, (x, y) => this.place(x, y), area, this.revision);
  }

  /** Pixels inside the element for a point of the data, and back. */
  place(x, y) {
    const { xaxis, yaxis } = this.element._fullLayout;
    const top = yaxis._length * (1 - share(yaxis, y));
    return [xaxis._offset + xaxis._length * share(xaxis, x), yaxis._offset + top];
  }

  unplace(left, top) {
    const { xaxis, yaxis } = this.element._fullLayout;
    return [back(xaxis, (left - xaxis._offset) / xaxis._length), back(yaxis, 1 - (top - yaxis._offset) / yaxis._length)];
  }

  dispose() {
    this.resizing.disconnect();
    cancelAnimationFrame(this.frame);
    this.Plotly.purge(this.element);
  }
}

/** How far along an axis a value lies, from 0 to 1; a logarithmic axis has its range in powers of ten. */
function share(axis, value) {
  const [low, high] = axis.range;
  return ((axis.type === "log" ? Math.log10(value) : value) - low) / (high - low);
}

const back = (axis, part) => axis.range[0] + part * (axis.range[1] - axis.range[0]);

function dressTrace(trace, tokens) {
  const dressed = {};
  for (const [name, part] of Object.entries(trace)) {
    dressed[name] = "xyz".includes(name) || name === "text" ? part : dress(part, tokens);
  }
  return dressed;
}

/** The map of a contour without its lines: Plotly takes longest for those, and for smoothing in any other way. */
function heatMap(trace) {
  if (trace.type !== "contour") return trace;
  const { contours, ncontours, line, connectgaps, ...map } = trace;
  const [zmin, zmax] = spanOf(trace.z);
  return { zmin, zmax, ...map, type: "heatmap", zsmooth: "fast" };
}

/** Rows of a flat array as typed views, which Plotly draws without a copy. */
export function rows(array) {
  const [count, length] = array.shape;
  return Array.from({ length: count }, (_, i) => array.values.subarray(i * length, (i + 1) * length));
}
