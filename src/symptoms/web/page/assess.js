// The form: first the crisis screen, which needs no model, then the assessment.
import { ask } from "./api.js";
import { hideCard, showCard } from "./card.js";
import { chosenCountry } from "./countries.js";
import { showCrisis } from "./crisis.js";
import { byId, show } from "./elements.js";
import { forgetAll, remember } from "./history.js";

let shownText = null;
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
  byId("country").addEventListener("change", screenAgain);
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
  hideCard();
  show("problem", "");
  byId("status").textContent = "Reading the description …";
  try {
    const screened = await ask("api/screen", { text, country });
    shownText = text;
    showCrisis(screened.crisis_notice ?? screened.language_notice);
    const assessment = await ask("api/assess", { text, country });
    present(text, assessment);
    remember(text, assessment, present);
    if (!assessment.crisis) byId("result").focus();
  } catch (error) {
    byId("status").textContent = "";
    show("problem", error.message);
    if (error.status === 401) onKeyNeeded();
  } finally {
    button.disabled = false;
  }
}

function present(text, assessment) {
  shownText = text;
  show("problem", "");
  // The newest choice of a country counts, which may have changed meanwhile.
  const notice = assessment.crisis_notice ?? assessment.language_notice;
  if (notice === null) showCrisis(null);
  else if (byId("crisis").hidden) showCrisis(notice);
  showCard(text, assessment);
  // Without a crisis the focus moves to the card, which tells the answer itself.
  byId("status").textContent = assessment.crisis ? "Help is listed at the top of the page." : "";
  if (notice !== null) screenAgain();
}

async function screenAgain() {
  if (byId("crisis").hidden || shownText === null) return;
  const text = shownText;
  try {
    const screened = await ask("api/screen", { text, country: chosenCountry() });
    if (text === shownText) showCrisis(screened.crisis_notice ?? screened.language_notice);
  } catch (error) {
    show("problem", error.message);
  }
}
