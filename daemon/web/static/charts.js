// The two charts: mid price with entries and exits, and the pips made so far with their fall from the peak.

import { createChart, createSeriesMarkers, AreaSeries, LineSeries } from "/static/lightweight-charts.js";

const MOST = 5000;
const LABELLED = 12;
const IN_SIGHT = 240; // bars of the price chart at first; the rest is a scroll away
const seconds = (time) => Math.floor(Date.parse(time) / 1000);
const mid = (bar) => (bar.bid + bar.ask) / 2;

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "grid", "good", "bad", "accent"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

class Chart {
  constructor(element) {
    this.element = element;
    this.last = 0;
    this.count = 0;
    this.chart = createChart(element, {
      autoSize: true,
      layout: { background: { color: "transparent" }, attributionLogo: false },
      timeScale: { timeVisible: true, secondsVisible: true, minBarSpacing: 0.05 },
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  frame() {
    const { ink, grid } = colours();
    this.chart.applyOptions({ layout: { textColor: ink }, grid: { vertLines: { color: grid }, horzLines: { color: grid } } });
  }

  // Points of a series: one for each second, the oldest first.
  points(rows, of) {
    const seen = new Map(rows.map((row) => [seconds(row.time), of(row)]));
    return [...seen].sort((a, b) => a[0] - b[0]).slice(-MOST).map(([time, value]) => ({ time, value }));
  }

  began(data) {
    this.count = data.length;
    this.last = data.length ? data[data.length - 1].time : 0;
  }

  // Whether a bar is newer than what is drawn; true at most MOST times more before the chart must be shown anew.
  next(bar) {
    const time = seconds(bar.time);
    if (time <= this.last) return 0;
    this.last = time;
    this.count += 1;
    return time;
  }

  get full() {
    return this.count > 2 * MOST;
  }
}

export class PriceChart extends Chart {
  constructor(element) {
    super(element);
    this.series = this.chart.addSeries(LineSeries, { lineWidth: 1 });
    this.markers = createSeriesMarkers(this.series, []);
    this.lines = [];
    this.trades = [];
    this.held = [];
    this.paint();
  }

  paint() {
    this.frame();
    this.series.applyOptions({ color: colours().accent });
    this.mark(this.trades);
    this.hold(this.held);
  }

  show(bars, name) {
    const data = this.points(bars, mid);
    const digits = data.length && data[0].value > 20 ? 3 : 5;
    this.series.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
    this.series.setData(data);
    this.first = data.length ? data[0].time : Infinity;
    this.element.setAttribute("aria-label", `mid price of ${name} over ${data.length} bars, with entries and exits`);
    this.began(data);
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, data.length - IN_SIGHT), to: data.length + 5 });
  }

  add(bar) {
    const time = this.next(bar);
    if (time) this.series.update({ time, value: mid(bar) });
  }

  // Trades of this instrument, the latest first: arrows where they began, circles with their pips where they ended.
  mark(trades) {
    this.trades = trades;
    const { good, bad, ink } = colours();
    const marks = trades.flatMap((trade, index) => {
      const long = trade.side === "long";
      const entry = { time: seconds(trade.open_time), position: long ? "belowBar" : "aboveBar", shape: long ? "arrowUp" : "arrowDown", color: ink };
      const text = index < LABELLED ? trade.pips.toFixed(1) : "";
      const exit = { time: seconds(trade.close_time), position: long ? "aboveBar" : "belowBar", shape: "circle", color: trade.pips > 0 ? good : bad, text };
      return [entry, exit];
    });
    this.markers.setMarkers(marks.filter((mark) => mark.time >= this.first).sort((a, b) => a.time - b.time));
  }

  // Open positions of this instrument: a line where each was entered, and one at its stop.
  hold(positions) {
    this.held = positions;
    for (const line of this.lines) this.series.removePriceLine(line);
    const { ink, bad } = colours();
    this.lines = positions.flatMap((position) => {
      const made = [this.series.createPriceLine({ price: position.open_price, color: ink, lineWidth: 1, lineStyle: 2, title: position.side })];
      if (position.stop_price) made.push(this.series.createPriceLine({ price: position.stop_price, color: bad, lineWidth: 1, lineStyle: 2, title: "stop" }));
      return made;
    });
  }
}

export class EquityChart extends Chart {
  constructor(element) {
    super(element);
    this.pips = this.chart.addSeries(LineSeries, { lineWidth: 2 });
    this.fall = this.chart.addSeries(AreaSeries, { lineWidth: 1, invertFilledArea: true }, 1);
    this.peak = 0;
    this.chart.panes()[1].setHeight(70);
    this.paint();
  }

  paint() {
    this.frame();
    const { accent, bad } = colours();
    this.pips.applyOptions({ color: accent });
    this.fall.applyOptions({ lineColor: bad, topColor: `${bad}55`, bottomColor: `${bad}11` });
  }

  show(bars) {
    const data = this.points(bars, (bar) => bar.equity_pips);
    this.peak = 0;
    this.pips.setData(data);
    this.fall.setData(data.map(({ time, value }) => ({ time, value: this.below(value) })));
    this.began(data);
    this.chart.timeScale().fitContent();
  }

  add(bar) {
    const time = this.next(bar);
    if (!time) return;
    this.pips.update({ time, value: bar.equity_pips });
    this.fall.update({ time, value: this.below(bar.equity_pips) });
  }

  below(value) {
    this.peak = Math.max(this.peak, value);
    return value - this.peak;
  }
}
