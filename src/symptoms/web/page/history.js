// What was assessed since the page was loaded. It is kept in this variable and nowhere else.
import { byId, element } from "./elements.js";

let entries = [];

export function remember(text, assessment, reopen) {
  entries = [{ text, assessment, reopen }, ...entries].slice(0, 20);
  render();
}

export function forgetAll() {
  entries = [];
  render();
}

function render() {
  byId("history").hidden = entries.length === 0;
  byId("history-list").replaceChildren(...entries.map(item));
}

function item({ text, assessment, reopen }) {
  const answer = assessment.abstained ? "no clear answer" : `resembles ${assessment.primary_concern}`;
  const short = [...text.replace(/\s+/g, " ").trim()];
  const quote = short.length > 60 ? `${short.slice(0, 60).join("")}…` : short.join("");
  const button = element("button", `“${quote}”: ${answer}`, { type: "button" });
  button.addEventListener("click", () => reopen(text, assessment));
  const made = element("li");
  made.append(button);
  return made;
}
