// Pieces of the page made from documents. Everything is text: nothing that the daemon says is ever read as HTML.

export function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = String(text);
  if (name) element.className = name;
  return element;
}

export function number(value, digits = 1) {
  return value === null || value === undefined ? "–" : Number(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const quoted = (price) => (price === null || price === undefined ? "–" : price.toFixed(price > 20 ? 3 : 5));
export const moment = (time) => (time ? time.slice(0, 19).replace("T", " ") : "–");
export const hour = (time) => (time ? time.slice(11, 19) : "–");
export const short = (version) => (version ? String(version).slice(0, 8) : "–");
export const tone = (value) => (value > 0 ? "good" : value < 0 ? "bad" : "");

const drawn = new WeakMap();

// Fill an element only where what it shows has changed: what is focused or read aloud is left alone.
export function fill(element, ...children) {
  const said = children.map((child) => (child instanceof Node ? (child.outerHTML ?? child.textContent) : child)).join("\0");
  if (drawn.get(element) === said) return;
  drawn.set(element, said);
  element.replaceChildren(...children);
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function facts(pairs) {
  const list = make("dl");
  for (const [name, value, kind] of pairs) list.append(make("dt", name), value instanceof Node ? value : make("dd", value ?? "–", kind));
  return list;
}

// columns: [title, row => text or node, class or row => class]
export function table(rows, columns, none) {
  if (!rows.length) return make("p", none, "dim");
  const head = make("tr");
  for (const [title, , kind] of columns) {
    const cell = make("th", title, typeof kind === "function" ? kind({}) : kind);
    cell.scope = "col";
    head.append(cell);
  }
  const body = make("tbody");
  for (const row of rows) {
    const line = make("tr");
    for (const [, of, kind] of columns) {
      const value = of(row);
      const cell = make("td", value instanceof Node ? null : value ?? "–", typeof kind === "function" ? kind(row) : kind);
      if (value instanceof Node) cell.append(value);
      line.append(cell);
    }
    body.append(line);
  }
  const made = make("table");
  const top = make("thead");
  top.append(head);
  made.append(top, body);
  return made;
}

export function tile(name, value, detail, kind) {
  const made = make("div", null, "tile");
  made.append(make("h3", name), make("p", value, kind), make("small", detail));
  return made;
}

export function gauge(tag, label, value, most) {
  const made = make(tag);
  made.setAttribute("max", most);
  made.setAttribute("value", Math.max(0, Math.min(value, most)));
  made.setAttribute("aria-label", label);
  return made;
}

export function used(name, value, limit, digits) {
  const cell = make("dd");
  const now = number(Math.max(0, value), digits);
  if (!limit) {
    cell.textContent = `${now}, no limit`;
    return cell;
  }
  const text = `${now} of ${number(limit, digits)}`;
  const meter = gauge("meter", `${name}: ${text}`, value, limit);
  meter.setAttribute("high", limit * 0.8);
  cell.append(meter, make("span", text));
  return cell;
}
