// Loss curves as SVG, and the same figures as a table.
import { drawing, element } from "./elements.js";

const LEFT = 56;
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
  const lastStep = Math.max(...points.map(({ step }) => step));
  const ticks = niceTicks(Math.max(...points.map(({ loss }) => loss)));
  const highest = ticks[ticks.length - 1];
  const middle = (LEFT + width - RIGHT) / 2;
  // A single step stands in the middle: it has no other to be left or right of.
  const across = (step) =>
    lastStep === 1 ? middle : LEFT + ((step - 1) / (lastStep - 1)) * (width - LEFT - RIGHT);
  const up = (loss) => height - BOTTOM - (loss / highest) * (height - TOP - BOTTOM);
  for (const tick of ticks) {
    svg.append(drawing("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: up(tick), y2: up(tick) }));
    svg.append(drawing("text", { x: LEFT - 6, y: up(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  for (const step of stepTicks(lastStep, width)) {
    const anchor = step === lastStep && lastStep > 1 ? "end" : "middle";
    const at = { class: "grid", x1: across(step), x2: across(step), y1: height - BOTTOM, y2: height - BOTTOM + 4 };
    svg.append(drawing("line", at));
    svg.append(drawing("text", { x: across(step), y: height - 20, "text-anchor": anchor }, String(step)));
  }
  svg.append(drawing("text", { x: middle, y: height - 4, "text-anchor": "middle" }, "training step"));
  const side = { transform: `translate(12 ${(TOP + height - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" };
  svg.append(drawing("text", side, "nats per token"));
  series.forEach(({ metrics, dev }, place) => {
    svg.append(...line(thinned(metrics), `series-${place + 1}`, across, up));
    svg.append(...line(dev, `series-${place + 1} dev`, across, up));
  });
  return svg;
}

// What the chart draws so many points of a series as: a line, or a dot where there is but one.
export function sample(name, count) {
  const svg = drawing("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" });
  const drawn = Array.from({ length: Math.min(count, 2) }, (_, place) => ({ step: place, loss: 0 }));
  svg.append(...line(drawn, name, (step) => (count > 1 ? 28 * step : 14), () => 5));
  return svg;
}

// The figures as a table; of long runs every so many steps, and every step with a held-out loss.
export function lossTable(table, series) {
  const columns = series.flatMap(({ name, metrics, dev }) => [
    [name, new Map(metrics.map(({ step, loss }) => [step, loss]))],
    ...(dev.length ? [[`${name}, held-out`, new Map(dev.map(({ step, loss }) => [step, loss]))]] : []),
  ]);
  const steps = [...new Set(series.flatMap(({ metrics }) => metrics.map(({ step }) => step)))].sort((a, b) => a - b);
  const evaluated = new Set(series.flatMap(({ dev }) => dev.map(({ step }) => step)));
  const every = Math.max(1, Math.ceil(steps.length / TABLE_ROWS));
  const shown = steps.filter((step, place) => place % every === 0 || place === steps.length - 1 || evaluated.has(step));
  const head = element("tr");
  head.append(element("th", "step", { scope: "col", class: "number" }));
  for (const [name] of columns) head.append(element("th", name, { scope: "col", class: "number" }));
  const rows = shown.map((step) => {
    const row = element("tr");
    row.append(element("th", String(step), { scope: "row", class: "number" }));
    for (const [, losses] of columns) {
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
  const places = points.map(({ step, loss }) => [across(step).toFixed(1), up(loss).toFixed(1)]);
  if (places.length === 0) return [];
  if (places.length === 1) {
    const [[cx, cy]] = places;
    return [drawing("circle", { class: name, cx, cy, r: "4" })];
  }
  const path = places.map(([x, y], place) => `${place === 0 ? "M" : "L"}${x} ${y}`);
  return [drawing("path", { class: name, d: path.join("") })];
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

// Round numbers of steps, few enough to stand side by side, and the first and the last step.
function stepTicks(lastStep, width) {
  const every = Math.max(1, niceTicks(Math.max(4, lastStep * (width < 480 ? 1.6 : 0.8)))[1]);
  const round = Array.from({ length: Math.floor(lastStep / every) }, (_, place) => (place + 1) * every);
  return [...new Set([1, ...round.filter((step) => step > 1 && lastStep - step >= every / 2), lastStep])];
}
