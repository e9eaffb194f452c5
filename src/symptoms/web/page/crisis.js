// The panel that comes before everything else: calm words, and numbers of the chosen country.
import { byId, element, show } from "./elements.js";

// What the panel is headed with, by what its notice opens in and by level. What is not read, the opening says.
const TITLES = {
  en: { clear: "You matter, and help is there now", possible: "Help is here" },
  es: { clear: "Nos importas, y ahora hay ayuda", possible: "Aquí hay ayuda" },
  fr: { clear: "Vous comptez, et il y a de l'aide maintenant", possible: "Il y a de l'aide ici" },
  de: { clear: "Du bist wichtig, und es gibt jetzt Hilfe", possible: "Hier ist Hilfe" },
  pt: { clear: "Você importa, e há ajuda agora", possible: "Aqui há ajuda" },
  it: { clear: "Tu conti, e adesso c'è aiuto", possible: "Qui c'è aiuto" },
  hi: { clear: "Aap mayne rakhte hain, aur madad abhi hai", possible: "Yahan madad hai" },
};

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
  const titles = TITLES[notice.opens_in] ?? TITLES.en;
  byId("crisis-title").textContent = titles[notice.level] ?? titles.possible;
  byId("crisis-title").lang = tagOf(notice);
  // In the language of the text, and then in English: whoever helps may read that, and a language may be mistaken.
  const [opening, inEnglish] = notice.text.split("\n").slice(0, -notice.lines.length);
  byId("crisis-opening").replaceChildren(...withLinks(opening, notice.emergency));
  byId("crisis-opening").lang = tagOf(notice);
  byId("crisis-english").replaceChildren(...withLinks(inEnglish ?? "", notice.emergency));
  byId("crisis-english").hidden = inEnglish === undefined;
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

// For screen readers; Hindi is written in Latin letters here.
function tagOf({ opens_in: code }) {
  return code === "hi" ? "hi-Latn" : code;
}

// A sentence's text with the emergency numbers in it as links.
function withLinks(sentence, emergency) {
  const numbers = emergency ? emergency.split(" or ") : [];
  return sentence.split(/(\b[0-9]{2,}\b)/).map((part) => (numbers.includes(part) ? callLink(part) : part));
}

// What stands before a line's name, such as for whom it is; the notice's text has a line for each.
function leadOf(notice, { name }, place) {
  const written = notice.text.split("\n").slice(-notice.lines.length)[place] ?? "";
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
