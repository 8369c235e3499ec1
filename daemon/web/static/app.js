// The page: asks for the documents, listens to the events, and shows both.

import { Refused, get, listen, post, token } from "/static/api.js";
import { EquityChart, PriceChart } from "/static/charts.js";
import { facts, make, moment, number, table, used, why, side } from "/static/parts.js";

const $ = (id) => document.getElementById(id);
const REFRESH_MS = 5000;
const RETRY_MS = 3000;
const MOST_LOGGED = 100;
const price = new PriceChart($("price"));
const equity = new EquityChart($("equity"));
let instrument = "";
let decisions = [];
let trades = [];
let heard = Date.now();

// The token.

function enter(message = "") {
  $("refused").textContent = message;
  if (!$("enter").open) $("enter").showModal();
}

$("enter").addEventListener("cancel", (event) => event.preventDefault());
$("enter").addEventListener("close", () => {
  token.set($("token").value.trim());
  $("token").value = "";
  start();
});
$("leave").addEventListener("click", () => {
  token.forget();
  location.reload();
});

// Commands.

function asked(question) {
  $("question").textContent = question;
  $("reason").value = "";
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  return new Promise((done) => {
    $("confirm").addEventListener("close", () => done($("confirm").returnValue === "yes" ? $("reason").value : null), { once: true });
  });
}

async function command(name, more = {}, question = "") {
  const reason = question ? await asked(question) : "";
  if (reason === null) return;
  try {
    await post(name, { who: "dashboard", reason, ...more });
    log(name, { done: "yes", reason });
  } catch (error) {
    failed(name, error);
  }
  refresh();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-command]");
  if (button) command(button.dataset.command, button.dataset.version ? { version: button.dataset.version } : {}, button.dataset.confirm ?? "");
});

function failed(what, error) {
  if (error instanceof Refused) enter(error.message);
  else log(what, { failed: error.message });
}

// What happened.

function log(kind, document) {
  const told = Object.entries(document).filter(([, value]) => value !== null && value !== "" && typeof value !== "object");
  const item = make("li", `${new Date().toISOString().slice(11, 19)} ${kind}: ${told.map(([name, value]) => `${name} ${value}`).join(", ")}`);
  $("log").prepend(item);
  while ($("log").children.length > MOST_LOGGED) $("log").lastChild.remove();
}

// The documents.

function showStatus(status) {
  $("badge").textContent = status.badge;
  $("badge").className = `badge ${status.badge}`;
  document.body.className = status.badge;
  document.title = `${status.badge} · micro-trader`;
  const age = status.streams.prices?.age_s;
  $("summary").textContent = [
    status.state === "resume" ? "trading" : status.state,
    status.ready ? "all well" : `not ready: ${status.why}`,
    `clock ${moment(status.clock)}`,
    `last price ${age === null || age === undefined ? "–" : `${number(age)} s ago`}`,
    `${status.strategy} ${status.model.version}${status.model.probation ? " (in probation)" : ""}`,
    `equity ${number(status.account.equity, 2)} ${status.account.currency}`,
  ].join(" · ");
  facts($("streams"), [
    ...Object.entries(status.streams).map(([name, stream]) => [name, `${number(stream.age_s)} s old, ${stream.reconnects} reconnects`]),
    ...Object.entries(status.barred).map(([by, reason]) => ["entries barred", `by ${by}: ${reason}`]),
  ]);
  table(
    $("jobs"),
    status.jobs,
    [["job", (row) => row.job], ["state", (row) => row.state], ["says", (row) => row.detail || row.last_detail, "text"], ["last", (row) => row.last_outcome]],
    "none has run yet",
  );
  for (const [job, time] of Object.entries(status.coming)) $("jobs").append(make("p", `${job} next at ${moment(time)}`, "dim"));
  const names = status.instruments;
  if (!instrument) {
    instrument = names[0];
    $("instrument").replaceChildren(...names.map((name) => Object.assign(make("option", name), { value: name })));
  }
}

function showPositions(document) {
  table(
    $("position"),
    document.positions,
    [
      ["instrument", (row) => row.instrument],
      ["side", (row) => row.side],
      ["units", (row) => row.units, "number"],
      ["at", (row) => row.open_price, "number"],
      ["pips", (row) => number(row.open_pips), "number"],
      ["stop", (row) => row.stop_price, "number"],
    ],
    "flat",
  );
}

