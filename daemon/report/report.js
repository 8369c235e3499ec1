"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const namespace = document.getElementById("blank").namespaceURI;
  const tip = document.getElementById("tip");
  const margin = { left: 52, right: 10, top: 8, bottom: 22 };
  const MARKERS_MOST = 1500, LINKS_MOST = 400;
  const whole = span(data.actions.start.slice(0, 1).concat(data.equity.time));
  let view = whole;

  // --- small tools -------------------------------------------------------------------------------------------------
  function element(parent, name, attributes, text) {
    const made = parent.namespaceURI === namespace || name === "svg"
      ? document.createElementNS(namespace, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function span(times) {
    return times.length ? [times[0], Math.max(times[times.length - 1], times[0] + 1000)] : [0, 1000];
  }

  function place(sorted, value) {
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  }

  function visible(times) {
    return [Math.max(place(times, view[0]) - 1, 0), Math.min(place(times, view[1]) + 1, times.length)];
  }

  function roundSteps(low, high, most) {
    const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((width) => width >= rough);
    const first = Math.ceil(low / step - 1e-9), count = Math.floor(high / step + 1e-9) - first + 1;
    return { step, at: Array.from({ length: Math.max(count, 0) }, (_, index) => (first + index) * step) };
  }

  function number(value, decimals) {
    return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "\u2212");
  }

  function short(value, step) {
    return number(value, Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9))));
  }

  const MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
  const TIME_STEPS = [MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 365 * DAY];

  function timeSteps([from, to], most) {
    const step = TIME_STEPS.find((width) => (to - from) / width <= most) || 365 * DAY;
    const ticks = [];
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) ticks.push(time);
    return { step, ticks };
  }

  function clock(time) { return new Date(time).toISOString().slice(0, 19).replace("T", " "); }

  function timeLabel(time, step) {
    const text = new Date(time).toISOString();
    if (step >= DAY || time % DAY === 0) return step > 90 * DAY ? text.slice(0, 7) : text.slice(5, 10);
    return text.slice(11, 16);
  }

  // --- a chart's frame: axes, hover, brush -------------------------------------------------------------------------
  function frame(id, range, options) {
    const host = document.getElementById(id);
    host.classList.remove("empty");
    const box = host.getBoundingClientRect(), width = Math.max(box.width, 120), height = box.height;
    const svg = element(document.createDocumentFragment(), "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    const domain = options.domain || view;
    const pad = (range[1] - range[0]) * 0.06 || Math.abs(range[0]) * 1e-4 || 1;
    const low = options.floor !== undefined ? options.floor : range[0] - pad;
    const high = options.ceiling !== undefined ? options.ceiling : range[1] + pad;
    const inner = { x: margin.left, y: margin.top, width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
    const chart = {
      host, svg, inner,
      x: (value) => inner.x + (value - domain[0]) / (domain[1] - domain[0]) * inner.width,
      y: (value) => inner.y + (high - value) / (high - low) * inner.height,
      time: (pixel) => domain[0] + (pixel - inner.x) / inner.width * (domain[1] - domain[0]),
    };
    const rows = roundSteps(low, high, Math.max(2, Math.floor(inner.height / 45)));
    for (const value of rows.at) {
      element(svg, "line", { class: Math.abs(value) < rows.step / 1e6 ? "zero" : "grid", x1: inner.x, x2: inner.x + inner.width, y1: chart.y(value), y2: chart.y(value) });
      element(svg, "text", { x: inner.x - 8, y: chart.y(value) + 4, "text-anchor": "end" }, short(value, rows.step));
    }
    if (!options.domain) {
      const { step, ticks } = timeSteps(domain, Math.max(2, Math.floor(inner.width / 90)));
      for (const time of ticks) element(svg, "text", { x: chart.x(time), y: height - 5, "text-anchor": "middle" }, timeLabel(time, step));
    }
    const clip = element(svg, "clipPath", { id: `clip-${id}` });
    element(clip, "rect", { x: inner.x, y: inner.y - 2, width: inner.width, height: inner.height + 4 });
    chart.plot = element(svg, "g", { "clip-path": `url(#clip-${id})` });
    host.replaceChildren(svg);
    return chart;
  }

  function empty(id, text) {
    const host = document.getElementById(id);
    host.classList.add("empty");
    host.replaceChildren(text);
  }

  function path(chart, times, values, from, to, stepped, widest = Infinity) {
    const parts = [];
    let before = null;
    for (let index = from; index < to; index++) {
      if (values[index] === null) continue;
      const x = chart.x(times[index]).toFixed(1), y = chart.y(values[index]).toFixed(1);
      parts.push(before === null || times[index] - before > widest ? `M${x} ${y}` : stepped ? `H${x}V${y}` : `L${x} ${y}`);
      before = times[index];
    }
    return parts.join("");
  }

  // Longer than this between two points, the market was closed: no line pretends that it was not.
  function quiet(times) {
    const gaps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
    return gaps.length ? Math.max(HOUR, 20 * gaps[gaps.length >> 1]) : HOUR;
  }

  function band(chart, times, lows, highs, from, to) {
    const there = [], back = [];
    for (let index = from; index < to; index++) {
      if (lows[index] === null) continue;
      const x = chart.x(times[index]).toFixed(1);
      there.push(`${x} ${chart.y(highs[index]).toFixed(1)}`);
      back.unshift(`${x} ${chart.y(lows[index]).toFixed(1)}`);
    }
    return there.length ? `M${there.concat(back).join("L")}Z` : "";
  }

  function extent(columns, from, to, level) {
    let low = level ?? Infinity, high = level ?? -Infinity;
    for (const values of columns) {
      for (let index = from; index < to; index++) {
        if (values[index] === null) continue;
        low = Math.min(low, values[index]);
        high = Math.max(high, values[index]);
      }
    }
    return low <= high ? [low, high] : [0, 1];
  }

  function showTip(event, text) {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = event.clientX + 14 + box.width > window.innerWidth ? event.clientX - 14 - box.width : event.clientX + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, event.clientY - box.height - 10)}px`;
  }

  function pointerX(chart, event) { return event.clientX - chart.svg.getBoundingClientRect().left; }

  function hoverable(chart, describe) {
    const line = element(chart.svg, "line", { class: "hover", y1: chart.inner.y, y2: chart.inner.y + chart.inner.height, hidden: "" });
    chart.svg.addEventListener("pointermove", (event) => {
      const found = describe(pointerX(chart, event));
      line.toggleAttribute("hidden", !found);
      tip.hidden = !found;
      if (!found) return;
      line.setAttribute("x1", found.x);
      line.setAttribute("x2", found.x);
      showTip(event, found.text);
    });
    chart.svg.addEventListener("pointerleave", () => { tip.hidden = true; line.setAttribute("hidden", ""); });
  }

  function zoomable(chart) {
    chart.host.classList.add("time");
    let start = null, brush = null;
    chart.svg.addEventListener("pointerdown", (event) => {
      start = pointerX(chart, event);
      brush = element(chart.svg, "rect", { class: "brush", x: start, y: chart.inner.y, width: 0, height: chart.inner.height });
    });
    chart.svg.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const x = pointerX(chart, event);
      brush.setAttribute("x", Math.min(start, x));
      brush.setAttribute("width", Math.abs(x - start));
    });
    const finish = (event) => {
      if (start === null) return;
      const ends = [start, pointerX(chart, event)].sort((a, b) => a - b).map(chart.time);
      const wide = Math.abs(pointerX(chart, event) - start) > 12;
      start = null;
      brush.remove();
      if (wide && event.type === "pointerup") look([Math.max(ends[0], whole[0]), Math.min(ends[1], whole[1])]);
    };
    for (const kind of ["pointerup", "pointercancel", "pointerleave"]) chart.svg.addEventListener(kind, finish);
  }

  function nearest(chart, times, pixel) {
    if (pixel < chart.inner.x - 4 || pixel > chart.inner.x + chart.inner.width + 4) return -1;
    const time = chart.time(pixel), after = place(times, time);
    if (after === 0) return 0;
    return after === times.length || time - times[after - 1] < times[after] - time ? after - 1 : after;
  }

  function legend(id, keys) {
    const host = document.querySelector(`[data-for="${id}"]`);
    host.replaceChildren();
    for (const [colour, text] of keys) {
      const key = element(host, "span", { class: "key" });
      element(key, "i", { class: `f-${colour}` });
      element(key, "span", {}, text);
    }
  }

  // --- the charts --------------------------------------------------------------------------------------------------
  function drawEquity() {
    const { time, closed, marked, fall } = data.equity;
    if (!time.length) { empty("equity", "No decision, no curve."); empty("drawdown", "No decision, no curve."); return; }
    const [from, to] = visible(time);
    legend("equity", [["blue", "closed trades, pips"], ["grey", "marked to market"]]);
    const chart = frame("equity", extent([closed, marked], from, to, view === whole ? 0 : undefined), {});
    element(chart.plot, "path", { class: "thin s-text", opacity: 0.55, d: path(chart, time, marked, from, to, false) });
    element(chart.plot, "path", { class: "line s-blue", d: path(chart, time, closed, from, to, true) });
    const depths = frame("drawdown", extent([fall], from, to, 0), { ceiling: 0 });
    const zeros = time.map(() => 0);
    element(depths.plot, "path", { class: "f-bad", opacity: 0.25, d: band(depths, time, fall, zeros, from, to) });
    element(depths.plot, "path", { class: "thin s-bad", d: path(depths, time, fall, from, to, false) });
    for (const one of [chart, depths]) {
      hoverable(one, (pixel) => {
        const index = nearest(one, time, pixel);
        return index < 0 ? null : { x: one.x(time[index]), text: `${clock(time[index])}\nclosed  ${number(closed[index], 1)}\nmarked  ${number(marked[index], 1)}\nbelow peak  ${number(-fall[index], 1)}` };
      });
      zoomable(one);
    }
  }

  function drawPrice() {
    const name = document.getElementById("instrument").value, series = data.price[name];
    if (!series || !series.time.length) { empty("price", "No decision, no price."); return; }
    const { time, low, high, close } = series, [from, to] = visible(time), trades = data.trades;
    const precision = data.instruments.find((one) => one.name === name).precision;
    const chart = frame("price", extent([low, high], from, to), {});
    element(chart.plot, "path", { class: "band f-text", d: band(chart, time, low, high, from, to) });
    element(chart.plot, "path", { class: "thin s-text", d: path(chart, time, close, from, to, false, quiet(time)) });
    const inView = trades.open.map((_, index) => index).filter((index) => trades.instrument[index] === name && trades.close[index] >= view[0] && trades.open[index] <= view[1]);
    const shown = inView.length > MARKERS_MOST ? [] : inView, size = shown.length > LINKS_MOST ? 2 : shown.length > 100 ? 3.5 : 5;
    const shapes = { links: { good: [], bad: [] }, up: [], down: [], exits: { good: [], bad: [] } };
    for (const index of shown) {
      const tone = trades.pips[index] > 0 ? "good" : "bad";
      const x0 = chart.x(trades.open[index]), y0 = chart.y(trades.entry[index]), x1 = chart.x(trades.close[index]), y1 = chart.y(trades.exit[index]);
      if (shown.length <= LINKS_MOST) shapes.links[tone].push(`M${x0.toFixed(1)} ${y0.toFixed(1)}L${x1.toFixed(1)} ${y1.toFixed(1)}`);
      const sense = trades.side[index] > 0 ? 1 : -1;
      shapes[sense > 0 ? "up" : "down"].push(`M${x0.toFixed(1)} ${(y0 - sense * size * 0.3).toFixed(1)}l${size} ${sense * size * 1.7}h${-2 * size}z`);
      shapes.exits[tone].push(`M${(x1 - size * 0.7).toFixed(1)} ${y1.toFixed(1)}a${size * 0.7} ${size * 0.7} 0 1 0 ${size * 1.4} 0a${size * 0.7} ${size * 0.7} 0 1 0 ${-size * 1.4} 0z`);
    }
    for (const tone of ["bad", "good"]) {
      element(chart.plot, "path", { class: `line s-${tone}`, d: shapes.links[tone].join("") });
      element(chart.plot, "path", { class: `f-${tone}`, d: shapes.exits[tone].join("") });
    }
    element(chart.plot, "path", { class: "f-blue", d: shapes.up.join("") });
    element(chart.plot, "path", { class: "f-violet", d: shapes.down.join("") });
    const keys = [["blue", "buy"], ["violet", "sell short"], ["good", "exit, won"], ["bad", "exit, lost"]];
    legend("price", inView.length > MARKERS_MOST ? [["text", `mid; ${number(inView.length, 0)} trades: look closer to see them`]] : keys);
    hoverable(chart, (pixel) => {
      const index = nearest(chart, time, pixel);
      if (index < 0) return null;
      const at = chart.time(pixel), held = inView.find((one) => trades.open[one] <= at && at <= trades.close[one]);
      const trade = held === undefined ? "" : `\n${trades.side[held] > 0 ? "long" : "short"} from ${number(trades.entry[held], precision)}\nout at ${number(trades.exit[held], precision)} (${trades.reason[held]})\n${number(trades.pips[held], 1)} pips`;
      return { x: chart.x(time[index]), text: `${clock(time[index])}\nmid  ${number(close[index], precision)}${trade}` };
    });
    zoomable(chart);
  }

  function drawActions() {
    const { start, end, counts, vetoes, value, low, high, support } = data.actions;
    if (!start.length) { empty("actions", "No decision was made."); empty("values", "No decision was made."); return; }
    const names = ["hold", "buy", "sell", "close"], colours = ["grey", "blue", "violet", "amber"];
    const [from, to] = visible(start);
    legend("actions", [...names.map((name, index) => [colours[index], name]), ["bad", "vetoed"]]);
    const chart = frame("actions", [0, 100], { floor: 0, ceiling: 100 });
    chart.plot.setAttribute("shape-rendering", "crispEdges");
    for (let index = from; index < to; index++) {
      const total = counts[index].reduce((sum, count) => sum + count, 0);
      const left = chart.x(start[index]), right = chart.x(index + 1 < start.length ? start[index + 1] : Math.max(end[index], start[index] + 1));
      let below = 0;
      counts[index].forEach((count, action) => {
        const above = below + 100 * count / total;
        if (count) element(chart.plot, "rect", { class: `f-${colours[action]}`, x: left, width: Math.max(right - left, 1), y: chart.y(above), height: chart.y(below) - chart.y(above) });
        below = above;
      });
      const vetoed = 100 * vetoes[index] / total;
      if (vetoed) element(chart.plot, "rect", { class: "f-bad", x: left, width: Math.max(right - left, 1), y: chart.y(vetoed), height: chart.y(0) - chart.y(vetoed) });
    }
    const bucketAt = (one, pixel) => {
      if (pixel < one.inner.x || pixel > one.inner.x + one.inner.width) return -1;
      return Math.max(0, Math.min(start.length, place(start, one.time(pixel) + 1)) - 1);
    };
    hoverable(chart, (pixel) => {
      const index = bucketAt(chart, pixel);
      return index < 0 ? null : { x: pixel, text: `from ${clock(start[index])}\n${names.map((name, action) => `${name}  ${counts[index][action]}`).join("\n")}\nvetoed  ${vetoes[index]}` };
    });
    zoomable(chart);
    if (value.every((one) => one === null)) { empty("values", "This strategy does not search."); return; }
    legend("values", [["violet", "root value: mean, and its range"]]);
    const values = frame("values", extent([low, high], from, to), {});
    const middle = start.map((time, index) => (time + end[index]) / 2);
    element(values.plot, "path", { class: "band f-violet", d: band(values, middle, low, high, from, to) });
    element(values.plot, "path", { class: "line s-violet", d: path(values, middle, value, from, to, false) });
    hoverable(values, (pixel) => {
      const index = bucketAt(values, pixel);
      if (index < 0 || value[index] === null) return null;
      return { x: pixel, text: `from ${clock(start[index])}\nmean  ${value[index].toPrecision(4)}\nrange  ${low[index].toPrecision(4)} to ${high[index].toPrecision(4)}\nvisits for the choice  ${number(100 * support[index], 0)} %` };
    });
    zoomable(values);
  }

  function drawBars(id, values, label, tone, describe) {
    const low = Math.min(0, ...values), high = Math.max(0, ...values);
    const chart = frame(id, [low, high], { domain: [0, values.length], floor: low < 0 ? low * 1.08 : 0, ceiling: high > 0 ? high * 1.08 : 0 });
    const wide = chart.inner.width / values.length, every = Math.ceil(values.length / Math.max(3, Math.floor(chart.inner.width / 52)));
    values.forEach((value, index) => {
      const top = chart.y(Math.max(value, 0)), bottom = chart.y(Math.min(value, 0));
      if (value) element(chart.plot, "rect", { class: `f-${tone(index)}`, x: chart.x(index) + wide * 0.08, width: Math.max(wide * 0.84, 0.5), y: top, height: Math.max(bottom - top, 1), rx: Math.min(2, wide / 6) });
    });
    label(chart, wide, every);
    hoverable(chart, (pixel) => {
      const index = Math.floor((pixel - chart.inner.x) / wide);
      return index < 0 || index >= values.length ? null : { x: chart.x(index + 0.5), text: describe(index) };
    });
  }

  function axisText(chart, x, text) {
    element(chart.svg, "text", { x, y: chart.inner.y + chart.inner.height + 17, "text-anchor": "middle" }, text);
  }

  function drawHistogram() {
    const { start, width, counts } = data.histogram;
    if (!counts.length) { empty("histogram", "No trade was made."); return; }
    const edge = (index) => start + index * width;
    drawBars("histogram", counts, (chart, wide, every) => {
      const zero = Math.round(-start / width);
      for (let index = 0; index <= counts.length; index++) {
        if ((((index - zero) % every) + every) % every === 0) axisText(chart, chart.x(index), short(edge(index), width));
      }
    }, (index) => (edge(index) + width / 2 > 0 ? "good" : "bad"),
    (index) => `${short(edge(index), width)} to ${short(edge(index + 1), width)} pips\n${counts[index]} trades`);
  }

  function drawHours() {
    const { trades, pips } = data.hours;
    if (!trades.some((count) => count)) { empty("hours", "No trade was made."); return; }
    drawBars("hours", pips, (chart, wide) => {
      for (let hour = 0; hour < 24; hour += wide < 18 ? 6 : 3) axisText(chart, chart.x(hour + 0.5), String(hour).padStart(2, "0"));
    }, (hour) => (pips[hour] > 0 ? "good" : "bad"),
    (hour) => `${String(hour).padStart(2, "0")}:00 UTC\n${number(pips[hour], 1)} pips\n${trades[hour]} trades`);
  }

  // --- the trade table ---------------------------------------------------------------------------------------------
  function tradeTable() {
    const trades = data.trades, rows = 25, precision = Object.fromEntries(data.instruments.map((one) => [one.name, one.precision]));
    const price = (column) => (index) => number(trades[column][index], precision[trades.instrument[index]] ?? 5);
    const columns = [
      ["Opened", "open", (index) => clock(trades.open[index])],
      ["Instrument", "instrument", (index) => trades.instrument[index]],
      ["Side", "side", (index) => (trades.side[index] > 0 ? "long" : "short")],
      ["Units", "units", (index) => number(trades.units[index], 0)],
      ["Entry", "entry", price("entry")],
      ["Closed", "close", (index) => clock(trades.close[index])],
      ["Exit", "exit", price("exit")],
      ["Pips", "pips", (index) => number(trades.pips[index], 1)],
      ["Profit", "pnl", (index) => `${number(trades.pnl[index], 2)} ${trades.currency[index]}`],
      ["Reward", "reward", (index) => number(trades.reward[index], 2)],
      ["Bars", "bars", (index) => number(trades.bars[index], 0)],
      ["Why", "reason", (index) => trades.reason[index]],
    ];
    const order = trades.open.map((_, index) => index), table = document.getElementById("trades");
    const head = element(table.tHead, "tr"), previous = document.getElementById("previous"), next = document.getElementById("next");
    let page = 0, sorted = "close", rising = true;
    const draw = () => {
      const pages = Math.max(1, Math.ceil(order.length / rows));
      table.tBodies[0].replaceChildren();
      for (const index of order.slice(page * rows, (page + 1) * rows)) {
        const line = element(table.tBodies[0], "tr");
        for (const [, key, text] of columns) {
          const signed = key === "pips" || key === "pnl" || key === "reward";
          element(line, "td", signed ? { class: trades[key][index] > 0 ? "good" : "bad" } : {}, text(index));
        }
      }
      [...head.cells].forEach((cell, index) => {
        if (columns[index][1] === sorted) cell.setAttribute("aria-sort", rising ? "ascending" : "descending"); else cell.removeAttribute("aria-sort");
      });
      document.getElementById("place").textContent = order.length ? `page ${page + 1} of ${pages}` : "no trades";
      previous.disabled = page === 0;
      next.disabled = page + 1 >= pages;
    };
    for (const [title, key] of columns) {
      element(head, "th", { scope: "col" }, title).addEventListener("click", () => {
        rising = sorted === key ? !rising : true;
        sorted = key;
        const sign = rising ? 1 : -1, values = trades[key];
        order.sort((a, b) => sign * (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b));
        page = 0;
        draw();
      });
    }
    previous.addEventListener("click", () => { page -= 1; draw(); });
    next.addEventListener("click", () => { page += 1; draw(); });
    draw();
  }

  // --- all of it ---------------------------------------------------------------------------------------------------
  function look(range) {
    view = range[1] - range[0] > 1000 ? range : view;
    document.querySelector(".reset").hidden = view === whole;
    tip.hidden = true;
    drawEquity();
    drawPrice();
    drawActions();
  }

  function drawAll() {
    look(view);
    drawHistogram();
    drawHours();
  }

  const select = document.getElementById("instrument");
  for (const { name } of data.instruments) element(select, "option", { value: name }, name);
  select.hidden = data.instruments.length < 2;
  select.addEventListener("change", drawPrice);
  document.querySelector(".reset").addEventListener("click", () => look(whole));
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  tradeTable();
  drawAll();
})();
