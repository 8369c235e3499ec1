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

export function moment(time) {
  return time ? time.slice(0, 19).replace("T", " ") : "–";
}

export function facts(element, pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) list.append(make("dt", name), value instanceof Node ? value : make("dd", value ?? "–"));
  element.replaceChildren(list);
}

// columns: [title, row => text or node, class]
export function table(element, rows, columns, none) {
  if (!rows.length) return element.replaceChildren(make("p", none, "dim"));
  const head = make("tr");
  for (const [title, , kind] of columns) {
    const cell = make("th", title, kind);
    cell.scope = "col";
    head.append(cell);
  }
  const body = make("tbody");
  for (const row of rows) {
    const line = make("tr");
    for (const [, of, kind] of columns) {
      const value = of(row);
      const cell = make("td", value instanceof Node ? null : value ?? "–", kind);
      if (value instanceof Node) cell.append(value);
      line.append(cell);
    }
    body.append(line);
  }
  const made = make("table");
  const top = make("thead");
  top.append(head);
  made.append(top, body);
  element.replaceChildren(made);
}

export function used(name, value, limit, unit) {
  const cell = make("dd");
  if (!limit) {
    cell.textContent = `${number(value, 2)} ${unit} (no limit)`;
    return cell;
  }
  const meter = make("meter");
  Object.assign(meter, { min: 0, max: limit, high: limit * 0.8, value: Math.max(0, Math.min(value, limit)) });
  meter.setAttribute("aria-label", `${name}: ${number(value, 2)} of ${number(limit, 2)} ${unit}`);
  cell.append(meter, make("span", `${number(value, 2)} of ${number(limit, 2)} ${unit}`));
  return cell;
}

const ACTIONS = ["HOLD", "BUY", "SELL", "CLOSE"];
const SIDES = { "-1": "short", 0: "flat", 1: "long" };

// Why it was decided so, in a line: the veto, or what the search found.
export function why(decision) {
  if (decision.veto) return `vetoed: ${decision.veto}`;
  if (!decision.policy) return "no search";
  const tried = ACTIONS.map((action, i) => [action, decision.visits[i], decision.q[i], decision.policy[i]]).filter(([, visits]) => visits > 0);
  return tried.map(([action, visits, q, share]) => `${action} ${(share * 100).toFixed(0)} % (${visits} visits, q ${q === null ? "–" : q.toFixed(2)})`).join(", ");
}

export const side = (units) => SIDES[Math.sign(units)];
