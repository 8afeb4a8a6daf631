// The gallery of a page: `openGallery` shows what a source has. Every text from there becomes a text node or an
// attribute, never markup; the page's policy forbids the rest. It works from file://, where nothing can be fetched:
// then gallery-data.js has assigned the images to imgcliGallery.
//
// A source has, each as a value or as a promise of one:
//   page({ search, model, day }, after)  { images, next, total, models, days }: the newest images, or those after
//                                        `next` of another page, which need not count models and days again;
//                                        what is not set chooses everything
//   find(id)                             an image, or undefined
//   family(image)                        a Map of the images by id in which its kin is to be found
// `actions` are what else can be done with an image here: { edit(image), again(image) }.
"use strict";
{
  const LONG = 600; // characters of a prompt that are shown before somebody asks for all of it
  const ALT = 300; // characters of a prompt that a screen reader should read in one go
  const TYPING = 150; // milliseconds after a key before a server is asked
  const STATES = {
    gone: "File gone",
    changed: "File changed since",
    unreadable: "File cannot be read",
    unsaved: "Not saved as a file",
    there: "No preview",
  };

  const $ = (id) => document.getElementById(id);
  const element = (name, text, properties = {}) => {
    const made = Object.assign(document.createElement(name), properties);
    if (text) made.textContent = text;
    return made;
  };
  const cut = (text, length) => (text.length > length ? `${[...text.slice(0, length)].slice(0, -1).join("")}…` : text);
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  const words = (image) => image.prompt || image.name || `Run ${image.run}`;
  const isPlain = (event) => !(event.altKey || event.ctrlKey || event.metaKey || event.shiftKey);

  function thumbnail(image) {
    // Lazy before it has an address: an image begins to load as soon as it has one.
    const small = element("img", "", { loading: "lazy", decoding: "async", alt: cut(words(image), ALT) });
    small.src = image.thumbnail;
    return small;
  }

  globalThis.openGallery = (source, actions = {}) => {
    const [grid, lightbox] = [$("grid"), $("lightbox")];
    const shown = []; // the images that have a tile
    let next = null; // where the source goes on, null at its end
    let total = 0; // how many images the filters leave
    let everything = 0; // how many there are without filters
    let turn = 0; // of the filters: an answer to an earlier one comes too late
    let extending = null; // the promise of more tiles
    let timer = 0;
    let current = null; // the image in the lightbox
    let isFromGrid = true; // whether the lightbox was opened by a tile, to which the focus goes back
    let afterwards = null; // what is done when the lightbox has closed, instead of that

    // The list

    function tile(image, index) {
      const item = $("tile").content.cloneNode(true);
      const [button, box, state] = ["button", ".box", ".state"].map((selector) => item.querySelector(selector));
      const prompt = item.querySelector(".prompt");
      const bare = () => {
        box.querySelector("img")?.remove();
        box.classList.add("empty");
        prompt.removeAttribute("aria-hidden");
        state.textContent = STATES[image.state];
        state.hidden = false;
      };
      button.dataset.index = index;
      if (image.thumbnail) {
        box.prepend(thumbnail(image));
        box.querySelector("img").addEventListener("error", bare);
        prompt.setAttribute("aria-hidden", "true"); // the image's alternative text says it
        state.hidden = image.state === "there";
        state.textContent = STATES[image.state];
      } else {
        bare();
      }
      prompt.textContent = cut(words(image), ALT);
      item.querySelector("time").textContent = image.when;
      item.querySelector("time").dateTime = image.started;
      item.querySelector(".cost").textContent = image.cost;
      return item;
    }

    const tiles = () => grid.getElementsByClassName("tile");

    function query() {
      const pairs = ["search", "model", "day"].map((id) => [id, $(id).value.trim()]);
      return Object.fromEntries(pairs.filter(([, value]) => value));
    }

    const isFiltered = () => Object.keys(query()).length > 0;

    async function load() {
      const mine = ++turn;
      extending = null;
      const page = await answered(() => source.page(query()));
      if (!page || mine !== turn) return;
      grid.replaceChildren();
      shown.length = 0;
      add(page);
      reach(0);
    }

    // What a source cannot answer leaves the gallery as it is.
    async function answered(ask) {
      try {
        return await ask();
      } catch (error) {
        $("count").textContent = error.message;
        return null;
      }
    }

    function add(page) {
      grid.append(...page.images.map((image, offset) => tile(image, shown.length + offset)));
      shown.push(...page.images);
      next = page.next;
      tell(page);
      watcher.unobserve($("more")); // so that it tells again where the end is still near
      watcher.observe($("more"));
    }

    function tell(page) {
      total = page.total;
      if (!isFiltered() && page.models) {
        everything = total;
        choices("model", Object.entries(page.models).sort());
        choices("day", Object.entries(page.days));
      }
      $("none").hidden = total > 0 || !isFiltered();
      $("empty").hidden = everything > 0;
      $("gallery").classList.toggle("blank", everything === 0);
      const count = plural(everything, "image");
      $("count").textContent = total === everything ? count : `${total.toLocaleString("en")} of ${count}`;
    }

    function choices(id, counts) {
      const [select, chosen] = [$(id), $(id).value];
      const options = counts.map(([value, count]) =>
        element("option", `${value} (${count.toLocaleString("en")})`, { value }),
      );
      select.replaceChildren(select.options[0], ...options.filter((one) => one.value));
      select.value = chosen;
    }

    function extend() {
      if (next === null) return Promise.resolve();
      const mine = turn;
      extending ??= answered(() => source.page(query(), next)).then((page) => {
        if (mine !== turn) return;
        extending = null;
        if (page) add(page);
      });
      return extending;
    }

    // New images go before the others, which stay where they are.
    async function refresh() {
      if (isFiltered() || !shown.length) return load();
      const mine = turn;
      const page = await answered(() => source.page({}));
      if (!page || mine !== turn) return undefined;
      const known = new Set(shown.map((image) => image.id));
      const fresh = page.images.filter((image) => !known.has(image.id));
      grid.prepend(...fresh.map(tile));
      shown.unshift(...fresh);
      [...tiles()].forEach((one, index) => (one.dataset.index = index));
      tell(page);
      return reach(0);
    }

    // One tile is in the Tab order: after it comes what follows the list, however long that is.
    function reach(index) {
      for (const one of grid.querySelectorAll('.tile[tabindex="0"]')) one.tabIndex = -1;
      if (tiles()[index]) tiles()[index].tabIndex = 0;
    }

    async function focusTile(index) {
      if (index >= shown.length) await extend();
      const reached = Math.min(index, shown.length - 1);
      if (reached < 0) return;
      reach(reached);
      tiles()[reached].focus();
    }

    function across() {
      const tops = [...tiles()].slice(0, 50).map((one) => one.parentElement.offsetTop);
      return Math.max(tops.filter((top) => top === tops[0]).length, 1);
    }

    function moveInGrid(event) {
      const from = event.target.closest(".tile");
      if (!from || !isPlain(event)) return;
      const index = Number(from.dataset.index);
      const moves = {
        ArrowLeft: () => Math.max(index - 1, 0),
        ArrowRight: () => index + 1,
        ArrowUp: () => (index < across() ? index : index - across()),
        ArrowDown: () => index + across(),
        Home: () => 0,
        End: () => shown.length - 1,
      };
      if (!Object.hasOwn(moves, event.key)) return;
      event.preventDefault();
      focusTile(moves[event.key]());
    }

    // One image: its id is the address's fragment, so that Back closes it and a link leads to it

    async function route() {
      const id = location.hash.slice(1);
      if (lightbox.open && current?.id === id) return;
      const image = /^[0-9]/.test(id) ? await answered(() => source.find(id)) : undefined;
      if (location.hash.slice(1) !== id) return; // somebody was faster
      if (image) show(image);
      else if (lightbox.open) lightbox.close();
    }

    function open(image) {
      show(image); // at once: it may take a while to find it again by its address
      location.hash = image.id;
    }

    function go(image) {
      show(image);
      location.replace(`#${image.id}`);
    }

    const place = (image) => shown.findIndex((one) => one.id === image?.id);

    function show(image) {
      current = image;
      const index = place(image);
      fill(image);
      $("position").textContent = index < 0 ? "Not in this selection" : `${index + 1} of ${total}`;
      $("previous").disabled = index <= 0;
      $("next").disabled = index < 0 || (index === shown.length - 1 && next === null);
      if (!lightbox.open) {
        isFromGrid = document.activeElement === document.body || grid.contains(document.activeElement);
        lightbox.showModal();
        lightbox.focus(); // instead of the first link in it
      }
      if (document.activeElement.disabled || !lightbox.contains(document.activeElement)) lightbox.focus();
      lightbox.querySelector(".panel").scrollTop = lightbox.scrollTop = 0;
    }

    function fill(image) {
      $("title").textContent = image.name || `Run ${image.run}`;
      stage(image);
      prompt(image, image.prompt.length <= LONG);
      $("revised").hidden = !image.revised;
      $("revised").querySelector("p").textContent = image.revised;
      for (const id of ["open", "download"]) {
        $(id).hidden = !image.original;
        $(id).href = image.original || "";
      }
      $("download").download = image.name;
      $("download").hidden ||= location.protocol === "file:"; // where a link opens, whatever it asks for
      $("edit").hidden = !image.edit;
      $("edit-here").hidden = !image.edit || !actions.edit;
      $("again-here").hidden = !actions.again;
      $("copied").textContent = "";
      family(image);
      $("facts").replaceChildren(
        ...image.facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
      );
      bill(image.bill);
    }

    function stage(image) {
      const [link, address] = [$("full"), image.original || image.thumbnail];
      link.replaceChildren();
      link.hidden = !address;
      if (image.original) link.href = image.original;
      else link.removeAttribute("href");
      $("missing").hidden = image.state === "there" && Boolean(address);
      $("missing").className = address ? "" : "alone";
      $("missing").textContent = STATES[image.state];
      if (!address) return;
      if (image.thumbnail) {
        const small = element("img", "", { src: image.thumbnail, alt: "" }); // until the other is there
        small.addEventListener("error", () => small.remove());
        link.append(small);
      }
      const full = element("img", "", { alt: cut(words(image), ALT), decoding: "async", fetchPriority: "high" });
      full.addEventListener("error", () => full.isConnected && current === image && lost(full));
      full.src = address;
      link.append(full);
    }

    // The original went later, or the folder was shared without it.
    function lost(full) {
      $("missing").hidden = false;
      $("missing").textContent = "Original not found";
      full.remove();
      const small = $("full").querySelector("img");
      if (small) small.alt = full.alt;
      else $("missing").className = "alone";
      for (const id of ["open", "download", "edit", "edit-here"]) $(id).hidden = true;
      $("full").removeAttribute("href");
    }

    function prompt(image, isWhole) {
      $("prompt").textContent = isWhole ? image.prompt : cut(image.prompt, LONG);
      $("whole").hidden = isWhole;
    }

    // The tree of what an image descends from, and of what descends from it.
    async function family(image) {
      $("family").hidden = true;
      const known = await answered(() => source.family(image));
      if (!known || current !== image) return;
      const kin = new Set([...walk(known, image.id, "parents"), ...walk(known, image.id, "children")]);
      const outside = known.get(image.id)?.outside ?? 0;
      const above = (id) => known.get(id).parents.filter((one) => kin.has(one));
      const drawn = new Set();
      const branches = (ids) => ids.flatMap((id) => (kin.has(id) && !drawn.has(id) ? [branch(id)] : []));
      const branch = (id) => {
        drawn.add(id);
        const [item, below] = [element("li"), element("ul")];
        item.append(relative(known.get(id), id === image.id));
        below.append(...branches(known.get(id).children));
        if (below.firstChild) item.append(below);
        return item;
      };
      const roots = [...kin].filter((id) => !above(id).length);
      const lines = branches([...roots, ...kin]); // all of them again: in a circle there is no root
      if (outside) lines.push(element("li", `made from ${plural(outside, "image")} not in this gallery`));
      $("family").hidden = kin.size < 2 && !outside;
      $("family").querySelector("ul").replaceChildren(...lines);
    }

    function walk(known, id, relation) {
      const [found, waiting] = [new Set(), [id]];
      while (waiting.length) {
        const one = waiting.pop();
        if (found.has(one) || !known.has(one)) continue;
        found.add(one);
        waiting.push(...known.get(one)[relation]);
      }
      return found;
    }

    function relative(image, isCurrent) {
      const link = element("a", "", { href: `#${image.id}` });
      if (isCurrent) link.setAttribute("aria-current", "true");
      const small = element("span", "", { className: "small" });
      if (image.thumbnail) small.append(Object.assign(thumbnail(image), { alt: "" }));
      link.append(small, element("span", cut(words(image), ALT), { className: "words", dir: "auto" }));
      return link;
    }

    // A model's name has a row of its own above its numbers: beside them it would be a word wide.
    function bill([headings, ...rows]) {
      $("billing").hidden = !headings;
      if (!headings) return;
      const [table, [note, ...names]] = [$("bill"), headings];
      const line = (...cells) => {
        const made = element("tr");
        made.append(...cells);
        return made;
      };
      table.caption.textContent = note;
      table.tHead.replaceChildren(line(...names.map((name) => element("th", name, { scope: "col" }))));
      for (const body of [...table.tBodies]) body.remove();
      for (const [name, ...cells] of rows) {
        table
          .createTBody()
          .append(
            line(element("th", name, { scope: "rowgroup", colSpan: names.length })),
            line(...cells.map((cell) => element("td", cell))),
          );
      }
    }

    async function step(by) {
      const index = place(current);
      if (index < 0) return;
      if (index + by === shown.length) await extend();
      if (shown[index + by]) go(shown[index + by]);
    }

    function closed() {
      const [image, then] = [current, afterwards];
      current = afterwards = null;
      if (location.hash === `#${image?.id}`) location.replace("#images"); // no element has that id: nothing scrolls
      if (then) then(image);
      else if (isFromGrid) focusTile(place(image));
    }

    function moveInLightbox(event) {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || !isPlain(event)) return;
      event.preventDefault();
      step(by);
    }

    async function copy(text, what) {
      const isDone = await navigator.clipboard?.writeText(text).then(
        () => true,
        () => false,
      );
      $("copied").textContent = isDone || copyBySelection(text) ? `Copied: ${what}` : text;
    }

    function copyBySelection(text) {
      const field = element("textarea", "", { value: text, readOnly: true });
      const before = document.activeElement;
      lightbox.append(field);
      field.select();
      const isDone = document.execCommand("copy");
      field.remove();
      before?.focus();
      return isDone;
    }

    // All of it

    const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && extend(), {
      rootMargin: "1500px",
    });
    const act = (action) => {
      afterwards = action;
      lightbox.close();
    };
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("input", () => {
      clearTimeout(timer);
      if (source.isRemote) timer = setTimeout(load, TYPING);
      else load();
    });
    $("reset").addEventListener("click", () => {
      $("filters").reset();
      load();
      $("search").focus();
    });
    grid.addEventListener("keydown", moveInGrid);
    grid.addEventListener("focusin", ({ target }) => target.dataset.index && reach(Number(target.dataset.index)));
    grid.addEventListener("click", (event) => {
      const button = event.target.closest(".tile");
      if (button) open(shown[Number(button.dataset.index)]);
    });
    lightbox.addEventListener("keydown", moveInLightbox);
    lightbox.addEventListener("close", closed);
    $("close").addEventListener("click", () => lightbox.close());
    $("previous").addEventListener("click", () => step(-1));
    $("next").addEventListener("click", () => step(1));
    $("whole").addEventListener("click", () => {
      prompt(current, true);
      $("words").focus();
    });
    $("again").addEventListener("click", () => copy(current.again, current.again));
    $("edit").addEventListener("click", () => copy(current.edit, `${current.edit}… and then what to change`));
    $("words").addEventListener("click", () => copy(current.prompt, "the prompt"));
    $("edit-here").addEventListener("click", () => act(actions.edit));
    $("again-here").addEventListener("click", () => act(actions.again));
    window.addEventListener("hashchange", route);
    load().then(route);
    return { refresh, open };
  };

  // The images that a page has in it.
  function embedded(images) {
    const SOME = 200; // tiles that are made at once
    const byId = new Map(images.map((image) => [image.id, image]));
    const text = (image) => [image.prompt, image.revised, image.name].join("\n").toLowerCase();
    const haystacks = new Map(images.map((image) => [image, text(image)]));
    const counted = (values) => {
      const counts = {};
      for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
      return counts;
    };
    return {
      page({ search, model, day }, after = 0) {
        const left = images.filter(
          (image) =>
            (!model || image.model === model) &&
            (!day || image.day === day) &&
            (!search || haystacks.get(image).includes(search.toLowerCase())),
        );
        const end = after + SOME;
        return {
          images: left.slice(after, end),
          next: end < left.length ? end : null,
          total: left.length,
          models: counted(images.map((image) => image.model)),
          days: counted(images.map((image) => image.day)),
        };
      },
      find: (id) => byId.get(id),
      family: () => byId,
    };
  }

  if (globalThis.imgcliGallery) globalThis.openGallery(embedded(globalThis.imgcliGallery.images));
}
