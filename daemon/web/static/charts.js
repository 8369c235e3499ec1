// The two charts: mid price with entries and exits, and the closed pips with their drawdown.

import { createChart, createSeriesMarkers, AreaSeries, LineSeries } from "/static/lightweight-charts.js";

const MOST = 3000;
const seconds = (time) => Math.floor(Date.parse(time) / 1000);

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ink: of("--ink"), line: of("--line"), good: of("--good"), bad: of("--bad"), accent: of("--accent") };
}

function chart(element) {
  const { ink, line } = colours();
  return createChart(element, {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: ink, attributionLogo: false },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    timeScale: { timeVisible: true },
  });
}

export class PriceChart {
  constructor(element) {
    const { accent } = colours();
    this.chart = chart(element);
    this.series = this.chart.addSeries(LineSeries, { color: accent, lineWidth: 1, priceFormat: { type: "price", precision: 5, minMove: 0.00001 } });
    this.markers = createSeriesMarkers(this.series, []);
    this.last = 0;
  }

  show(points, trades) {
    const seen = new Map(points.map((point) => [seconds(point.time), (point.bid + point.ask) / 2]));
    const data = [...seen].sort((a, b) => a[0] - b[0]).slice(-MOST).map(([time, value]) => ({ time, value }));
    const digits = data.length && data[0].value > 20 ? 3 : 5;
    this.series.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
    this.series.setData(data);
    this.last = data.length ? data[data.length - 1].time : 0;
    const { good, bad } = colours();
    const from = data.length ? data[0].time : Infinity;
    const marks = trades.flatMap((trade) => {
      const long = trade.side === "long";
      const entry = { time: seconds(trade.open_time), position: long ? "belowBar" : "aboveBar", shape: long ? "arrowUp" : "arrowDown", color: long ? good : bad, text: trade.side };
      const exit = { time: seconds(trade.close_time), position: long ? "aboveBar" : "belowBar", shape: "circle", color: trade.pips > 0 ? good : bad, text: trade.pips.toFixed(1) };
      return [entry, exit];
    });
    this.markers.setMarkers(marks.filter((mark) => mark.time >= from).sort((a, b) => a.time - b.time));
  }

  add(point) {
    const time = seconds(point.time);
    if (time < this.last) return;
    this.last = time;
    this.series.update({ time, value: (point.bid + point.ask) / 2 });
  }
}

export class EquityChart {
  constructor(element) {
    const { accent, bad } = colours();
    this.chart = chart(element);
    this.pips = this.chart.addSeries(LineSeries, { color: accent, lineWidth: 2, title: "pips" });
    this.fall = this.chart.addSeries(AreaSeries, { lineColor: bad, topColor: "transparent", bottomColor: bad, lineWidth: 1, title: "drawdown" });
  }

  show(trades) {
    const sums = new Map();
    const falls = new Map();
    let sum = 0;
    let peak = 0;
    for (const trade of [...trades].reverse()) {
      sum += trade.pips;
      peak = Math.max(peak, sum);
      sums.set(seconds(trade.close_time), sum);
      falls.set(seconds(trade.close_time), sum - peak);
    }
    const rows = (map) => [...map].sort((a, b) => a[0] - b[0]).map(([time, value]) => ({ time, value }));
    this.pips.setData(rows(sums));
    this.fall.setData(rows(falls));
  }
}
