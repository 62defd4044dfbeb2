// The review desk. A decision goes to the server at once; when the server has it on disk, the next
// picture, loaded and decoded long before, takes the place of the last.

const AHEAD = 8; // pictures kept ready after the one looked at, and half as many before it
const LOADS = 2; // at once, so that a decision never waits for a free connection
const PATIENCE = 15000; // ms for a decision to be saved
const FEW = 40; // pictures left in the browser when more are asked for
const MATCHES = 8; // names offered while one is typed

const KEYS = [
  // key, what it does, label, hint for the list of keys
  ["k", "keep", "Keep", "the label is right"],
  ["r", "reject", "Reject", "take it out, with a reason"],
  ["l", "relabel", "Rename", "it shows someone else"],
  ["b", "best", "Best", "keep this one of the group, the others are duplicates"],
  ["s", "skip", "Skip", "leave it to others"],
  ["u", "undo", "Undo", "take the last decision back"],
];
const OTHER_KEYS = [
  ["1 2 3", "take this suggestion"],
  ["← →", "look at another picture"],
  ["Z", "as large as the screen"],
  ["?", "this list"],
];
const PARTS = ["ask", "stage", "about", "alert", "keys", "grid", "dialog", "count", "track", "hint"];
const MARKS = { keep: "✓", relabel: "✎", reject: "✕", skip: "·" };

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".desk");
  root.desk ??= new Desk(root);
  root.desk.take(data, () => setTriggerValue("more", true));
  return () => root.desk.close();
}

class Desk {
  constructor(root) {
    this.root = root;
    this.made = new Map(); // file -> decisions of this visit that stand, and the one before it
    this.strokes = []; // files decided at one stroke, the last stroke last
    this.open = new AbortController();
    this.pictures = new Pictures();
    this.thumbnails = new Thumbnails(this.open.signal);
    for (const name of PARTS) this[name] = root.querySelector(`.desk-${name}`);
    this.buttons = Object.fromEntries(KEYS.map(([key, act, label, hint]) => [act, make(
      "button", { type: "button", className: `desk-${act}`, title: hint, onclick: () => this[act]() },
      make("kbd", { ariaHidden: "true" }, key.toUpperCase()), label,
    )]));
    this.keys.replaceChildren(...Object.values(this.buttons));
    this.hint.onclick = () => this.explain();
    // In the capture phase, because Streamlit has keys of its own: R runs the page again.
    const options = { capture: true, signal: this.open.signal };
    window.addEventListener("keydown", (event) => this.press(event), options);
  }

  close() {
    this.open.abort();
    this.root.desk = undefined;
  }

  take(data, askForMore) {
    if (data === this.data) return;
    const file = this.item?.file;
    this.data = data;
    this.askForMore = data.more ? askForMore : undefined;
    this.items = data.items;
    if (!this.strokes.length) this.strokes = strokesOf(data.items);
    this.leftBeyond = data.left - data.items.filter((item) => item.asked && !item.decision).length;
    this.drawGrid();
    const same = this.items.findIndex((item) => item.file === file);
    this.show(same >= 0 ? same : this.next(-1));
  }

  // What stands

  decision(item) {
    return this.made.has(item.file) ? this.made.get(item.file).at(-1) : item.decision;
  }

  left() {
    return this.items.filter((item) => item.asked && !this.decision(item));
  }

  next(from) {
    const count = this.items.length;
    for (let step = 1; step <= count; step++) {
      const index = (from + step) % count;
      if (this.items[index].asked && !this.decision(this.items[index])) return index;
    }
    return -1;
  }

  get group() {
    const group = this.item?.group;
    return group ? this.items.filter((item) => item.group === group) : [this.item].filter(Boolean);
  }

  name(category) {
    return this.data.categories[category]?.name ?? category;
  }

  // What people do

