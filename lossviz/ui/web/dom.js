// Small helpers that every component shares.

/** Make an element: attributes by name, `on...` as listeners, the rest as children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** MathML that our own server made from the catalogue's LaTeX. */
export function math(mathml) {
  const holder = document.createElement("template");
  holder.innerHTML = mathml;
  return holder.content.cloneNode(true);
}

/** Four significant digits, a true minus sign, and a width that hardly changes. */
export function digits(value) {
  if (value == null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e4 || size < 1e-3) ? size.toExponential(3) : size.toPrecision(4);
  return (value < 0 ? "−" : "") + text;
}

/** Show an exact number: four digits to read, all of them in `data-value`. */
export function show(output, value, seq) {
  output.textContent = digits(value);
  output.dataset.value = value == null ? "" : String(value);
  output.dataset.seq = seq;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Fill `{name}` in a translated sentence. */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
