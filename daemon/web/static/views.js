// Each document of the daemon in its place on the page.

import { facts, fill, gauge, hour, make, moment, number, quoted, say, short, table, tile, tone, used } from "/static/parts.js";
import { evidence, outlook, side, vetoed, why } from "/static/why.js";

const $ = (id) => document.getElementById(id);
const MODES = ["REPLAY", "PAPER", "PRACTICE", "LIVE"];
const STATES = { resume: "trading", pause: "paused", reduce: "reducing", flatten: "flattened and paused", halt: "HALTED" };
const ROWS = 50;

// The mode is said by word and colour, in the bar that stays in sight, and in the tab's title.
export function showStatus(status) {
  say($("badge"), status.badge);
  document.body.className = MODES.includes(status.badge) ? status.badge : "";
  document.title = `${status.badge} · micro-trader`;
  const state = STATES[status.state] ?? status.state;
  say($("state"), status.ready ? state : `${state}, not ready: ${status.why}`);
  const age = status.streams.prices?.age_s;
  say($("age"), `last tick ${age === null || age === undefined ? "never" : `${number(age)} s ago`}`);
  for (const button of document.querySelectorAll(".buttons [data-command]")) {
    button.setAttribute("aria-pressed", button.dataset.command === status.state);
  }
  showStreams(status);
  showJobs(status);
}

export function showTiles({ account, model, strategy, counts, net_pips, clock }, { used: now }, positions) {
  const held = positions.reduce((sum, row) => sum + row.open_pips, 0);
  fill(
    $("tiles"),
    tile(`Equity, ${account.currency}`, number(account.equity, 2), account.tripped ? `tripped: ${vetoed(account.tripped)}` : `balance ${number(account.balance, 2)}`, account.tripped ? "bad" : ""),
    tile("Net pips", number(net_pips), `${number(counts.trades, 0)} trades, ${number(counts.decisions, 0)} decisions`, tone(net_pips)),
    tile(`Drawdown, ${account.currency}`, number(Math.max(0, now.drawdown), 2), "equity below its peak"),
    tile("Open position", positions.length ? `${number(held)} pips` : "flat", positions.map((row) => `${row.side} ${row.instrument}`).join(", ") || "nothing is held", tone(held)),
    tile("Decides", short(model.version), `${strategy}${model.probation ? ", in probation" : ""}`),
    tile("Clock", hour(clock), clock ? clock.slice(0, 10) : "no price yet"),
  );
}

function showStreams({ streams, barred, counts, instruments, ready, why: reason }) {
  const ages = Object.entries(streams).map(([name, { age_s, reconnects }]) => [name, `${age_s === null ? "silent" : `${number(age_s)} s old`}, ${reconnects} reconnects`, age_s === null ? "bad" : ""]);
  const bars = Object.entries(barred).map(([by, veto]) => ["no entries", `${vetoed(veto)}, says ${by}`, "bad"]);
  const well = ready ? [] : [["not ready", reason, "bad"]];
  const counted = [["quotes dropped", number(counts.quotes_dropped, 0)], ["orders sent", number(counts.orders_sent, 0)]];
  fill($("streams"), facts([...well, ...ages, ...bars, ...counted]));
  const chosen = $("instrument").value;
  const options = instruments.map((name) => Object.assign(make("option", name), { value: name }));
  fill($("instrument"), ...options);
  if (instruments.includes(chosen)) $("instrument").value = chosen;
}

function showJobs({ jobs, coming }) {
  const rows = jobs.flatMap((row) => {
    const [, step, steps] = /step (\d+)\/(\d+)/.exec(row.detail) ?? [];
    const last = row.last_outcome ? `${row.last_outcome} in ${number(row.last_seconds, 0)} s${row.last_detail ? `: ${row.last_detail}` : ""}` : "no run has ended yet";
    const cell = make("dd", row.state === "idle" ? last : `${row.state}${row.detail ? `: ${row.detail}` : ""}`);
    if (steps) cell.prepend(gauge("progress", `${row.job}: step ${step} of ${steps}`, Number(step), Number(steps)));
    return [[row.job, cell]];
  });
  const next = Object.entries(coming).map(([job, time]) => [`next ${job}`, moment(time)]);
  fill($("jobs"), rows.length + next.length ? facts([...rows, ...next]) : make("p", "none", "dim"));
}

export function showPositions(positions) {
  const lists = positions.map((row) =>
    facts([
      ["instrument", row.instrument],
      ["side", `${row.side} ${number(row.units, 0)} units, ${row.bars} bars`],
      ["entered", `${quoted(row.open_price)}, ${moment(row.open_time)}`],
      ["pips", number(row.open_pips), tone(row.open_pips)],
      ["stop", quoted(row.stop_price)],
      ...(row.take_profit_price ? [["take profit", quoted(row.take_profit_price)]] : []),
    ]),
  );
  fill($("position"), ...(lists.length ? lists : [make("p", "flat: nothing is held", "dim")]));
}

