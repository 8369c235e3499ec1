// Why it was decided so: what the search found, and who said no.

import { gauge, make, number } from "/static/parts.js";

const ACTIONS = ["HOLD", "BUY", "SELL", "CLOSE"];
const SIDES = { "-1": "short", 0: "flat", 1: "long" };
const VETOES = {
  daily_loss: "the daily loss limit is hit",
  drawdown: "the drawdown limit is hit",
  exposure: "too much would be at stake",
  gap: "quotes were missed",
  halted: "halted by an operator",
  hours: "outside the hours of trading",
  illegal: "not possible from this position",
  news: "news are due or just out",
  no_model: "no model is the best",
  no_rate: "no rate to the account's currency",
  not_ready: "the account is not in step",
  order_rate: "too many orders in a minute",
  paused: "paused by an operator",
  reducing: "an operator lets positions run down",
  size: "it would be less than one unit",
  spread: "the spread is too wide",
  stale: "the price is too old",
  synthetic: "the model learned on a synthetic market alone",
  untrained: "the model never learned anything",
  weekend: "the week is about to end",
};

export const side = (units) => SIDES[Math.sign(units)];
export const vetoed = (veto) => (VETOES[veto] ? `${VETOES[veto]} (${veto})` : veto);

// What the search tried, the most wanted first: its share of the policy, visits and value.
function tried(decision) {
  return ACTIONS.map((action, i) => ({ action, share: decision.policy[i], visits: decision.visits?.[i] ?? 0, q: decision.q?.[i] ?? null }))
    .filter(({ share, visits }) => share > 0 || visits > 0)
    .sort((a, b) => b.share - a.share);
}

// A sentence.
export function why(decision) {
  if (decision.veto) return `vetoed: ${vetoed(decision.veto)}`;
  if (!decision.policy) return "by the strategy's rule, without a search";
  const [first, second] = tried(decision);
  if (!first) return "nothing was tried";
  if (!second) return `${first.action} alone was possible`;
  if (first.action !== decision.action) return `${decision.action}, though the search leans to ${first.action}`;
  if (first.q === null || second.q === null) return `the search leans to ${first.action}`;
  return `${first.action} promises ${number(first.q, 2)}, ${second.action} ${number(second.q, 2)}`;
}

// Policy, visits and value of each action.
export function evidence(decision) {
  const made = make("div", decision.policy ? null : "–", "evidence");
  for (const { action, share, visits, q } of decision.policy ? tried(decision) : []) {
    const percent = `${number(share * 100, 0)} %`;
    const cell = make("span");
    cell.append(make("b", action), gauge("meter", `${action} ${percent}`, share, 1), `${percent}, ${visits} ${visits === 1 ? "visit" : "visits"}, q ${number(q, 2)}`);
    made.append(cell);
  }
  return made;
}

// What the model expects of the market until the next decision: chances from most up to most down.
export function outlook(decision) {
  if (!decision.outcome) return "–";
  const middle = (decision.outcome.length - 1) / 2;
  const sum = (rows) => number(100 * rows.reduce((a, b) => a + b, 0), 0);
  return `↑ ${sum(decision.outcome.slice(0, middle))}  → ${sum([decision.outcome[middle]])}  ↓ ${sum(decision.outcome.slice(middle + 1))} %`;
}
