// The panel that comes before everything else: calm words, and numbers of the chosen country.
import { byId, element, show } from "./elements.js";

// What the panel is headed with, by level; a notice without one says that the language is not read.
const TITLES = { clear: "You matter, and help is there now", possible: "Help is here" };

// `notice` is about danger, `unread` about a language that the screen does not read; the former comes first.
export function showCrisis({ crisis_notice: danger, language_notice: unread }) {
  const notice = danger ?? unread;
  const panel = byId("crisis");
  // Where numbers are shown, they can be changed.
  const place = byId(notice === null ? "form-country" : "crisis-country");
  if (byId("country-field").parentElement !== place) place.append(byId("country-field"));
  if (notice === null) {
    panel.hidden = true;
    return;
  }
  panel.dataset.level = notice.level ?? "unread";
  byId("crisis-title").textContent = TITLES[notice.level] ?? `Not read: ${notice.language}`;
  byId("crisis-opening").replaceChildren(...withLinks(notice.text.split("\n")[0], notice.emergency));
  show("crisis-unread", danger && unread ? `The crisis screen does not read ${unread.language}.` : "");
  const emergency = byId("crisis-emergency");
  emergency.replaceChildren();
  // Where the whole is one line, the number stands in its first sentence.
  if (notice.emergency && notice.level === "clear") {
    emergency.append("Emergency: ");
    notice.emergency.split(" or ").forEach((number, place) => {
      if (place > 0) emergency.append(" or ");
      emergency.append(callLink(number));
    });
  }
  const isBrief = notice.level !== "clear";
  byId("crisis-lines").replaceChildren(
    ...notice.lines.map((one, place) => line(one, leadOf(notice, one, place), isBrief)),
  );
  const appears = panel.hidden;
  panel.hidden = false;
  if (appears) goToCrisis();
}

export function goToCrisis() {
  byId("crisis").focus({ preventScroll: true });
  byId("crisis").scrollIntoView({ block: "start" });
}

// A sentence's text with the emergency numbers in it as links.
function withLinks(sentence, emergency) {
  const numbers = emergency ? emergency.split(" or ") : [];
  return sentence.split(/(\b[0-9]{2,}\b)/).map((part) => (numbers.includes(part) ? callLink(part) : part));
}

// What stands before a line's name, such as for whom it is; the notice's text has a line for each.
function leadOf(notice, { name }, place) {
  const written = notice.text.split("\n")[place + 1] ?? "";
  return written.slice(0, Math.max(0, written.indexOf(name))).trimStart();
}

// Briefly: without its hours, and without its address where there is a number.
function line({ name, call, text, url, hours }, lead, isBrief) {
  const item = element("li", lead);
  item.append(element("strong", name));
  if (!isBrief) item.append(` (${hours})`);
  const ways = [];
  if (call) ways.push(["call ", callLink(call)]);
  if (text) ways.push([`text ${text}`]);
  if (url && !(isBrief && ways.length)) ways.push([webLink(url)]);
  ways.forEach((way, place) => item.append(place === 0 ? ": " : ", ", ...way));
  return item;
}

function callLink(number) {
  return element("a", number, { href: `tel:${number.replace(/[^0-9+]/g, "")}` });
}

function webLink(url) {
  // Only addresses of the web become links, whatever the service says.
  if (!url.startsWith("https://")) return document.createTextNode(url);
  return element("a", new URL(url).hostname, { href: url, rel: "noreferrer noopener", target: "_blank" });
}
