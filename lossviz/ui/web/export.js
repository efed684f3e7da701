// Take the picture along: as it is on screen, in one file that needs nothing else.

import { h } from "./dom.js";

const KEEP = ["fill", "stroke", "opacity", "visibility", "display"];
const SCALE = 2;

/** A copy of `element` with every style written out, so that it looks the same without our style sheet. */
export function frozen(element) {
  const copy = element.cloneNode(true);
  const [from, to] = [element, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((source, i) => {
    if (source instanceof HTMLCanvasElement) {
      const image = h("img", { src: source.toDataURL(), style: `width:${source.clientWidth}px;height:${source.clientHeight}px` });
      to[i].replaceWith(image);
      return;
    }
    const style = getComputedStyle(source);
    const drawn = source instanceof SVGElement && !(source instanceof SVGSVGElement);
    const names = drawn ? [...KEEP, "stroke-width", "stroke-dasharray", "font-size", "font-family", "font-weight", "text-anchor", "clip-path", "vector-effect", "fill-rule"] : Array.from(style);
    to[i].setAttribute("style", names.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
  });
  return copy;
}

/** The element as an SVG document: what HTML draws travels inside it. */
export function toSvg(element, background) {
  const { width, height } = element.getBoundingClientRect();
  const inside = new XMLSerializer().serializeToString(frozen(element));
  const size = `width="${Math.ceil(width)}" height="${Math.ceil(height)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}><rect width="100%" height="100%" fill="${background}"/><foreignObject width="100%" height="100%">${inside}</foreignObject></svg>`;
}

/** The same as pixels, twice as fine as the screen. */
export async function toPng(element, background) {
  const { width, height } = element.getBoundingClientRect();
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(toSvg(element, background))}`;
  await image.decode();
  const canvas = h("canvas", { width: Math.ceil(width * SCALE), height: Math.ceil(height * SCALE) });
  const context = canvas.getContext("2d");
  context.scale(SCALE, SCALE);
  context.drawImage(image, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** A page that shows the same without a server: picture, numbers, formula, and the address it came from. */
export function toHtml(element, { title, background, address }) {
  const inside = new XMLSerializer().serializeToString(frozen(element));
  const link = h("a", { href: address }, address).outerHTML;
  const head = h("title", {}, title).outerHTML;
  return `<!doctype html><html lang="en"><meta charset="utf-8">${head}<body style="margin:24px;background:${background};font-family:sans-serif">${inside}<p style="font-size:13px">${link}</p></body></html>`;
}

/** Comma-separated values, in full precision. */
export function toCsv({ head, body }) {
  const cell = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
  return [head, ...body].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Hand a file to the browser. */
export function save(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
