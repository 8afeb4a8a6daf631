// The page of `imgcli serve`. Whatever comes from outside is text here (textContent), never markup.
"use strict";

const at = (id) => document.getElementById(id);
const MONEY = {
  no: "Nothing was charged.",
  yes: "You were charged for this image.",
  maybe: "You may have been charged.",
};
const RECENT = 24;
let running = null; // the AbortController of the run that goes on

function show(id, text) {
  at(id).textContent = text || "";
  at(id).hidden = !text;
}

// Asks the server; without a valid token the login form comes up.
async function ask(path, options = {}) {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  if (response.status === 401) {
    at("login").hidden = false;
    at("token").focus();
  }
  return response;
}

async function logIn(token) {
  const response = await fetch("/api/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  at("login").hidden = response.ok;
  return response.ok;
}

// Yields one object per line, as the lines arrive.
async function* lines(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const whole = rest.split("\n");
    rest = whole.pop();
    for (const line of whole) if (line.trim()) yield JSON.parse(line);
    if (done) break;
  }
  if (rest.trim()) yield JSON.parse(rest);
}

function fail(problem) {
  show("status", "");
  at("error").hidden = false;
  show("what", problem.message || problem.error || "It failed.");
  show("money", MONEY[problem.charged] || "");
  show("advice", problem.advice || "");
}

function paint(line) {
  const [data] = line.partial_image_b64s;
  if (!data) return;
  const kind = line.format === "svg" ? "svg+xml" : line.format || "png";
  at("image").src = `data:image/${kind};base64,${data}`;
  at("image").alt = at("prompt").value;
  at("figure").hidden = false;
}

const isDemo = () => document.body.dataset.demo === "true";

function bill(line) {
  const cost = line.cost_usd === null ? "cost unknown" : `$${line.cost_usd.toFixed(4)}`;
  const size = line.width ? `${line.width}x${line.height}` : "";
  const facts = [isDemo() ? `${cost} (a free demo)` : cost, line.final_model, size, line.path];
  at("bill").textContent = facts.filter(Boolean).join(" · ");
}

// Shows one line of a run; whether the run has brought its image.
function take(line) {
  if (line.error) {
    fail(line);
    return false;
  }
  paint(line);
  if (line.status === "completed") {
    bill(line);
    show("status", "Done.");
    return true;
  }
  show("status", `Partial image ${line.output_index + 1}…`);
  return false;
}

function parameters() {
  const found = { prompt: at("prompt").value };
  for (const name of ["model", "size", "quality"]) if (at(name).value) found[name] = at(name).value;
  return found;
}

// Says what the image may cost, for the parameters as they are now.
async function price() {
  const { prompt, ...chosen } = parameters();
  const response = await ask(`/api/estimate?${new URLSearchParams(chosen)}`);
  const told = await response.json();
  if (!response.ok) at("price").textContent = "";
  else if (told.free) at("price").textContent = "free";
  else if (told.most_usd === null) at("price").textContent = "cost unknown";
  else at("price").textContent = `at most $${told.most_usd.toFixed(2)}`;
}

function begin() {
  running = new AbortController();
  at("submit").disabled = true;
  at("cancel").hidden = at("progress").hidden = at("result").hidden = false;
  at("error").hidden = at("figure").hidden = true;
  at("bill").textContent = "";
  show("status", "Generating…");
}

function end() {
  running = null;
  at("submit").disabled = false;
  at("cancel").hidden = at("progress").hidden = true;
}

async function generate() {
  begin();
  let isDone = false;
  try {
    const response = await ask("/api/gen/txttoimg", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(parameters()),
      signal: running.signal,
    });
    if (response.ok) for await (const line of lines(response)) isDone = take(line) || isDone;
    else fail(await response.json());
  } catch (error) {
    const charged = isDemo() ? "no" : "maybe";
    const isCanceled = error.name === "AbortError";
    const message = isCanceled ? "Canceled." : "The connection broke off.";
    const advice = isCanceled ? "The last partial image is kept." : "The terminal of imgcli serve says more.";
    fail({ message, charged, advice });
  }
  end();
  if (isDone) await recent();
}

function tile(run, image) {
  const link = document.createElement("a");
  link.href = `/images/${image.sha256}`;
  const picture = document.createElement("img");
  picture.loading = "lazy";
  picture.src = link.href;
  picture.alt = "";
  const caption = document.createElement("span");
  caption.textContent = caption.title = run.prompt;
  link.append(picture, caption);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

async function recent() {
  const response = await ask(`/api/history?limit=${RECENT}`);
  if (!response.ok) return;
  const tiles = [];
  for await (const run of lines(response))
    for (const image of run.pictures) if (image.path && image.format !== "svg") tiles.push(tile(run, image));
  at("recent").replaceChildren(...tiles);
  at("none").hidden = tiles.length > 0;
}

async function about() {
  const response = await ask("/api/about");
  if (!response.ok) return false;
  const told = await response.json();
  document.body.dataset.demo = told.demo;
  const caps = [
    told.demo ? "demo: no key, no cost" : "",
    told.max_cost_usd === null ? "" : `at most $${told.max_cost_usd.toFixed(2)} an image`,
    told.daily_cap_usd === null ? "" : `at most $${told.daily_cap_usd.toFixed(2)} a day`,
  ];
  at("about").textContent = [`version ${told.version}`, ...caps].filter(Boolean).join(" · ");
  await models(told.defaults.model);
  await price();
  return true;
}

async function models(usual) {
  const found = (await (await ask("/api/models")).json()).models.map((model) => model.name);
  const names = [usual, ...found.filter((name) => name !== usual)];
  const options = names.map((name) => new Option(name === usual ? `${name} (default)` : name, name));
  options[0].value = "";
  at("model").replaceChildren(...options);
}

async function start() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname);
    await logIn(token);
  }
  if (await about()) await recent();
}

at("generate").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running && at("prompt").value.trim()) generate();
});
at("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  at("generate").requestSubmit();
});
for (const name of ["model", "size", "quality"]) at(name).addEventListener("change", price);
at("cancel").addEventListener("click", () => running && running.abort());
at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await logIn(at("token").value)) await start();
});
start();
