// The gallery: shows what gallery-data.js assigns to imgcliGallery. Every text from there becomes a text node or
// an attribute, never markup; the page's policy forbids the rest. It works from file://, where nothing can be fetched.
"use strict";
(() => {
  const CHUNK = 200; // tiles that are made at once; more of them follow when the end comes near
  const LONG = 600; // characters of a prompt that are shown before somebody asks for all of it
  const ALT = 300; // characters of a prompt that a screen reader should read in one go
  const STATES = {
    gone: "File gone",
    changed: "File changed since",
    unreadable: "File cannot be read",
    unsaved: "Not saved as a file",
    there: "No preview",
  };

  const $ = (id) => document.getElementById(id);
  const all = globalThis.imgcliGallery.images;
  const byId = new Map(all.map((image) => [image.id, image]));
  const haystacks = new Map(all.map((image) => [image, [image.prompt, image.revised, image.name].join("\n").toLowerCase()]));
  const [grid, lightbox] = [$("grid"), $("lightbox")];
  let shown = all; // what the filters leave
  let made = 0; // how many of these have a tile
  let current = null; // the image in the lightbox

  const element = (name, text, properties = {}) => {
    const made = Object.assign(document.createElement(name), properties);
    if (text) made.textContent = text;
    return made;
  };
  const cut = (text, length) => (text.length > length ? `${[...text.slice(0, length)].slice(0, -1).join("")}…` : text);
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  const words = (image) => image.prompt || image.name || `Run ${image.run}`;

  // The list

  function tile(image, index) {
    const item = $("tile").content.cloneNode(true);
    const [button, box, state] = ["button", ".box", ".state"].map((selector) => item.querySelector(selector));
    button.dataset.index = index;
    if (image.thumbnail) {
      box.prepend(thumbnail(image));
      item.querySelector(".prompt").setAttribute("aria-hidden", "true"); // the image's alternative text says it
    } else {
      box.classList.add("empty");
    }
    if (!image.thumbnail || image.state !== "there") {
      state.textContent = STATES[image.state];
      state.hidden = false;
    }
    item.querySelector(".prompt").textContent = cut(words(image), ALT);
    item.querySelector("time").textContent = image.when;
    item.querySelector("time").dateTime = image.started;
    item.querySelector(".cost").textContent = image.cost;
    return item;
  }

  function thumbnail(image) {
    // Lazy before it has an address: an image begins to load as soon as it has one.
    const small = element("img", "", { loading: "lazy", decoding: "async", alt: cut(words(image), ALT) });
    small.src = image.thumbnail;
    return small;
  }

  function extend(upTo = made + CHUNK) {
    const end = Math.min(Math.max(upTo, made), shown.length);
    grid.append(...shown.slice(made, end).map((image, offset) => tile(image, made + offset)));
    made = end;
  }

  function filter() {
    const [text, model, day] = ["search", "model", "day"].map((id) => $(id).value);
    const wanted = text.trim().toLowerCase();
    shown = all.filter(
      (image) =>
        (!model || image.model === model) &&
        (!day || image.day === day) &&
        (!wanted || haystacks.get(image).includes(wanted)),
    );
    grid.replaceChildren();
    made = 0;
    extend();
    reach(0);
    $("none").hidden = shown.length > 0;
    const count = plural(all.length, "image");
    $("count").textContent = shown.length === all.length ? count : `${shown.length.toLocaleString("en")} of ${count}`;
  }

  function choices(id, values) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    for (const [value, count] of counts) {
      if (value) $(id).append(element("option", `${value} (${count.toLocaleString("en")})`, { value }));
    }
  }

  const tiles = () => grid.getElementsByClassName("tile");

  // One tile is in the Tab order: after it comes what follows the list, however long that is.
  function reach(index) {
    for (const one of grid.querySelectorAll('.tile[tabindex="0"]')) one.tabIndex = -1;
    if (tiles()[index]) tiles()[index].tabIndex = 0;
  }

  function focusTile(index) {
    if (index < 0 || index >= shown.length) return;
    extend(index + 1);
    reach(index);
    tiles()[index].focus();
  }

  function across() {
    const tops = [...tiles()].slice(0, 50).map((one) => one.parentElement.offsetTop);
    return Math.max(tops.filter((top) => top === tops[0]).length, 1);
  }

  const isPlain = (event) => !(event.altKey || event.ctrlKey || event.metaKey || event.shiftKey);

  function moveInGrid(event) {
    const from = event.target.closest(".tile");
    if (!from || !isPlain(event)) return;
    const index = Number(from.dataset.index);
    const moves = {
      ArrowLeft: () => index - 1,
      ArrowRight: () => index + 1,
      ArrowUp: () => index - across(),
      ArrowDown: () => (index + across() < shown.length ? index + across() : shown.length - 1),
      Home: () => 0,
      End: () => shown.length - 1,
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    focusTile(moves[event.key]());
  }

  // One image: its id is the address's fragment, so that Back closes it and a link leads to it

  function route() {
    const image = byId.get(location.hash.slice(1));
    if (image && !(lightbox.open && image === current)) show(image);
    else if (!image && lightbox.open) lightbox.close();
  }

  function go(image) {
    show(image); // at once: keys may come faster than the address changes
    location.replace(`#${image.id}`);
  }

  function show(image) {
    current = image;
    const index = shown.indexOf(image);
    fill(image);
    $("position").textContent = index < 0 ? "Not in this selection" : `${index + 1} of ${shown.length}`;
    $("previous").disabled = index <= 0;
    $("next").disabled = index < 0 || index === shown.length - 1;
    if (!lightbox.open) {
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
    $("copied").textContent = "";
    kin("parents", image.parents, image.outside);
    kin("children", image.children, 0);
    $("facts").replaceChildren(...image.facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
    bill(image.bill);
  }

  function stage(image) {
    const [link, source] = [$("full"), image.original || image.thumbnail];
    link.replaceChildren();
    link.hidden = !source;
    if (image.original) link.href = image.original;
    else link.removeAttribute("href");
    $("missing").hidden = image.state === "there" && Boolean(source);
    $("missing").className = source ? "" : "alone";
    $("missing").textContent = STATES[image.state];
    if (!source) return;
    if (image.thumbnail) link.append(element("img", "", { src: image.thumbnail, alt: "" })); // until the other is there
    const full = element("img", "", { alt: cut(words(image), ALT), decoding: "async" });
    full.addEventListener("error", () => {
      if (full.isConnected === false || current !== image) return;
      $("missing").hidden = false;
      $("missing").textContent = "Original not found"; // it went later, or the folder was shared without it
      full.remove();
      const small = link.querySelector("img");
      if (small) small.alt = full.alt;
      else $("missing").className = "alone";
      for (const id of ["open", "download", "edit"]) $(id).hidden = true;
      link.removeAttribute("href");
    });
    full.src = source;
    link.append(full);
  }

  function prompt(image, isWhole) {
    $("prompt").textContent = isWhole ? image.prompt : cut(image.prompt, LONG);
    $("whole").hidden = isWhole;
  }

  function kin(id, ids, outside) {
    const links = ids.map((one) => {
      const [image, item] = [byId.get(one), element("li")];
      const link = element("a", "", { href: `#${one}` });
      const small = element("span", "", { className: "small" });
      if (image.thumbnail) small.append(Object.assign(thumbnail(image), { alt: "" }));
      link.append(small, element("span", cut(words(image), ALT), { className: "words", dir: "auto" }));
      item.append(link);
      return item;
    });
    if (outside) links.push(element("li", `${plural(outside, "image")} not in this gallery`));
    $(id).hidden = links.length === 0;
    $(id).querySelector("ul").replaceChildren(...links);
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

  function step(by) {
    const index = shown.indexOf(current);
    const next = index < 0 ? undefined : shown[index + by];
    if (next) go(next);
  }

  function closed() {
    const index = shown.indexOf(current);
    current = null;
    if (byId.has(location.hash.slice(1))) location.replace("#images"); // no element has that id: nothing scrolls
    focusTile(index);
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
    const [before, isIn] = [document.activeElement, lightbox];
    isIn.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    before?.focus();
    return isDone;
  }

  // All of it

  choices("model", all.map((image) => image.model).sort());
  choices("day", all.map((image) => image.day));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("input", filter);
  $("reset").addEventListener("click", () => {
    $("filters").reset();
    filter();
    $("search").focus();
  });
  grid.addEventListener("keydown", moveInGrid);
  grid.addEventListener("focusin", (event) => event.target.dataset.index && reach(Number(event.target.dataset.index)));
  grid.addEventListener("click", (event) => {
    const button = event.target.closest(".tile");
    if (button) location.hash = shown[Number(button.dataset.index)].id;
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
  new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && extend(), {
    rootMargin: "2000px",
  }).observe($("more"));
  window.addEventListener("hashchange", route);
  filter();
  route();
})();
