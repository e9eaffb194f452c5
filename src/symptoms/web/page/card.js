// The assessment card.
import { byId, drawing, element, show } from "./elements.js";
import { highlighted } from "./highlight.js";

export function percent(probability) {
  return probability < 0.005 ? "<1%" : `${Math.round(probability * 100)}%`;
}

export function showCard(text, assessment) {
  const { abstained, leading, key_symptoms: symptoms } = assessment;
  byId("result-title").textContent = abstained ? "No clear answer" : "This description resembles";
  byId("result-concern").textContent = abstained ? assessment.abstained_because : assessment.primary_concern;
  byId("result-concern").classList.toggle("concern", !abstained);
  byId("bars").replaceChildren(...leading.map(bar));
  const isUnsure = leading.length > 0 && !assessment.calibrated;
  show("calibration", isUnsure ? "Not checked on held-out examples yet, so likely too sure." : "");
  byId("words").replaceChildren(...highlighted(text, symptoms));
  const found = symptoms.some(({ evidence }) => evidence.length > 0);
  byId("words-hint").textContent = found
    ? "Marked are the words that bear out a symptom."
    : "No words were found that bear out a symptom.";
  byId("symptoms").replaceChildren(...(symptoms.length ? symptoms.map(symptomItem) : [element("li", "none identified")]));
  byId("recommendation").textContent = assessment.recommendation;
  byId("result").hidden = false;
}

export function hideCard() {
  byId("result").hidden = true;
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
  return element("li", quotes.length ? `${symptom}: ${quotes.join(", ")}` : symptom);
}
