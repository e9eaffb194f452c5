// Requests to the service that this page came from. The key lives in this module and nowhere else.
let key = "";

export function useKey(told) {
  key = told;
}

export class RequestError extends Error {
  constructor(sentence, status, languageNotice = null) {
    super(sentence);
    this.status = status;
    this.languageNotice = languageNotice;
  }
}

export async function ask(path, body) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const options = { headers, cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let response;
  let answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch {
    throw new RequestError("The service does not answer; is 'symptoms serve' still running?", 0);
  }
  if (!response.ok) {
    throw new RequestError(answer.error, response.status, answer.language_notice);
  }
  return answer;
}