  press(event) {
    if (!this.root.isConnected) return this.close();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.dialog.open) return this.pressInDialog(event);
    if (typing(event.target)) return;
    const key = letter(event);
    const act = KEYS.find(([its]) => its === key)?.[1];
    const guess = this.item?.guesses[Number(key) - 1];
    const does = {
      arrowright: () => this.step(1), arrowleft: () => this.step(-1),
      z: () => this.root.classList.toggle("desk-large"),
      escape: () => this.root.classList.remove("desk-large"),
      "?": () => this.explain(),
    }[key] ?? (act && (() => this[act]())) ?? (guess && (() => this.keepAs(guess[0])));
    if (!does) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || key.startsWith("arrow")) does();
  }

  keep() {
    this.keepAs(this.item?.category);
  }

  keepAs(category) {
    const action = category === this.item?.category ? "keep" : "relabel";
    this.decide([{ item: this.item, action, category }]);
  }

  async reject() {
    if (!this.item) return;
    const options = this.data.reasons.map((reason) => [reason, reason]);
    const reason = await this.choose("Reject, because it is …", options);
    if (reason) this.decide([{ item: this.item, action: "reject", reason }]);
  }

  async relabel() {
    if (!this.item) return;
    const guessed = this.item.guesses.map(([category]) => category);
    const slugs = new Set([...guessed, ...Object.keys(this.data.categories)]);
    const words = (slug) => this.data.categories[slug]?.words ?? "";
    const options = [...slugs].map((slug) => [slug, this.name(slug), words(slug)]);
    const category = await this.choose("Who is it?", options, "A name, in any script");
    if (category) this.keepAs(category);
  }

  best() {
    const others = this.group.filter((item) => item !== this.item);
    if (!others.length) return;
    this.decide([
      { item: this.item, action: "keep", category: this.item.category },
      ...others.map((item) => ({ item, action: "reject", reason: "duplicate" })),
    ]);
  }

  skip() {
    this.decide([{ item: this.item, action: "skip" }]);
  }

  async decide(decisions) {
    if (!this.item || !(await this.save(decisions))) return;
    for (const { item, action, category, reason } of decisions) {
      const before = this.made.get(item.file) ?? [item.decision].filter(Boolean);
      this.made.set(item.file, [...before, { action, category, reason }]);
      this.mark(item);
    }
    this.strokes.push(decisions.map(({ item }) => item.file));
    this.show(this.next(this.index));
    if (this.left().length < FEW) {
      this.askForMore?.();
      this.askForMore = undefined;
    }
  }

  async undo() {
    const files = this.strokes.at(-1);
    const items = this.items.filter((item) => files?.includes(item.file));
    if (!items.length) return this.say("There is nothing more to undo here.");
    if (!(await this.save(items.map((item) => ({ item, action: "undo" }))))) return;
    this.strokes.pop();
    for (const item of items) {
      const before = this.made.get(item.file) ?? [item.decision].filter(Boolean);
      this.made.set(item.file, before.slice(0, -1));
      this.mark(item);
    }
    this.show(this.items.indexOf(items[0]));
  }

  // Whether the server has the decisions on disk; until it has, nothing moves and no key counts.
  async save(decisions) {
    if (this.saving) return false;
    this.saving = true;
    this.root.classList.add("desk-saving");
    this.say("");
    try {
      const { who, token } = this.data;
      const answer = await fetch(address("decisions"), {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify({
          who,
          decisions: decisions.map(({ item, action, category, reason }) => (
            { file_name: item.file, key: item.key, action, category, reason }
          )),
        }),
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (!answer.ok) this.say(`Not saved. ${await answer.text()}`);
      return answer.ok;
    } catch {
      this.say("Not saved: the server does not answer. Press the key again in a moment.");
      return false;
    } finally {
      this.saving = false;
      this.root.classList.remove("desk-saving");
    }
  }

  step(by) {
    const last = this.items.length - 1;
    const from = this.index < 0 ? last + 1 : this.index;
    this.show(Math.min(Math.max(from + by, 0), last));
  }

  // What people see

  show(index) {
    this.index = index;
    this.item = this.items[index];
    this.drawStage();
    this.drawAbout();
    this.drawState();
    for (const cell of this.grid.children)
      cell.firstChild.ariaCurrent = cell.dataset.file === this.item?.file ? "true" : null;
    const around = this.items.slice(Math.max(0, index - AHEAD / 2), index + AHEAD + 1);
    const from = this.group.concat(this.upcoming(), around);
    this.pictures.keepReady([...new Set(from)].map((item) => item.picture));
  }

  upcoming() {
    const after = [...this.items.slice(this.index + 1), ...this.items.slice(0, this.index + 1)];
    return after.filter((item) => item.asked && !this.decision(item)).slice(0, AHEAD);
  }

  drawStage() {
    const group = this.group;
    this.stage.classList.toggle("desk-together", group.length > 1);
    this.stage.replaceChildren(...group.map((item) => this.figure(item, group.length > 1)));
    this.buttons.best.hidden = group.length < 2;
    for (const act of ["keep", "reject", "relabel", "best", "skip"])
      this.buttons[act].disabled = !this.item;
    this.buttons.undo.disabled = !this.strokes.length;
    if (this.item) return;
    this.root.classList.remove("desk-large");
    const end = this.leftBeyond > 0 ? "More are on their way …" : "That was the last one. Thank you!";
    this.stage.replaceChildren(make("p", { className: "desk-end" }, end));
  }

  figure(item, together) {
    const picture = this.pictures.get(item.picture);
    picture.alt = `Labelled ${this.name(item.category)}`;
    const figure = make("figure", {}, picture);
    figure.dataset.file = item.file;
    if (!together) {
      figure.onclick = () => this.root.classList.toggle("desk-large");
      return figure;
    }
    const mark = MARKS[this.decision(item)?.action] ?? "";
    const notes = [item.size, item.facts.Source, item.asked ? "" : "kept"].filter(Boolean);
    const name = make("b", {}, `${mark} ${this.name(item.category)}`);
    figure.append(make("figcaption", {}, name, notes.join(" · ")));
    figure.ariaCurrent = item === this.item ? "true" : null;
    figure.onclick = () => this.show(this.items.indexOf(item));
    return figure;
  }

  drawAbout() {
    const item = this.item;
    this.ask.textContent = item ? question(item.category, this.name(item.category)) : "";
    if (!item) return this.about.replaceChildren();
    const decision = this.decision(item);
    const signs = this.data.categories[item.category]?.signs ?? [];
    const heading = item.category === "none" ? "Such as" : "Look for";
    const facts = Object.entries(item.facts);
    const link = { href: item.url, target: "_blank", rel: "noopener noreferrer" };
    const parts = [
      decision && make("p", { className: "desk-made" }, this.describe(decision)),
      item.why && make("p", { className: "desk-why" }, item.why),
      item.guesses.length && this.suggestions(item),
      signs.length && make("div", {}, make("h3", {}, heading), list(signs)),
      facts.length && make("dl", {}, ...facts.flatMap(([term, fact]) => (
        [make("dt", {}, term), make("dd", {}, fact)]
      ))),
      item.url && make("a", link, "Where it is from"),
    ];
    this.about.replaceChildren(...parts.filter(Boolean));
  }

  describe({ action, category, reason }) {
    return {
      keep: "You kept it.", relabel: `You renamed it: ${this.name(category)}.`,
      reject: `You rejected it: ${reason}.`, skip: "You skipped it.",
    }[action];
  }

  suggestions(item) {
    const buttons = item.guesses.map(([category, probability], index) => make(
      "button", { type: "button", onclick: () => this.keepAs(category) },
      make("kbd", { ariaHidden: "true" }, index + 1), make("span", {}, this.name(category)),
      make("small", {}, probability === null ? "" : `${Math.round(100 * probability)} %`),
    ));
    return make("div", { className: "desk-guesses" }, make("h3", {}, "Or perhaps"), ...buttons);
  }

  drawState() {
    const left = this.left().length + this.leftBeyond;
    const done = this.data.done + this.data.left - left;
    this.count.textContent = `${left} left, ${done} decided`;
    this.track.firstChild.style.width = `${100 * done / Math.max(1, left + done)}%`;
  }

  drawGrid() {
    this.cells = new Map();
    this.grid.replaceChildren(...this.items.map((item, index) => {
      const picture = make("img", { alt: this.name(item.category), decoding: "async" });
      this.thumbnails.watch(picture, item.thumbnail);
      const button = make("button", { type: "button", onclick: () => this.show(index) }, picture);
      const cell = make("li", {}, button);
      cell.dataset.file = item.file;
      this.cells.set(item.file, cell);
      return cell;
    }));
    this.items.forEach((item) => this.mark(item));
  }

  mark(item) {
    const action = this.decision(item)?.action ?? "";
    const button = this.cells.get(item.file)?.firstChild;
    if (!button) return; // other pictures were chosen meanwhile
    button.dataset.action = action;
    button.dataset.mark = MARKS[action] ?? "";
    button.title = `${this.name(item.category)}${action && `: ${action}`}`;
  }

  say(text) {
    this.alert.textContent = text;
    this.alert.hidden = !text;
  }

  // Dialogs

  explain() {
    const rows = [...KEYS.map(([key, , , hint]) => [key.toUpperCase(), hint]), ...OTHER_KEYS];
    this.openDialog("Keys", make("dl", { className: "desk-help" }, ...rows.flatMap(([key, hint]) => (
      [make("dt", {}, ...key.split(" ").map((one) => make("kbd", {}, one))), make("dd", {}, hint)]
    ))));
  }

  // Resolves to the value chosen, or to "" if the dialog is left. Options: value, label, words.
  choose(title, options, placeholder) {
    const menu = make("ul", { className: "desk-options" });
    const named = { type: "search", placeholder, ariaLabel: placeholder };
    const search = placeholder && make("input", named);
    const offer = () => {
      const typed = search ? search.value.trim().toLocaleLowerCase() : "";
      const found = options
        .filter(([, label, words]) => `${label} ${words}`.toLocaleLowerCase().includes(typed))
        .sort((one, other) => starts(other[1], typed) - starts(one[1], typed))
        .slice(0, search ? MATCHES : undefined);
      menu.replaceChildren(...found.map(([value, label], index) => {
        const digit = search ? [] : [make("kbd", { ariaHidden: "true" }, index + 1)];
        const choice = { type: "button", onclick: () => this.dialog.close(value) };
        return make("li", {}, make("button", choice, ...digit, label));
      }));
    };
    offer();
    if (search) search.oninput = offer;
    return this.openDialog(title, ...(search ? [search] : []), menu);
  }

  openDialog(title, ...content) {
    const dialog = make("dialog", { className: "desk-dialog", ariaLabel: title });
    const close = () => dialog.close("");
    const leave = { type: "button", className: "desk-close", ariaLabel: "Close", onclick: close };
    dialog.append(make("h2", {}, title), ...content, make("button", leave, "✕"));
    dialog.onclick = (event) => event.target === dialog && close();
    this.dialog.replaceWith(dialog); // a new one each time: the last one's `close` may be yet to come
    this.dialog = dialog;
    dialog.showModal();
    dialog.querySelector("input, .desk-options button, button").focus();
    return new Promise((resolve) => {
      dialog.onclose = () => resolve(dialog.returnValue);
    });
  }

  pressInDialog(event) {
    event.stopPropagation();
    const options = [...this.dialog.querySelectorAll(".desk-options button")];
    const at = options.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    const digit = !typing(event.target) && options[Number(letter(event)) - 1];
    if (to !== undefined) options[(to + options.length) % options.length]?.focus();
    else if (event.key === "Enter" && typing(event.target)) options[0]?.click();
    else if (digit) digit.click();
    else return;
    event.preventDefault();
  }
}

// Large pictures: loaded and decoded before they are looked at.
class Pictures {
  constructor() {
    this.ready = new Map(); // url -> img
    this.waiting = [];
    this.loading = 0;
  }

  get(url) {
    if (!this.ready.has(url)) {
      const picture = make("img", { draggable: false });
      picture.onerror = () => picture.classList.add("desk-missing");
      this.ready.set(url, picture);
    }
    const picture = this.ready.get(url);
    if (!picture.src) picture.src = address(url);
    return picture;
  }

  keepReady(urls) {
    for (const url of this.ready.keys()) if (!urls.includes(url)) this.ready.delete(url);
    this.waiting = urls.filter((url) => !this.ready.has(url));
    this.pump();
  }

  async pump() {
    while (this.loading < LOADS && this.waiting.length) {
      const picture = this.get(this.waiting.shift());
      this.loading++;
      picture.decode().catch(() => {}).finally(() => { this.loading--; this.pump(); });
    }
  }
}

// Small pictures: loaded when they come into view, a few at once.
class Thumbnails {
  constructor(signal) {
    this.waiting = [];
    this.loading = 0;
    this.seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) this.load(target);
    }, { rootMargin: "300px" });
    signal.addEventListener("abort", () => this.seen.disconnect());
  }

  watch(picture, url) {
    picture.dataset.url = url;
    this.seen.observe(picture);
  }

  load(picture) {
    this.seen.unobserve(picture);
    this.waiting.push(picture);
    this.pump();
  }

  pump() {
    while (this.loading < LOADS && this.waiting.length) {
      const picture = this.waiting.shift();
      this.loading++;
      picture.onload = picture.onerror = () => { this.loading--; this.pump(); };
      picture.src = address(picture.dataset.url);
    }
  }
}

function address(path) {
  const page = location.origin + location.pathname.replace(/review\/?$/, "");
  return new URL(`api/review/${path}`, page).href;
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function list(phrases) {
  return make("ul", {}, ...phrases.map((phrase) => make("li", {}, phrase)));
}

// On a keyboard of another script the keys lie where they lie on a Latin one.
function letter(event) {
  const latin = event.key.length > 1 || event.key.charCodeAt(0) < 128;
  return (latin ? event.key : event.code.replace(/^(Key|Digit)/, "")).toLowerCase();
}

function typing(target) {
  return target.matches?.("input, textarea, select, [contenteditable=true]");
}

function starts(label, typed) {
  return typed !== "" && label.toLocaleLowerCase().startsWith(typed);
}

function question(category, name) {
  return category === "none" ? "No deity here?" : `Is this ${name}?`;
}

// Files decided at one stroke have their time in common.
function strokesOf(items) {
  const decided = items.filter((item) => item.decision);
  const strokes = Map.groupBy(decided, (item) => item.decision.when);
  return [...strokes.keys()].sort().map((when) => strokes.get(when).map((item) => item.file));
}
