// Training runs side by side, and the newest one live while it trains.
import { ask } from "./api.js";
import { lossChart, lossTable, sample } from "./chart.js";
import { byId, element, show } from "./elements.js";

const POLL_SECONDS = 2;
const MOST_CHOSEN = 4;
const HEADS = [["show", ""], ["run", ""], ["steps", "number"], ["loss", "number"], ["held-out loss", "number"]];

const curves = new Map(); // by name: {metrics, dev}
let chosen = null; // names in the order in which they were chosen
let timer = null;
let isShown = false;

export function showRuns(isOpen) {
  isShown = isOpen;
  clearTimeout(timer);
  if (isOpen) refresh();
}

async function refresh() {
  let training = false;
  try {
    const { runs } = await ask("api/runs");
    show("runs-problem", "");
    byId("runs-empty").hidden = runs.length > 0;
    const names = runs.map(({ name }) => name);
    chosen = chosen === null ? firstChosen(runs) : chosen.filter((name) => names.includes(name));
    await follow();
    tellLive(runs);
    renderRuns(runs);
    training = runs.some(({ state }) => state === "training");
  } catch (error) {
    show("runs-problem", error.message);
  }
  clearTimeout(timer);
  // Less often while nothing trains; not at all while the tab is closed.
  if (isShown) timer = setTimeout(refresh, POLL_SECONDS * 1000 * (training ? 1 : 5));
}

function firstChosen(runs) {
  const training = runs.filter(({ state }) => state === "training");
  return (training.length ? training : runs.slice(0, 1)).slice(0, MOST_CHOSEN).map(({ name }) => name);
}

async function follow() {
  for (const name of chosen) {
    const known = curves.get(name) ?? { metrics: [], dev: [] };
    const last = known.metrics.length ? known.metrics[known.metrics.length - 1].step : 0;
    const { run, metrics, dev } = await ask(`api/runs/${encodeURIComponent(name)}?after=${last}`);
    // A resumed run goes back some steps; then its curve is read anew.
    const rewound = run.steps < known.metrics.length;
    if (rewound) {
      const whole = await ask(`api/runs/${encodeURIComponent(name)}`);
      curves.set(name, { metrics: whole.metrics, dev: whole.dev });
      continue;
    }
    const steps = new Set(known.dev.map(({ step }) => step));
    curves.set(name, {
      metrics: [...known.metrics, ...metrics],
      dev: [...known.dev, ...dev.filter(({ step }) => !steps.has(step))],
    });
  }
  renderCurves();
}

function renderCurves() {
  const series = chosen.map((name) => ({ name, ...(curves.get(name) ?? { metrics: [], dev: [] }) }));
  byId("chart").replaceChildren(lossChart(series, byId("chart").clientWidth || 640));
  lossTable(byId("curve-table"), series);
  const entries = series.flatMap(({ name, metrics, dev }, place) => {
    const kinds = [[metrics, "", name], [dev, "dev", `${name}, held-out`]];
    return kinds.filter(([points]) => points.length > 0).map(([points, kind, words]) => {
      const entry = element("li");
      entry.append(sample(`series-${place + 1} ${kind}`.trim(), points.length), words);
      return entry;
    });
  });
  byId("legend").replaceChildren(...entries);
}

function tellLive(runs) {
  const live = runs.find(({ state }) => state === "training");
  const of = live?.num_steps ? ` of ${live.num_steps}` : "";
  const loss = live && live.loss !== null ? `, loss ${live.loss.toFixed(3)}` : "";
  const told = live ? `${live.name} is training: step ${live.steps}${of}${loss}.` : "Nothing is training now.";
  if (byId("live").textContent !== told) byId("live").textContent = told;
}

function renderRuns(runs) {
  const focused = document.activeElement?.dataset?.run;
  const head = element("thead");
  head.append(element("tr"));
  for (const [name, kind] of HEADS) head.firstChild.append(element("th", name, { scope: "col", class: kind }));
  byId("runs").replaceChildren(head, ...runs.map(rows));
  byId("runs").hidden = runs.length === 0;
  if (focused !== undefined) {
    [...byId("runs").querySelectorAll("input")].find((box) => box.dataset.run === focused)?.focus();
  }
}

// Two rows for each run, so that all of it fits on a phone: its figures, and below them how it was made.
function rows(run) {
  const made = element("tbody");
  const figures = element("tr");
  const name = element("th", run.name, { scope: "rowgroup" });
  const state = element("span", run.state, { class: "state" });
  state.dataset.state = run.state;
  name.append(" ", state);
  const steps = run.num_steps && run.num_steps !== run.steps ? `${run.steps} of ${run.num_steps}` : String(run.steps);
  const loss = element("td", figure(run.final_loss ?? run.loss), { class: "number" });
  if (run.final_loss === null && run.loss !== null) loss.append(element("small", "newest step"));
  figures.append(
    boxCell(run), name, element("td", steps, { class: "number" }), loss,
    element("td", figure(run.dev_loss), { class: "number" }),
  );
  const details = element("tr", "", { class: "details" });
  details.append(element("td"), element("td", madeHow(run), { colspan: String(HEADS.length - 1) }));
  made.append(figures, details);
  return made;
}

function boxCell(run) {
  const box = element("input", "", { type: "checkbox", "aria-label": `show ${run.name}` });
  box.dataset.run = run.name;
  box.checked = chosen.includes(run.name);
  box.disabled = !box.checked && chosen.length >= MOST_CHOSEN;
  box.addEventListener("change", () => {
    chosen = box.checked ? [...chosen, run.name] : chosen.filter((name) => name !== run.name);
    refresh();
  });
  const cell = element("td");
  cell.append(box);
  return cell;
}

function madeHow(run) {
  const told = [
    run.answers ? "answers here" : null,
    run.base_model,
    run.data,
    run.learning_rate === null ? null : `learning rate ${run.learning_rate}`,
    run.batch_size === null ? null : `batch size ${run.batch_size}`,
  ];
  return told.filter((part) => part !== null).join(" · ") || "Its files cannot be read.";
}

function figure(loss) {
  return loss === null ? "–" : loss.toFixed(3);
}