function showRisk({ limits, used: now }) {
  facts($("risk"), [
    ["daily loss", used("daily loss", now.daily_loss, limits.max_daily_loss, "")],
    ["drawdown", used("drawdown", now.drawdown, limits.max_drawdown, "")],
    ["exposure", used("exposure", now.exposure, limits.max_exposure, "")],
    ["orders in a minute", used("orders in a minute", now.orders_in_a_minute, limits.max_orders_per_minute, "")],
    ["units", number(limits.units, 0)],
  ]);
}

function showDecisions() {
  const columns = [
    ["time", (row) => moment(row.time)],
    ["instrument", (row) => row.instrument],
    ["action", (row) => row.action],
    ["held", (row) => side(row.position)],
    ["wanted", (row) => side(row.target)],
    ["value", (row) => (row.value === null ? "–" : number(row.value, 2)), "number"],
    ["why", (row) => why(row), "text"],
    ["model", (row) => row.model],
  ];
  table($("decisions"), decisions.slice(0, 50), columns, "none yet: bars are warming up");
}

function showTrades() {
  const columns = [
    ["closed", (row) => moment(row.close_time)],
    ["instrument", (row) => row.instrument],
    ["side", (row) => row.side],
    ["units", (row) => row.units, "number"],
    ["pips", (row) => make("span", number(row.pips), row.pips > 0 ? "good" : "bad"), "number"],
    ["bars", (row) => row.bars, "number"],
    ["exit", (row) => row.exit_reason],
    ["model", (row) => row.model],
  ];
  table($("trades"), trades.slice(0, 50), columns, "none yet");
  equity.show(trades);
}

function showModels(document) {
  const columns = [
    ["version", (row) => row.version],
    ["state", (row) => row.state],
    ["parent", (row) => row.parent],
    ["quality", (row) => (row.quality_score === null ? "–" : number(row.quality_score)), "number"],
    ["gate", (row) => (row.passed === null || row.passed === undefined ? "not judged" : row.passed ? "passed" : "refused")],
    ["", (row) => {
      if (row.state === "best") return "decides";
      const button = make("button", "Swap in");
      Object.assign(button.dataset, { command: "swap", version: row.version, confirm: `Let ${row.version} decide?` });
      button.type = "button";
      button.setAttribute("aria-label", `swap in ${row.version}`);
      return button;
    }],
  ];
  table($("models"), document.models, columns, "none yet: train one");
}

function showStore(document) {
  const quality = document.quality ?? {};
  facts($("store"), [
    ["steps", `${number(document.size, 0)} of ${number(document.capacity, 0)}`],
    ["trades", number(document.trades, 0)],
    ["quality", quality.p50 === undefined || quality.p50 === null ? "–" : `${number(quality.min, 2)} to ${number(quality.max, 2)}, median ${number(quality.p50, 2)}`],
  ]);
}

async function refresh() {
  try {
    showStatus(await get("status"));
    showPositions(await get("positions"));
    showRisk(await get("risk"));
    showStore(await get("store"));
    showModels(await get("models"));
  } catch (error) {
    failed("refresh", error);
  }
}

async function history() {
  const query = instrument ? `&instrument=${encodeURIComponent(instrument)}` : "";
  decisions = (await get("decisions?limit=1000")).decisions;
  trades = (await get("trades?limit=1000")).trades;
  const points = (await get(`decisions?limit=1000${query}`)).decisions;
  price.show(points.reverse(), trades.filter((trade) => trade.instrument === instrument));
  showDecisions();
  showTrades();
}

$("instrument").addEventListener("change", () => {
  instrument = $("instrument").value;
  history().catch((error) => failed("history", error));
});

function hear(kind, document) {
  heard = Date.now();
  if (kind === "bar") {
    if (document.instrument === instrument) price.add(document);
  } else if (kind === "decision") {
    decisions.unshift(document);
    decisions.length = Math.min(decisions.length, 1000);
    showDecisions();
  } else if (kind === "trade") {
    trades.unshift(document);
    trades.length = Math.min(trades.length, 1000);
    showTrades();
    log(kind, document);
    history().catch((error) => failed("history", error));
  } else log(kind, document);
}

let running = false;
async function start() {
  if (running) return;
  running = true;
  let last = "";
  try {
    await refresh();
    if ($("enter").open) return;
    await history();
    for (;;) {
      try {
        await listen(last, (kind, document, id) => {
          last = id;
          hear(kind, document);
        });
      } catch (error) {
        if (error instanceof Refused) throw error;
      }
      $("summary").textContent = `connection lost ${new Date().toISOString().slice(11, 19)}; trying again`;
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  } catch (error) {
    failed("start", error);
  } finally {
    running = false;
  }
}

setInterval(() => {
  if (running) refresh();
}, REFRESH_MS);
if (token.get()) start();
else enter();
