// Which country's helplines are shown: as the service was told, else as the browser's languages suggest.
import { byId, element } from "./elements.js";

export function fillCountries({ countries, country: told }) {
  const names = new Intl.DisplayNames(["en"], { type: "region" });
  const named = countries.map((code) => [names.of(code), code]).sort(([one], [other]) => one.localeCompare(other));
  const select = byId("country");
  select.replaceChildren(...named.map(([name, code]) => element("option", name, { value: code })));
  select.append(element("option", "another country", { value: "" }));
  const chosen = told || regionOfBrowser();
  select.value = countries.includes(chosen) ? chosen : "";
}

// null lets the service's own locale decide; "ZZ" is no country, for which it has an international directory.
export function chosenCountry() {
  return byId("country").value || "ZZ";
}

function regionOfBrowser() {
  const locales = navigator.languages.map((language) => new Intl.Locale(language));
  const region = locales.find((locale) => locale.region)?.region;
  // A language without a region suggests one, but English is spoken everywhere.
  return region || locales.find((locale) => locale.language !== "en")?.maximize().region || "";
}
