// What was assessed since the page was loaded. It is kept in these variables and nowhere else.
import { inWords } from "./card.js";
import { byId, element } from "./elements.js";

const MOST = 20;

let entries = []; // each with text, country and assessment, and how to open it again
let shown = null; // the entry whose answer is on show, which the list leaves out

export function remember(entry, reopen) {
  const others = entries.filter(({ text }) => text !== entry.text);
  entries = [Object.assign(entry, { reopen }), ...others].slice(0, MOST);
}

export function markShown(entry) {
  shown = entry;
  render();
}

export function forgetAll() {
  entries = [];
  render();
}

function render() {
  const earlier = entries.filter((entry) => entry !== shown);
  byId("history").hidden = earlier.length === 0;
  byId("history-list").replaceChildren(...earlier.map(item));
}

function item(entry) {
  const short = [...entry.text.replace(/\s+/g, " ").trim()];
  const quote = short.length > 60 ? `${short.slice(0, 60).join("")}…` : short.join("");
  const button = element("button", `“${quote}”: ${inShort(entry.assessment)}`, { type: "button" });
  button.addEventListener("click", () => entry.reopen(entry));
  const made = element("li");
  made.append(button);
  return made;
}

// With a crisis notice no condition is named, here as little as on the card.
function inShort(assessment) {
  if (assessment.crisis) return "help is listed at the top";
  return assessment.abstained ? "no clear answer" : inWords(assessment);
}
