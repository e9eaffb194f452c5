// The form: first the crisis screen, which needs no model, then the assessment.
import { ask } from "./api.js";
import { hideAnswer, keepBack, showCard } from "./card.js";
import { chosenCountry } from "./countries.js";
import { goToCrisis, showCrisis } from "./crisis.js";
import { byId, show } from "./elements.js";
import { forgetAll, markShown, remember } from "./history.js";

const LEVELS = ["none", "possible", "clear"];

let shown = null; // the text whose notices are shown, and those notices
let onKeyNeeded = () => {};

export function startAssessing(keyNeeded) {
  onKeyNeeded = keyNeeded;
  byId("assess-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("description").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("assess-form").requestSubmit();
  });
  byId("country").addEventListener("change", followCountry);
  byId("help-link").addEventListener("click", (event) => {
    // By hand, so that the browser's history says nothing about a person.
    event.preventDefault();
    goToCrisis();
  });
  for (const example of byId("try-list").querySelectorAll("button")) {
    example.addEventListener("click", () => {
      byId("description").value = example.textContent;
      byId("assess-form").requestSubmit();
    });
  }
  byId("history-clear").addEventListener("click", () => {
    forgetAll();
    byId("status").textContent = "The history is cleared.";
    byId("description").focus();
  });
}

async function submit() {
  const button = byId("submit");
  if (button.disabled) return;
  const text = byId("description").value;
  const country = chosenCountry();
  button.disabled = true;
  hideAnswer();
  markShown(null);
  byId("try").hidden = true;
  show("problem", "");
  byId("status").textContent = "Reading the description …";
  try {
    showNotices(text, await ask("api/screen", { text, country }));
    const entry = { text, country, assessment: await ask("api/assess", { text, country }) };
    remember(entry, present);
    present(entry);
    if (!entry.assessment.crisis) byId("result").focus();
  } catch (error) {
    byId("status").textContent = "";
    show("problem", error.message);
    if (error.status === 401) onKeyNeeded();
  } finally {
    button.disabled = false;
  }
}

function present(entry) {
  const { text, country, assessment } = entry;
  show("problem", "");
  byId("status").textContent = "";
  showNotices(text, assessment);
  if (assessment.crisis) keepBack(text, assessment);
  else showCard(text, assessment);
  markShown(entry);
  // The newest choice of a country counts, which may have changed meanwhile.
  if (country !== chosenCountry()) followCountry();
}

function showNotices(text, notices) {
  shown = { text, notices };
  byId("help").hidden = !notices.crisis;
  showCrisis(notices);
}

async function followCountry() {
  if (byId("crisis").hidden || shown === null) return;
  const before = shown;
  const asked = { text: before.text, country: chosenCountry() };
  try {
    let notices = await ask("api/screen", asked);
    // What the model alone has raised, the screen alone does not know.
    const isLower = LEVELS.indexOf(notices.crisis_level) < LEVELS.indexOf(before.notices.crisis_level);
    if (isLower) notices = await ask("api/assess", asked);
    if (shown === before && asked.country === chosenCountry()) showNotices(before.text, notices);
  } catch (error) {
    show("problem", error.message);
  }
}
