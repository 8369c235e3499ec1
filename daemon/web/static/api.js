// Requests with the token, and the stream of events; the token lives as long as the tab.

const KEY = "token";
export class Refused extends Error {}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers() {
  return { Authorization: `Bearer ${token.get()}` };
}

async function answered(response) {
  if (response.status === 401) throw new Refused("the token is missing or wrong");
  const document = await response.json();
  if (!response.ok) throw new Error(document.error.what);
  return document;
}

export async function get(name) {
  return answered(await fetch(`/api/v1/${name}`, { headers: headers() }));
}

export async function post(command, body) {
  const options = { method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return answered(await fetch(`/api/v1/${command}`, options));
}

// Server-sent events over fetch, since EventSource can't carry a token. Returns when the stream ends.
export async function listen(last, hear) {
  const more = last ? { "Last-Event-ID": last } : {};
  const response = await fetch("/api/v1/events", { headers: { ...headers(), ...more } });
  if (response.status === 401) throw new Refused("the token is missing or wrong");
  if (!response.ok) throw new Error(`events: status ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if (fields.event) hear(fields.event, JSON.parse(fields.data), fields.id);
    }
  }
}
