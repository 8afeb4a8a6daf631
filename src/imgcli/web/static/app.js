// The page of `imgcli serve`: asks for images and shows them as they come, above the gallery of the history.
// Whatever comes from outside is text here (textContent), never markup.
"use strict";
{
  const MONEY = {
    no: "Nothing was charged.",
    yes: "You were charged for this image.",
    maybe: "You may have been charged.",
  };
  const SHARED = 4; // runs at once: a browser keeps six connections to one host, and the gallery needs some
  const TYPING = 300; // milliseconds after a key before the price is asked for
  const SHOWN = 200; // characters of a prompt beside the image that it is about

  const at = (id) => document.getElementById(id);
  const CHOICES = { model: "new-model", size: "new-size", quality: "new-quality" };
  const ASPECT = /^([0-9]+)x([0-9]+)$/;

  let about = null; // what runs here
  let models = [];
  let basis = null; // { kind: "edit" or "again", image }: what the next image starts from
  let running = null; // the AbortController of the runs that go on
  let priced = 0; // counts questions for the price, of which the last one's answer is shown
  let gallery = null;
  let views = []; // of the latest images

  // The server

  // Asks; without a valid token the login form comes up.
  async function ask(path, options = {}) {
    const response = await fetch(path, { credentials: "same-origin", ...options });
    if (response.status === 401) lock(true);
    return response;
  }

  const post = (path, body, signal) =>
    ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

  async function told(path) {
    const response = await ask(path).catch(() => null);
    if (response === null) throw new Error("imgcli serve does not answer.");
    const body = await response.json();
    if (!response.ok) throw new Error([body.error, body.details].filter(Boolean).join(" "));
    return body;
  }

  // Yields one object per line, as the lines arrive.
  async function* lines(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      const whole = (rest + (value ?? "")).split("\n");
      rest = done ? "" : whole.pop();
      for (const line of whole) if (line.trim()) yield JSON.parse(line);
      if (done) return;
    }
  }

  // The prompt and what goes with it

  const isDemo = () => about.demo;
  const chosen = () => Object.entries(CHOICES).filter(([, id]) => at(id).value);

  function parameters() {
    const found = { prompt: at("new-prompt").value };
    for (const [name, id] of chosen()) found[name] = at(id).value;
    if (basis) found[basis.kind] = basis.image.id;
    return found;
  }

  function begin(kind, image) {
    basis = image ? { kind, image } : null;
    at("basis").hidden = !image;
    if (image) {
      at("basis-what").textContent = kind === "edit" ? `Editing image ${image.id}` : `Image ${image.id} once more`;
      at("basis-words").textContent = (image.prompt || image.name).slice(0, SHOWN);
      at("basis-image").hidden = !image.thumbnail;
      if (image.thumbnail) at("basis-image").src = image.thumbnail;
    }
    at("new-prompt").value = kind === "again" ? image.prompt : "";
    at("new-prompt").placeholder = kind === "edit" ? "Describe what to change" : "Describe an image";
    at("submit").textContent = kind === "edit" ? "Edit" : "Generate";
    for (const id of Object.values(CHOICES)) at(id).value = "";
    at("new-count").value = "1"; // eight of the image before are no reason to pay for eight of this one
    label();
    price();
    scrollTo({ top: 0 });
    at(kind === "again" ? "submit" : "new-prompt").focus();
  }

  // Says what each choice is when nobody makes it, and offers the qualities that the model has.
  function label() {
    const { model, size, quality } = about.defaults;
    for (const [id, usual] of [["new-model", model], ["new-size", size], ["new-quality", quality]]) {
      at(id).options[0].textContent = basis ? "As before" : usual ? `${usual} (default)` : "Default";
    }
    const named = (name) => models.find((one) => one.name === name && one.qualities);
    const one = named(at("new-model").value) ?? named(about.defaults.image_model) ?? models.find((each) => each.default);
    const before = at("new-quality").value;
    const qualities = (one?.qualities ?? ["low", "medium", "high"]).map((name) => new Option(name, name));
    at("new-quality").replaceChildren(at("new-quality").options[0], ...qualities);
    at("new-quality").value = before;
    if (at("new-quality").selectedIndex < 0) at("new-quality").value = "";
  }

  function offer() {
    for (const [kind, title] of [["image", "Image models"], ["text", "Text models that call one"]]) {
      const group = document.createElement("optgroup");
      group.label = title;
      const left = models.filter((one) => one.kind === kind && !one.gone && one.name !== about.defaults.model);
      group.append(...left.map((one) => new Option(one.name, one.name)));
      at("new-model").append(group);
    }
  }

  // Says what the images may cost, for everything as it is now.
  async function price() {
    const mine = ++priced;
    const response = await post("/api/estimate", parameters()).catch(() => null);
    const found = await response?.json().catch(() => null);
    if (mine !== priced) return;
    at("price").classList.toggle("wrong", response?.status === 400);
    at("price").textContent = !found ? "" : response.ok ? bound(found) : (found.details ?? found.error);
    at("price").title = response?.ok ? found.basis : "";
  }

  function bound({ free, most_usd: most }) {
    if (free) return isDemo() ? "Free: demo" : "Free";
    if (most === null) return "Price unknown";
    const count = Number(at("new-count").value);
    const dollars = (Math.ceil(most * count * 100 - 1e-9) / 100).toFixed(2); // rounded down it were no bound
    return `At most $${dollars}${count > 1 ? ` for ${count}` : ""}`;
  }

  // The runs

  async function generate() {
    const [asked, count] = [parameters(), Number(at("new-count").value)];
    running = new AbortController();
    busy(true);
    for (const view of views) view.discard();
    views = Array.from({ length: count }, () => resultView(asked));
    at("results").replaceChildren(...views.map((view) => view.article));
    at("results").classList.toggle("several", count > 1);
    at("results").hidden = false;
    const waiting = [...views];
    const work = async (signal) => {
      for (let view = waiting.shift(); view; view = waiting.shift()) await run(view, asked, signal);
    };
    const workers = Math.max(1, Math.min(SHARED, about.runs_at_once, count));
    await Promise.all(Array.from({ length: workers }, () => work(running.signal)));
    running = null;
    busy(false);
    price(); // an earlier run makes the next estimate better
  }

  function busy(is) {
    if (!is && document.activeElement === at("cancel")) at("new-prompt").focus();
    at("submit").setAttribute("aria-disabled", is); // it keeps the focus, which on Cancel would be a second Enter's
    at("cancel").hidden = !is;
  }

  async function run(view, asked, signal) {
    const began = performance.now();
    const clock = setInterval(() => view.tick((performance.now() - began) / 1000), 250);
    let saved = null;
    view.say("Sending…");
    try {
      const response = await admitted(view, asked, signal);
      if (response.ok) {
        view.say("Waiting for the first image…");
        for await (const line of lines(response)) saved = (await view.take(line)) ?? saved;
        if (!view.hasEnded) view.fail({ message: "The response was cut off.", charged: "maybe", advice: HISTORY });
      } else {
        view.fail(await response.json());
      }
    } catch {
      if (view.hasEnded) view.tick(null); // what broke off after the last line
      else if (signal.aborted) view.cancel();
      else view.fail({ message: "The connection was lost.", charged: isDemo() ? "no" : "maybe", advice: HISTORY });
    }
    clearInterval(clock);
    view.tick(null);
    await gallery?.refresh();
    if (saved) view.link(await told(`/api/gallery/${saved.job}`).catch(() => null), saved);
  }

  const HISTORY = "Check the gallery below. If the image is not there, run imgcli recover in a terminal to save what arrived.";

  // Asks until there is room: what is refused for being too much at once has cost nothing.
  async function admitted(view, asked, signal) {
    for (;;) {
      signal.throwIfAborted();
      view.isSent = true;
      const response = await post("/api/gen/txttoimg", asked, signal);
      if (response.status !== 429) return response;
      view.isSent = false;
      view.say("Waiting for other images…");
      await new Promise((done) => {
        const wake = setTimeout(done, 1000 * Number(response.headers.get("Retry-After") ?? 5));
        signal.addEventListener("abort", () => (clearTimeout(wake), done()), { once: true });
      });
    }
  }

  // One image that is made: where it is shown, and what is said of it.
  function resultView(asked) {
    const article = at("result").content.cloneNode(true).querySelector(".result");
    const part = (name) => article.querySelector(`.${name}`);
    const [canvas, problem] = [part("canvas"), part("problem")];
    const size = ASPECT.exec(asked.size ?? (basis ? "" : about.defaults.size));
    const shape = (ratio) => article.style.setProperty("--shape", ratio);
    let image = null; // a run can bring several: which of them is shown
    let address = "";
    if (size) shape(size[1] / size[2]);
    article.classList.add("busy");

    const view = {
      article,
      hasEnded: false,
      isSent: false, // whether it may have cost something
      say: (text) => (part("status").textContent = text),
      tick: (seconds) => (part("clock").textContent = seconds === null ? "" : `${seconds.toFixed(0)} s`),

      // Shows a line of the answer; returns it where it has brought an image for good.
      async take(line) {
        if (line.error) {
          view.fail(line);
          return null;
        }
        await paint(line);
        if (line.status !== "completed") {
          view.say(`Partial image ${line.output_index + 1}`);
          return null;
        }
        view.end("");
        view.say(line.path ? `Saved as ${line.path.split(/[\\/]/).pop()}` : "Done");
        part("cost").textContent = bill(line);
        return line;
      },

      fail(told) {
        view.end("bad");
        view.say("");
        problem.hidden = false;
        part("what").textContent = told.message || told.error || "It failed.";
        const isLocal = told.kind === "usage"; // nothing was sent that could have cost anything
        part("money").textContent = isLocal ? "" : isDemo() ? MONEY.no : (MONEY[told.charged] ?? "");
        part("advice").textContent = told.advice || "";
      },

      cancel() {
        view.fail({
          message: "Canceled.",
          charged: "maybe",
          kind: view.isSent ? "interrupted" : "usage",
          advice: image ? "The last partial image is kept beside the other images." : view.isSent ? "" : "Nothing was sent.",
        });
        problem.classList.remove("bad");
      },

      discard: () => URL.revokeObjectURL(address),

      end(kind) {
        view.hasEnded = true;
        article.classList.remove("busy");
        article.classList.toggle("bare", !image);
        if (kind) problem.classList.add(kind);
      },

      // Adds what can be done with the image, once the history has it.
      link(found, line) {
        const made = found?.images.find((one) => one.original?.endsWith(line.sha256));
        if (!made) return;
        part("actions").hidden = false;
        part("edit").addEventListener("click", () => begin("edit", made));
        part("details").addEventListener("click", () => gallery.open(made));
        part("download").href = made.original;
        part("download").download = made.name;
      },
    };

    // Replaces the image; the one before stays until the new one can be drawn.
    async function paint(line) {
      const [data] = line.partial_image_b64s;
      if (!data) return;
      const kind = line.format === "svg" ? "svg+xml" : line.format || "png";
      const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
      const blob = URL.createObjectURL(new Blob([bytes], { type: `image/${kind}` }));
      const next = Object.assign(new Image(), { alt: asked.prompt.slice(0, SHOWN), decoding: "sync" });
      await new Promise((done) => {
        next.onload = next.onerror = done; // decode() would wait for as long as the page is in the background
        next.src = blob;
      });
      if (next.naturalWidth) shape(next.naturalWidth / next.naturalHeight);
      canvas.replaceChildren(next);
      URL.revokeObjectURL(address);
      [image, address] = [next, blob];
    }

    return view;
  }

  function bill(line) {
    const cost = line.cost_usd === null ? "cost unknown" : `$${line.cost_usd.toFixed(4)}`;
    const size = line.width ? `${line.width}x${line.height}` : "";
    return [isDemo() ? `${cost}, not charged: demo` : cost, line.final_model, size].filter(Boolean).join(" · ");
  }

  // The gallery's source: the server's history, a page at a time

  const source = {
    isRemote: true,
    page: (query, after) => told(`/api/gallery?${new URLSearchParams({ ...query, ...(after && { before: after }) })}`),
    find: async (id) => (await told(`/api/gallery/${id}`).catch(() => null))?.images[0],
    family: async (image) => {
      const found = (await told(`/api/gallery/${image.id}`)).images;
      return new Map(found.map((one) => [one.id, one]));
    },
  };

  // The beginning

  function lock(is) {
    at("login").hidden = !is;
    at("page").hidden = is;
    if (is) at("token").focus();
  }

  async function logIn(token) {
    const response = await post("/api/login", { token });
    at("login-trouble").textContent = response.ok ? "" : (await response.json()).error;
    return response.ok;
  }

  async function start() {
    if (about) return location.reload(); // another server, with a token of its own
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (token) {
      history.replaceState(null, "", location.pathname);
      await logIn(token);
    }
    try {
      about = await told("/api/about");
      models = (await told("/api/models")).models;
    } catch (error) {
      at("about").textContent = at("login").hidden ? error.message : "";
      return undefined;
    }
    lock(false);
    const limit = (amount, what) => (amount === null ? "" : `Limit: $${amount.toFixed(2)} ${what}`);
    const limits = [limit(about.max_cost_usd, "an image"), limit(about.daily_cap_usd, "a day")];
    const kind = isDemo() ? "Demo: no key, no cost" : "";
    at("about").textContent = [kind, ...limits].filter(Boolean).join(" · ");
    at("about").title = `imgcli ${about.version}`;
    at("shortcoming").hidden = !about.shortcoming;
    at("shortcoming").textContent = about.shortcoming
      ? `No images can be generated: ${about.shortcoming} Fix that, then start imgcli serve again.`
      : "";
    offer();
    label();
    price();
    at("new-prompt").focus();
    gallery = globalThis.openGallery(source, {
      edit: (image) => begin("edit", image),
      again: (image) => begin("again", image),
    });
    return undefined;
  }

  let typing = 0;
  at("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running && at("new-prompt").value.trim()) generate();
  });
  at("composer").addEventListener("input", (event) => {
    if (event.target.id === "new-model") label();
    clearTimeout(typing);
    typing = setTimeout(price, event.target.id === "new-prompt" ? TYPING : 0);
  });
  at("new-prompt").addEventListener("keydown", (event) => {
    // 229 is what Safari tells of the Enter that ends a composition.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    at("composer").requestSubmit();
  });
  at("basis-clear").addEventListener("click", () => begin("", null));
  at("cancel").addEventListener("click", () => running?.abort());
  window.addEventListener("beforeunload", (event) => running && event.preventDefault()); // leaving would end them
  window.addEventListener("pagehide", () => running?.abort()); // a page that is kept to go back to would keep them going
  at("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await logIn(at("token").value)) await start();
  });
  start();
}
