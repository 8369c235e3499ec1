// The page: asks for the documents, listens to the events, and shows both.

import { Refused, get, listen, post, token } from "/static/api.js";
import { EquityChart, PriceChart } from "/static/charts.js";
import { make, say } from "/static/parts.js";
import { showDecisions, showModels, showPositions, showRisk, showStatus, showStore, showTiles, showTrades, told } from "/static/views.js";

const $ = (id) => document.getElementById(id);
const REFRESH_MS = 2000;
const SLOW_MS = 30_000; // models and store are read from the disk
const RETRY_MS = 2000;
const DRAW_MS = 250;
const MOST_LOGGED = 100;
const MOST_ROWS = 1000;
const ABOUT_MODELS = ["promoted", "rejected", "rolled_back", "retired", "probation_passed", "job_ended"];
const price = new PriceChart($("price"));
const equity = new EquityChart($("equity"));
let decisions = [];
let trades = [];
let changed = false;
let heard = null;

// The token.

function enter(message = "") {
  say($("refused"), message);
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

$("no").addEventListener("click", () => $("confirm").close("no"));

function asked(question) {
  say($("question"), question);
  $("reason").value = "";
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  return new Promise((done) => {
    $("confirm").addEventListener("close", () => done($("confirm").returnValue === "yes" ? $("reason").value : null), { once: true });
  });
}

async function command(name, more, question) {
  const reason = question ? await asked(question) : "";
  if (reason === null) return;
  say($("said"), `${name} …`);
  try {
    await post(name, { who: "dashboard", reason, ...more });
    say($("said"), `${name}: done at ${now()}`);
    await Promise.all([refresh(), refreshSlowly()]);
  } catch (error) {
    if (error instanceof Refused) enter(error.message);
    say($("said"), `${name} failed: ${error.message}`);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-command]");
  if (button) command(button.dataset.command, button.dataset.version ? { version: button.dataset.version } : {}, button.dataset.confirm);
});

// What happened.

const now = () => new Date().toISOString().slice(11, 19);

function log(text) {
  $("log").prepend(make("li", `${now()} ${text}`));
  while ($("log").children.length > MOST_LOGGED) $("log").lastChild.remove();
}

function lost(why) {
  if ($("lost").hidden) say($("lost"), `No connection since ${now()} (${why}): what you see is old. Trying again.`);
  $("lost").hidden = false;
}

// The documents.

async function refresh() {
  const [status, { positions }, risk] = await Promise.all([get("status"), get("positions"), get("risk")]);
  showStatus(status);
  showTiles(status, risk, positions);
  showPositions(positions);
  showRisk(risk);
  price.hold(positions.filter((row) => row.instrument === $("instrument").value));
}

async function refreshSlowly() {
  const [models, store] = await Promise.all([get("models"), get("store")]);
  showModels(models);
  showStore(store);
}

async function history() {
  const name = $("instrument").value;
  const limit = `limit=${MOST_ROWS}`;
  const found = await Promise.all([get(`decisions?${limit}`), get(`trades?${limit}`), get(`bars?${limit}`), get(`bars?${limit}&instrument=${encodeURIComponent(name)}`)]);
  decisions = found[0].decisions;
  trades = found[1].trades;
  equity.show(found[2].bars);
  price.show(found[3].bars, name);
  changed = true;
}

const again = (of, doing) => setInterval(() => heard !== null && doing().catch((error) => lost(error.message)), of);
again(REFRESH_MS, refresh);
again(SLOW_MS, refreshSlowly);

setInterval(() => {
  if (!changed) return;
  changed = false;
  showDecisions(decisions);
  showTrades(trades);
  price.mark(trades.filter((trade) => trade.instrument === $("instrument").value));
}, DRAW_MS);

$("instrument").addEventListener("change", () => Promise.all([history(), refresh()]).catch((error) => lost(error.message)));

// A row that came both with the history and as an event is one row.
function keep(rows, row, key) {
  if (rows.slice(0, 20).some((other) => key(other) === key(row))) return;
  rows.unshift(row);
  rows.length = Math.min(rows.length, MOST_ROWS);
  changed = true;
}

function hear(kind, document) {
  if (kind === "bar") {
    if (price.full || equity.full) return void history().catch((error) => lost(error.message));
    equity.add(document);
    if (document.instrument === $("instrument").value) price.add(document);
  } else if (kind === "decision") {
    keep(decisions, document, (row) => `${row.time} ${row.instrument}`);
  } else {
    if (kind === "trade") keep(trades, document, (row) => `${row.open_time} ${row.close_time} ${row.instrument}`);
    if (ABOUT_MODELS.includes(kind)) refreshSlowly().catch((error) => lost(error.message));
    log(told(kind, document));
  }
}

// Listen, and whenever the connection is made anew, show everything anew.
async function start() {
  let last = "";
  for (;;) {
    try {
      const opened = async () => {
        await Promise.all([refresh(), refreshSlowly()]);
        await history();
        $("lost").hidden = true;
        heard = Date.now();
      };
      await listen(last, opened, (kind, document, id) => {
        last = id;
        heard = Date.now();
        hear(kind, document);
      });
      lost("the daemon ended");
    } catch (error) {
      heard = null;
      if (error instanceof Refused) return enter(error.message);
      lost(error.message);
    }
    heard = null;
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

if (token.get()) start();
else enter();
