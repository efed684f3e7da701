// Plotly: loaded once a page, dressed in the theme of the moment, drawn from typed arrays.

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

/** One picture: draws itself again when its arrays, its theme or its size change, never more than once a frame. */
export class Picture {
  constructor(Plotly, element, spec, options = {}) {
    Object.assign(this, { Plotly, element, spec, options, tokens: {}, seq: "" });
    this.data = spec.data.map((trace) => ({ ...trace }));
    this.layout = structuredClone(spec.layout);
    this.resizing = new ResizeObserver(() => this.schedule());
    this.resizing.observe(element);
  }

  /** Set a trace's fields; drawn with the next `draw`. */
  set(index, fields) {
    Object.assign(this.data[index], fields);
    this.layout.datarevision = (this.layout.datarevision ?? 0) + 1; // arrays that only grew are the same object to Plotly
  }

  /** Set an axis's range; without one Plotly finds it from the data. */
  range(axis, low, high) {
    const found = low == null;
    this.layout[axis] = { ...this.layout[axis], autorange: found, range: found ? undefined : [low, high] };
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.element.isConnected) this.draw(this.seq);
    });
  }

  /** Draw now, and say so in `data-seq`. */
  draw(seq) {
    this.seq = seq;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const layout = { ...dress(this.layout, this.tokens), width, height, autosize: false };
    const data = this.data.map((trace) => dressTrace(trace, this.tokens));
    this.Plotly.react(this.element, data, layout, { ...CONFIG, ...this.options });
    this.element.dataset.seq = seq;
    this.drawn?.();
  }

  /** Pixels inside the element for a point of the data, and back. */
  place(x, y) {
    const { xaxis, yaxis } = this.element._fullLayout;
    return [along(xaxis, x), yaxis._offset + yaxis._length - (along(yaxis, y) - yaxis._offset)];
  }

  unplace(left, top) {
    const { xaxis, yaxis } = this.element._fullLayout;
    return [back(xaxis, left - xaxis._offset), back(yaxis, yaxis._offset + yaxis._length - top)];
  }

  dispose() {
    this.resizing.disconnect();
    cancelAnimationFrame(this.frame);
    this.Plotly.purge(this.element);
  }
}

const along = (axis, value) => axis._offset + ((value - axis.range[0]) / (axis.range[1] - axis.range[0])) * axis._length;
const back = (axis, pixels) => axis.range[0] + (pixels / axis._length) * (axis.range[1] - axis.range[0]);

function dressTrace(trace, tokens) {
  const dressed = {};
  for (const [name, part] of Object.entries(trace)) {
    dressed[name] = "xyz".includes(name) || name === "text" ? part : dress(part, tokens);
  }
  return dressed;
}

/** Rows of a flat array as typed views, which Plotly draws without a copy. */
export function rows(array) {
  const [count, length] = array.shape;
  return Array.from({ length: count }, (_, i) => array.values.subarray(i * length, (i + 1) * length));
}
