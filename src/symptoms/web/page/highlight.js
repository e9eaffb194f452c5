// A person's text with the words that bear out a symptom marked.
import { element } from "./elements.js";

// The service counts Unicode code points, JavaScript counts UTF-16 units: [...text] splits into the former.
export function highlighted(text, symptoms) {
  const characters = [...text];
  const named = characters.map(() => []);
  for (const { symptom, evidence } of symptoms) {
    for (const { start, end } of evidence) {
      for (let place = start; place < Math.min(end, characters.length); place += 1) named[place].push(symptom);
    }
  }
  const parts = [];
  let start = 0;
  for (let place = 1; place <= characters.length; place += 1) {
    if (place < characters.length && named[place].join("\n") === named[start].join("\n")) continue;
    const words = characters.slice(start, place).join("");
    const bearsOut = [...new Set(named[start])].join(", ");
    parts.push(bearsOut ? element("mark", words, { title: bearsOut }) : document.createTextNode(words));
    start = place;
  }
  return parts;
}
