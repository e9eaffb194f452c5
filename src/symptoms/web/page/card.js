// The assessment card, and what stands in its place where help comes first.
import { byId, drawing, element, show } from "./elements.js";
import { highlighted } from "./highlight.js";

export function percent(probability) {
  if (probability < 0.005) return "<1%";
  return probability < 0.995 ? `${Math.round(probability * 100)}%` : ">99%";
}

// What leads to a label: what is said where it is sure, and the verb, also after "may". Nothing can resemble a label
// that is no condition.
const CONDITION = ["strongly", "resembles", "resemble"];
const SAID = {
  no_clinical_concern: ["most likely", "tells of", "tell of"],
  not_enough_information: ["most likely", "gives", "give"],
};

// As in "resembles Panic Disorder".
export function inWords({ condition, primary_concern: concern }) {
  return `${(SAID[condition] ?? CONDITION)[1]} ${concern}`;
}

function titleOf({ certainty, condition }) {
  const [surely, verb, infinitive] = SAID[condition] ?? CONDITION;
  if (certainty === "none") return "No clear answer";
  if (certainty === "low") return `This description may ${infinitive}, without much certainty`;
  return `This description ${certainty === "high" ? surely : "probably"} ${verb}`;
}

export function showCard(text, assessment) {
  const { abstained, leading, key_symptoms: symptoms } = assessment;
  show("about-model", assessment.about_the_model);
  byId("result-title").textContent = titleOf(assessment);
  byId("result-concern").textContent = abstained ? assessment.abstained_because : assessment.primary_concern;
  byId("result-concern").dataset.certainty = assessment.certainty;
  byId("bars").dataset.sure = String(assessment.certainty === "high" || assessment.certainty === "moderate");
  byId("bars").replaceChildren(...leading.map(bar));
  const isUnsure = leading.length > 0 && !assessment.calibrated;
  show("calibration", isUnsure ? "These probabilities were not calibrated and are likely too high." : "");
  byId("words").replaceChildren(...highlighted(text, symptoms));
  const found = symptoms.some(({ evidence }) => evidence.length > 0);
  byId("words-hint").textContent = found
    ? "Marked are the words that bear out a symptom."
    : "No words were found that bear out a symptom.";
  byId("symptoms").replaceChildren(...(symptoms.length ? symptoms.map(symptomItem) : [element("li", "none that your words bear out")]));
  byId("suggestion").hidden = assessment.recommendation === null;
  byId("recommendation").textContent = assessment.recommendation ?? "";
  byId("disclaimer").textContent = assessment.disclaimer;
  byId("kept-back").hidden = true;
  byId("result").hidden = false;
}

// The card is only made once it is asked for: until then no condition is anywhere in the page.
export function keepBack(text, assessment) {
  const { leading, abstained_because: reason } = assessment;
  byId("result").hidden = true;
  byId("kept-back-words").textContent = leading.length
    ? "What the model says about this description is kept back."
    : `The model has not answered. ${reason}`;
  byId("show-anyway").hidden = leading.length === 0;
  byId("show-anyway").onclick = () => {
    showCard(text, assessment);
    byId("result").focus();
  };
  byId("kept-back").hidden = false;
}

export function hideAnswer() {
  byId("result").hidden = true;
  byId("kept-back").hidden = true;
  byId("help").hidden = true;
}

function bar({ primary_concern: name, probability }) {
  const item = element("li");
  const track = drawing("svg", { "aria-hidden": "true", preserveAspectRatio: "none", viewBox: "0 0 100 1" });
  track.append(drawing("rect", { width: String(probability * 100), height: "1" }));
  item.append(element("span", name), element("span", percent(probability)), track);
  return item;
}

function symptomItem({ symptom, evidence }) {
  const quotes = [...new Set(evidence.map(({ text }) => `“${text}”`))];
  return element("li", `${symptom}: ${quotes.join(", ")}`);
}
