// The lines, points, arrows and bars of a picture, drawn over Plotly's axes: a path costs a tenth of a Plotly trace.

import { levelLines, levelsOf } from "./levels.js";

const SVG = "http://www.w3.org/2000/svg";
const FAR = 1e4;
const HEAD = 4.2;

let clips = 0;

function svg(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent?.append(element);
  return element;
}

const tenth = (pixels) => Math.round(10 * Math.min(FAR, Math.max(-FAR, pixels))) / 10;

/** Draws traces of type scatter (lines, markers, or arrows between nulls), bar and contour where `place(x, y)` says. */
export class LineLayer {
  constructor(element) {
    const clip = `lv-clip-${(clips += 1)}`;
    this.root = svg("svg", { class: "lv-lines", "aria-hidden": "true" });
    this.window = svg("rect", {}, svg("clipPath", { id: clip }, svg("defs", {}, this.root)));
    this.inside = svg("g", { "clip-path": `url(#${clip})` }, this.root);
    this.over = svg("g", {}, this.root);
    element.append(this.root);
    this.shapes = [];
  }

  /** `revision` changes with maps and axes, and with it the level lines. */
  draw(traces, place, { left, top, width, height }, revision) {
    for (const [name, value] of Object.entries({ x: left, y: top, width, height })) this.window.setAttribute(name, value);
    traces.forEach((trace, i) => {
      this.shapes[i] ??= svg("g", {}, trace.cliponaxis === false ? this.over : this.inside);
      const group = this.shapes[i];
      if (trace.type === "contour") {
        if (group.lvRevision !== revision) contour(group, trace, place, { left, top, width, height });
        group.lvRevision = revision;
      } else if (trace.type === "bar") bars(group, trace, place);
      else if (trace.marker?.symbol === "arrow") arrows(group, trace, place);
      else {
        if (trace.mode.includes("lines")) line(group, trace, place);
        if (trace.mode.includes("markers")) markers(group, trace, place);
      }
    });
  }
}

function only(group, tag, index = 0) {
  return group.querySelectorAll(tag)[index] ?? svg(tag, { fill: "none" }, group);
}

function line(group, { x, y, line: style, opacity = 1, fill, fillcolor }, place) {
  let path = "";
  let pen = "M";
  for (let i = 0; i < x.length; i += 1) {
    if (y[i] == null || Number.isNaN(y[i])) {
      pen = "M";
      continue;
    }
    const [left, top] = place(x[i], y[i]);
    path += `${pen}${tenth(left)} ${tenth(top)}`;
    pen = "L";
  }
  const shape = only(group, "path");
  shape.setAttribute("d", path);
  stroke(shape, style, opacity);
  if (fill === "toself") shape.style.fill = fillcolor;
}

function stroke(shape, { color, width, dash }, opacity = 1) {
  shape.style.cssText = `stroke:${color};stroke-width:${width};opacity:${opacity};stroke-linejoin:round`;
  if (dash && dash !== "solid") shape.setAttribute("stroke-dasharray", dash.replaceAll("px", ""));
}

/** Level lines; where the map has a shape, the rest is covered. */
function contour(group, { x, y, z, contours, ncontours, line: style, meta }, place, { left, top, width, height }) {
  const shape = only(group, "path");
  stroke(shape, style);
  if (meta?.clip) {
    const cover = only(group, "path", 1);
    const hole = meta.clip.map((corner) => place(...corner).map(tenth).join(" ")).join("L");
    cover.setAttribute("d", `M${left} ${top}h${width}v${height}h${-width}ZM${hole}Z`);
    cover.setAttribute("class", "lv-cover");
  }
  if (!z.length) return shape.setAttribute("d", "");
  const xs = Array.from(x, (at) => place(at, y[0])[0]);
  const ys = Array.from(y, (at) => place(x[0], at)[1]);
  const { start, end, size } = contours;
  const levels = start == null ? levelsOf(z, ncontours) : [start, size, 1 + Math.round((end - start) / size)];
  shape.setAttribute("d", levelLines(z, xs, ys, levels, Boolean(style.dash)));
}

function markers(group, { x, y, marker }, place) {
  const circles = group.querySelectorAll("circle");
  for (let i = 0; i < Math.max(x.length, circles.length); i += 1) {
    const shown = i < x.length && y[i] != null && !Number.isNaN(y[i]);
    const circle = circles[i] ?? svg("circle", {}, group);
    circle.style.display = shown ? "" : "none";
    if (!shown) continue;
    const [left, top] = place(x[i], y[i]);
    circle.setAttribute("cx", tenth(left));
    circle.setAttribute("cy", tenth(top));
    circle.setAttribute("r", marker.size / 2);
    const colour = Array.isArray(marker.color) ? marker.color[i] : marker.color;
    circle.style.cssText = `fill:${colour};stroke:${marker.line.color};stroke-width:${marker.line.width}`;
  }
}

/** Bars in the loss's colour, outlined with its dash. */
function bars(group, { x, y, offset, width, line: style }, place) {
  x.forEach((middle, i) => {
    const bar = only(group, "rect", i);
    const [left, top] = place(middle + offset, Math.max(0, y[i] || 0));
    const [right, bottom] = place(middle + offset + width, Math.min(0, y[i] || 0));
    const shape = { x: left + 1.5, y: top, width: Math.max(0, right - left - 3), height: bottom - top };
    for (const [name, value] of Object.entries(shape)) bar.setAttribute(name, tenth(value));
    bar.style.cssText = `fill:${style.color};fill-opacity:.3;stroke:${style.color};stroke-width:${style.width}`;
    if (style.dash !== "solid") bar.setAttribute("stroke-dasharray", style.dash.replaceAll("px", ""));
  });
  for (const gone of [...group.querySelectorAll("rect")].slice(x.length)) gone.remove();
}

/** From each point to the next one, with a head at the end unless the step is too short to see. */
function arrows(group, { x, y, line: style }, place) {
  let shafts = "";
  let heads = "";
  for (let i = 0; i + 1 < x.length; i += 3) {
    const [left, top] = place(x[i], y[i]);
    const [right, end] = place(x[i + 1], y[i + 1]);
    const length = Math.hypot(right - left, end - top);
    if (!(length > 2)) continue;
    const [dx, dy] = [(right - left) / length, (end - top) / length];
    const size = Math.min(HEAD + style.width, length);
    const [baseX, baseY] = [right - 1.9 * size * dx * 0.8, end - 1.9 * size * dy * 0.8];
    shafts += `M${tenth(left)} ${tenth(top)}L${tenth(baseX)} ${tenth(baseY)}`;
    heads += `M${tenth(right)} ${tenth(end)}L${tenth(baseX - 0.62 * size * dy)} ${tenth(baseY + 0.62 * size * dx)}L${tenth(baseX + 0.62 * size * dy)} ${tenth(baseY - 0.62 * size * dx)}Z`;
  }
  const shaft = only(group, "path", 0);
  const head = only(group, "path", 1);
  shaft.setAttribute("d", shafts);
  shaft.style.cssText = `stroke:${style.color};stroke-width:${style.width}`;
  head.setAttribute("d", heads);
  head.style.cssText = `fill:${style.color}`;
}
