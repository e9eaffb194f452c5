// The form: first the crisis screen, which needs no model, then the assessment.
import { ask } from "./api.js";
import { hideAnswer, keepBack, showCard } from "./card.js";
import { chosenCountry } from "./countries.js";
import { goToCrisis, showCrisis } from "./crisis.js";
import { byId, show } from "./elements.js";
import { forgetAll, markShown, remember } from "./history.js";

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
    // The model may find less where the screen alone is only unsure; what it cannot take back is shown now.
    showNotices(text, await ask("api/screen", { text, country, before_model: true }));
    const entry = { text, country, assessment: await ask("api/assess", { text, country }) };
    remember(entry, present);
    present(entry);
    if (!byId("result").hidden) byId("result").focus();
  } catch (error) {
    byId("status").textContent = "";
    show("problem", error.message);
    if (error.languageNotice) showNotices(text, { crisis: false, crisis_notice: null, language_notice: error.languageNotice });
    if (error.status === 401) onKeyNeeded();
    else await showAllOfScreen(text, country);
  } finally {
    button.disabled = false;
  }
}

function present(entry) {
  const { text, country, assessment } = entry;
  show("problem", "");
  byId("status").textContent = "";
  showNotices(text, assessment);
  // What is nearest to a text that the model cannot read means little, however probable.
  if (assessment.crisis || assessment.unread) keepBack(text, assessment);
  else showCard(text, assessment);
  markShown(entry);
  // The newest choice of a country counts, which may have changed meanwhile.
  if (country !== chosenCountry()) followCountry();
}

// Without the model, the screen says all that it sees.
async function showAllOfScreen(text, country) {
  try {
    showNotices(text, await ask("api/screen", { text, country }));
  } catch {
    // The problem is shown already, and what was shown before it stays.
  }
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
    // What the model has changed, the screen alone does not know.
    if (!isSameNotice(notices, before.notices)) notices = await ask("api/assess", asked);
    if (shown === before && asked.country === chosenCountry()) showNotices(before.text, notices);
  } catch (error) {
    show("problem", error.message);
  }
}

function isSameNotice(one, other) {
  return (
    one.crisis_level === other.crisis_level &&
    one.crisis_notice?.category === other.crisis_notice?.category &&
    one.language_notice?.screened === other.language_notice?.screened
  );
}
