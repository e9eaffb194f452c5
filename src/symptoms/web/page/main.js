// Puts the page together: which model answers, the key where one is needed, and the two tabs.
import { ask, useKey } from "./api.js";
import { startAssessing } from "./assess.js";
import { fillCountries } from "./countries.js";
import { byId, show } from "./elements.js";
import { showRuns } from "./runs.js";

const TABS = ["assess", "runs"];

function select(chosen) {
  for (const name of TABS) {
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === chosen));
    tab.tabIndex = name === chosen ? 0 : -1;
    byId(`panel-${name}`).hidden = name !== chosen;
  }
  showRuns(chosen === "runs");
}

function startTabs() {
  TABS.forEach((name, place) => {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => select(name));
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: -1 };
      const targets = { Home: 0, End: TABS.length - 1 };
      const target = targets[event.key] ?? (event.key in steps ? place + steps[event.key] : null);
      if (target === null) return;
      event.preventDefault();
      const next = TABS[(target + TABS.length) % TABS.length];
      select(next);
      byId(`tab-${next}`).focus();
    });
  });
}

function askForKey() {
  byId("key-form").hidden = false;
  byId("key").focus();
}

async function loadModel() {
  try {
    const model = await ask("api/model");
    fillCountries(model);
    const shipped = model.run === "shipped" && "The classifier that ships with this program";
    const name = shipped || (model.run ? `The run ${model.run}` : model.checkpoint);
    const checked = model.calibrated ? "calibrated on held-out examples" : "not calibrated";
    byId("model").textContent = `${name} answers (base model ${model.base_model}, ${model.service}, ${checked}).`;
    const languages = new Intl.ListFormat("en").format(model.screen_languages);
    show("screen-languages", `The screen for danger reads ${languages}. It can miss signs in any language.`);
    byId("key-form").hidden = true;
    return true;
  } catch (error) {
    byId("model").textContent = error.message;
    if (error.status === 401) askForKey();
    return false;
  }
}

byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key").value = "";
  if (await loadModel()) {
    show("problem", "");
    byId("description").focus();
  } else {
    byId("key-hint").textContent = "This key was not taken; try again.";
  }
});

startTabs();
startAssessing(askForKey);
loadModel();
