// Loss curves as SVG, and the same figures as a table.
import { drawing, element } from "./elements.js";

const LEFT = 48;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 40;
const MOST_POINTS = 400;
const TABLE_ROWS = 20;

// Each series has name, metrics and dev, both lists of {step, loss}.
// It is drawn for a width in pixels, so that letters keep their size on a phone.
export function lossChart(series, width) {
  const height = Math.round(Math.min(300, Math.max(200, width / 2)));
  const points = series.flatMap(({ metrics, dev }) => [...metrics, ...dev]);
  const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(series) });
  if (points.length === 0) return svg;
  const lastStep = Math.max(2, ...points.map(({ step }) => step));
  const ticks = niceTicks(Math.max(...points.map(({ loss }) => loss)));
  const highest = ticks[ticks.length - 1];
  const across = (step) => LEFT + ((step - 1) / (lastStep - 1)) * (width - LEFT - RIGHT);
  const up = (loss) => height - BOTTOM - (loss / highest) * (height - TOP - BOTTOM);
  for (const tick of ticks) {
    svg.append(drawing("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: up(tick), y2: up(tick) }));
    svg.append(drawing("text", { x: LEFT - 6, y: up(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  for (const step of new Set([1, Math.round((1 + lastStep) / 2), lastStep])) {
    const anchor = step === 1 ? "start" : step === lastStep ? "end" : "middle";
    svg.append(drawing("text", { x: across(step), y: height - 20, "text-anchor": anchor }, String(step)));
  }
  svg.append(drawing("text", { x: (LEFT + width - RIGHT) / 2, y: height - 4, "text-anchor": "middle" }, "step"));
  series.forEach(({ metrics, dev }, place) => {
    svg.append(line(thinned(metrics), `series-${place + 1}`, across, up));
    svg.append(line(dev, `series-${place + 1} dev`, across, up));
  });
  return svg;
}

export function lossTable(table, series) {
  const steps = [...new Set(series.flatMap(({ metrics }) => metrics.map(({ step }) => step)))].sort((a, b) => a - b);
  const every = Math.max(1, Math.ceil(steps.length / TABLE_ROWS));
  const shown = steps.filter((_, place) => place % every === 0 || place === steps.length - 1);
  const head = element("tr");
  head.append(element("th", "step", { scope: "col", class: "number" }));
  for (const { name } of series) head.append(element("th", name, { scope: "col", class: "number" }));
  const known = series.map(({ metrics }) => new Map(metrics.map(({ step, loss }) => [step, loss])));
  const rows = shown.map((step) => {
    const row = element("tr");
    row.append(element("th", String(step), { scope: "row", class: "number" }));
    for (const losses of known) {
      const loss = losses.get(step);
      row.append(element("td", loss === undefined ? "–" : loss.toFixed(3), { class: "number" }));
    }
    return row;
  });
  table.replaceChildren(element("caption", every > 1 ? `Every ${every} steps` : "Every step"), head, ...rows);
}

function inWords(series) {
  const told = series
    .filter(({ metrics }) => metrics.length > 0)
    .map(({ name, metrics }) => {
      const last = metrics[metrics.length - 1];
      return `${name}: loss from ${metrics[0].loss.toFixed(3)} to ${last.loss.toFixed(3)} in ${last.step} steps`;
    });
  return told.length ? told.join("; ") : "No steps yet";
}

function line(points, name, across, up) {
  const path = points.map(({ step, loss }, place) => {
    return `${place === 0 ? "M" : "L"}${across(step).toFixed(1)} ${up(loss).toFixed(1)}`;
  });
  return drawing("path", { class: name, d: path.join("") });
}

// More points than pixels are drawn as the means of equal shares.
function thinned(points) {
  const share = Math.ceil(points.length / MOST_POINTS);
  if (share <= 1) return points;
  const means = [];
  for (let start = 0; start < points.length; start += share) {
    const part = points.slice(start, start + share);
    const mean = part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    means.push({ step: part[part.length - 1].step, loss: mean });
  }
  return means;
}

// Steps of 1, 2 or 5 times a power of ten, from 0 to beyond the highest value.
function niceTicks(highest) {
  const rough = Math.max(highest, 1e-6) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((candidate) => candidate >= rough);
  const count = Math.ceil(highest / step);
  return Array.from({ length: Math.max(1, count) + 1 }, (_, place) => Number((place * step).toPrecision(6)));
}