export function showRisk({ limits, used: now }) {
  const list = facts([
    ["daily loss", used("daily loss", now.daily_loss, limits.max_daily_loss, 2)],
    ["drawdown", used("drawdown", now.drawdown, limits.max_drawdown, 2)],
    ["exposure", used("exposure", now.exposure, limits.max_exposure, 0)],
    ["orders a minute", used("orders a minute", now.orders_in_a_minute, limits.max_orders_per_minute, 0)],
    ["an entry", limits.risk_per_trade ? `${number(100 * limits.risk_per_trade, 2)} % of equity at risk` : `${number(limits.units, 0)} units`],
  ]);
  fill($("risk"), list);
}

export function showDecisions(decisions) {
  const columns = [
    ["time", (row) => hour(row.time)],
    ["action", (row) => make("b", row.action)],
    ["why", (row) => why(row), (row) => (row.veto ? "text bad" : "text")],
    ["policy, visits and value of each action", (row) => evidence(row), "text"],
    ["position", (row) => (side(row.position) === side(row.target) ? side(row.target) : `${side(row.position)} → ${side(row.target)}`)],
    ["value", (row) => number(row.value, 2), "number"],
    ["market next", (row) => outlook(row)],
    ["instrument", (row) => row.instrument],
    ["model", (row) => row.model, "name"],
  ];
  fill($("decisions"), table(decisions.slice(0, ROWS), columns, "none yet: bars are warming up"));
}

export function showTrades(trades) {
  const columns = [
    ["closed", (row) => moment(row.close_time)],
    ["side", (row) => row.side],
    ["pips", (row) => number(row.pips), (row) => `number ${tone(row.pips)}`],
    ["units", (row) => number(row.units, 0), "number"],
    ["in", (row) => quoted(row.open_price), "number"],
    ["out", (row) => quoted(row.close_price), "number"],
    ["bars", (row) => row.bars, "number"],
    ["exit", (row) => row.exit_reason],
    ["instrument", (row) => row.instrument],
    ["model", (row) => row.model, "name"],
  ];
  fill($("trades"), table(trades.slice(0, ROWS), columns, "none yet"));
}

const VERDICTS = { true: ["passed", "good"], false: ["refused", "bad"] };

function verdict(row) {
  const [word, kind] = VERDICTS[row.passed] ?? ["not judged yet", "dim"];
  const cell = make("span");
  cell.append(make("b", word, kind), row.reasons?.length ? `: ${row.reasons.join("; ")}` : "");
  return cell;
}

function swap(row, best) {
  if (row.version === best) return make("b", "best");
  const button = make("button", "Swap in");
  button.type = "button";
  Object.assign(button.dataset, { command: "swap", version: row.version, confirm: `Let ${row.version} decide?` });
  button.setAttribute("aria-label", `swap in ${row.version}`);
  return button;
}

export function showModels({ best, models }) {
  const columns = [
    ["version", (row) => row.version, "name"],
    ["state", (row) => row.state],
    ["from", (row) => short(row.parent)],
    ["score", (row) => number(row.quality_score), "number"],
    ["held out, pips", (row) => number(row.metrics?.held_out?.pips), "number"],
    ["gate", verdict, "text"],
    ["what to do", (row) => swap(row, best)],
  ];
  fill($("models"), table(models.slice(0, ROWS), columns, "none yet: train one"));
  say($("lineage"), best ? `Descent of the best: ${descent(best, models).map(short).join(" ← ")}` : "No model is the best yet.");
}

function descent(version, models) {
  const parents = new Map(models.map((row) => [row.version, row.parent]));
  const line = [];
  for (let at = version; at && !line.includes(at); at = parents.get(at)) line.push(at);
  return line;
}

export function showStore({ size, capacity, trades, quality, evicted, quarantined, integrity }) {
  const { min, p50, max } = quality ?? {};
  const cell = make("dd");
  cell.append(gauge("meter", `steps: ${size} of ${capacity}`, size, capacity), make("span", `${number(size, 0)} of ${number(capacity, 0)}`));
  const list = facts([
    ["steps", cell],
    ["trades", number(trades, 0)],
    ["quality", p50 === undefined || p50 === null ? "–" : `${number(min, 2)} to ${number(max, 2)}, median ${number(p50, 2)}`],
    ["evicted", number(evicted ?? 0, 0)],
    ["quarantined", number(quarantined ?? 0, 0), quarantined ? "bad" : ""],
    ["integrity", integrity ?? "–"],
  ]);
  fill($("store"), list);
}

// What happened, in a line.
export function told(kind, document) {
  if (kind === "trade") return `closed ${document.side} ${document.instrument}, ${number(document.pips)} pips (${document.exit_reason})`;
  if (kind === "order") return `${document.reason} ${number(document.units, 0)} ${document.instrument}: ${document.outcome}${document.price ? ` at ${quoted(document.price)}` : ""}`;
  const rest = Object.entries(document).filter(([, value]) => value !== null && value !== "" && typeof value !== "object");
  return `${kind.replaceAll("_", " ")}: ${rest.map(([name, value]) => `${name} ${value}`).join(", ")}`;
}
