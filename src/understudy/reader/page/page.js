// One reader, one image after the other. Nothing here knows what an image is; answers go to localStorage and to a file.
"use strict";
const $ = (id) => document.getElementById(id);
const study = JSON.parse($("study").textContent);
const total = study.ids.length;
const WORDS = { 1: [""], 2: ["guess", "sure"], 3: ["guess", "likely", "sure"], 4: ["guess", "maybe", "likely", "sure"] };
const SETTLE_MS = 200; // a second press of the same key is no answer to the next image

// ---- what is kept: one record for each reader -------------------------------------------------------------------------
const prefix = `understudy-reader:${study.study}:`;
let record = null; // {reader, experience, started, answers: {id: {call, confidence, seconds, changed}}, draft}

function stored() {
  try {
    return Object.keys(localStorage).filter((k) => k.startsWith(prefix)).map((k) => JSON.parse(localStorage.getItem(k)));
  } catch { return []; }
}
function keep() {
  try { localStorage.setItem(prefix + record.reader, JSON.stringify(record)); return true; } catch { return false; }
}
function canKeep() {
  try { localStorage.setItem(prefix, "{}"); localStorage.removeItem(prefix); return true; } catch { return false; }
}
const answered = (r) => study.ids.filter((id) => id in r.answers).length;

function exported() {
  const answers = study.ids.filter((id) => id in record.answers).map((id) => ({ id, ...record.answers[id] }));
  const screen = [window.innerWidth, window.innerHeight, window.devicePixelRatio];
  return JSON.stringify({ format: 1, study: study.study, reader: record.reader, experience_years: record.experience,
    started: record.started, saved: new Date().toISOString(), images: total, screen, answers }, null, 1) + "\n";
}
const fileName = () => `answers-${study.study}-${record.reader.replace(/[^\p{L}\p{N}]+/gu, "_")}.json`;
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  link.download = fileName();
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function readFile(file) {
  let found;
  try { found = JSON.parse(await file.text()); } catch { return complain("This file holds no answers."); }
  if (!found || !Array.isArray(found.answers)) return complain("This file holds no answers.");
  if (found.study !== study.study) return complain("These are answers to another page.");
  const before = stored().find((r) => r.reader === found.reader);
  const answers = {};
  for (const { id, ...answer } of found.answers) if (study.ids.includes(id)) answers[id] = answer;
  record = { reader: found.reader, experience: found.experience_years, started: found.started,
    answers: { ...answers, ...(before ? before.answers : {}) }, draft: null };
  keep();
  goOn();
}
function complain(words) {
  $("complaint").textContent = words;
  $("complaint").hidden = false;
}

// ---- screens ------------------------------------------------------------------------------------------------------
function show(name) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== name;
  window.scrollTo(0, 0);
}
function start() {
  record = null;
  $("total").textContent = total;
  $("unkept").hidden = canKeep();
  $("earlier").replaceChildren(...stored().map((r) => {
    const button = document.createElement("button");
    button.textContent = `Go on as ${r.reader}: ${answered(r)} of ${total}`;
    button.className = "earlier";
    button.onclick = () => { record = r; goOn(); };
    return button;
  }));
  show("start");
}
// what reader_names.py refuses when the answers are read: said before somebody has answered them all
function canBeAName(reader) {
  const { reserved, forbidden, longest } = study.names;
  return /^[\p{L}\p{N}]\P{C}*$/u.test(reader) && [...reader].length <= longest
    && ![...forbidden].some((c) => reader.includes(c)) && !reserved.includes(reader.toLowerCase());
}
function begin(event) {
  event.preventDefault();
  const reader = $("reader").value.normalize("NFKC").replace(/\s+/g, " ").trim();
  if (!reader) return;
  if (!canBeAName(reader)) return complain("The tables cannot show this name. Take another one: letters and digits, no " +
    `${[...study.names.forbidden].join(" ")}, at most ${study.names.longest} characters, and not a word such as "real".`);
  if (stored().some((r) => r.reader.toLowerCase() === reader.toLowerCase())) return complain(`${reader} has begun already: go on above, or take another name.`);
  const years = $("experience").value;
  record = { reader, experience: years === "" ? null : Number(years), started: new Date().toISOString(), answers: {}, draft: null };
  keep();
  goOn();
}
function goOn() {
  $("complaint").hidden = true;
  const open = study.ids.findIndex((id) => !(id in record.answers));
  if (open < 0) finish(); else present(open);
}
function finish() {
  place = -1;
  $("summary").textContent = `${record.reader}, you have answered all ${total} images.`;
  $("file").textContent = fileName();
  $("text").value = exported();
  show("done");
}
function pause() {
  if ($("reading").hidden || place < 0) return;
  stopClock();
  $("state").textContent = `${answered(record)} of ${total} images are answered` +
    (canKeep() ? ", and kept in this browser." : ". This browser keeps nothing: save them before you close the page.");
  show("paused");
  $("resume").focus();
}
function resume() {
  show("reading");
  layOut();
  startClock();
}

// ---- time: of an image from when it can be seen, without pauses -----------------------------------------------------
let since = null; // ms
function startClock() { since = performance.now(); }
function stopClock() {
  if (since === null || place < 0) return;
  const id = study.ids[place];
  const before = record.draft && record.draft.id === id ? record.draft.seconds : 0;
  record.draft = { id, seconds: before + (performance.now() - since) / 1000 };
  since = null;
  keep();
}

// ---- the image ----------------------------------------------------------------------------------------------------
let place = -1; // which image is shown
let correcting = false;
let grey = null; // its grey values, the panels one below the other
const decoded = new Map();
const view = { window: 100, level: 50, zoom: 1, x: 0, y: 0 };
const panels = study.panels.map((title) => {
  const panel = document.createElement("div"), canvas = document.createElement("canvas"), name = document.createElement("span");
  panel.className = "panel";
  canvas.width = study.width;
  canvas.height = study.height;
  name.textContent = title;
  panel.append(canvas, name);
  $("panels").append(panel);
  return canvas;
});
$("panels").classList.toggle("coarse", study.width < 64);

function decode(i) {
  if (!decoded.has(i)) decoded.set(i, (async () => {
    const image = new Image();
    image.src = "data:image/png;base64," + $("image" + i).textContent;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return Uint8Array.from({ length: rgba.length / 4 }, (_, k) => rgba[4 * k]);
  })());
  for (const old of decoded.keys()) if (old < i - 2) decoded.delete(old);
  return decoded.get(i);
}
async function present(i) {
  place = i;
  grey = null;
  since = null;
  const values = await decode(i);
  if (place !== i) return;
  grey = values;
  $("bar").max = total;
  $("bar").value = answered(record);
  $("count").textContent = `${i + 1} of ${total}`;
  $("back").disabled = i === 0 || correcting;
  const before = record.answers[study.ids[i]];
  for (const button of document.querySelectorAll(".side button"))
    button.setAttribute("aria-pressed", Boolean(before) && before.call === button.dataset.call && before.confidence === Number(button.dataset.confidence));
  show("reading");
  layOut();
  asItWas();
  startClock();
  if (i + 1 < total) decode(i + 1);
}
function layOut() { // the columns that make panels largest
  const { clientWidth: width, clientHeight: height } = $("panels");
  let best = [0, 1];
  for (let columns = 1; columns <= panels.length; columns++) {
    const rows = Math.ceil(panels.length / columns);
    const scale = Math.min((width - 4 * (columns - 1)) / columns / study.width, (height - 4 * (rows - 1)) / rows / study.height);
    if (scale > best[0]) best = [scale, columns];
  }
  const [scale, columns] = best;
  $("panels").style.gridTemplateColumns = `repeat(${columns}, ${Math.floor(scale * study.width)}px)`;
  $("panels").style.gridAutoRows = `${Math.floor(scale * study.height)}px`;
}
function paint() {
  if (!grey) return;
  const width = 2.55 * view.window, low = 2.55 * view.level - width / 2;
  const shade = Uint8ClampedArray.from({ length: 256 }, (_, g) => (255 * (g - low)) / width);
  const pixels = study.width * study.height;
  panels.forEach((canvas, p) => {
    const context = canvas.getContext("2d"), image = context.createImageData(study.width, study.height);
    for (let k = 0; k < pixels; k++) {
      image.data[4 * k] = image.data[4 * k + 1] = image.data[4 * k + 2] = shade[grey[p * pixels + k]];
      image.data[4 * k + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  });
}
function settle() {
  view.x = Math.min(0, Math.max(1 - view.zoom, view.x));
  view.y = Math.min(0, Math.max(1 - view.zoom, view.y));
  for (const canvas of panels) canvas.style.transform = `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.zoom})`;
}
function asItWas() {
  Object.assign(view, { window: 100, level: 50, zoom: 1, x: 0, y: 0 });
  setWindow(100, 50);
  settle();
}
function setWindow(width, level) {
  view.window = Math.min(100, Math.max(5, width));
  view.level = Math.min(100, Math.max(0, level));
  $("window").value = view.window;
  $("level").value = view.level;
  paint();
}
function zoomAt(factor, x, y) { // x, y: what stays in its place, as parts of a panel
  const zoom = Math.min(12, Math.max(1, view.zoom * factor));
  view.x = x - ((x - view.x) * zoom) / view.zoom;
  view.y = y - ((y - view.y) * zoom) / view.zoom;
  view.zoom = zoom;
  settle();
}

// ---- mouse and fingers over the image: one finger or Shift moves, two zoom, the mouse alone windows ---------------------
const fingers = new Map();
function inPanel(event) {
  const box = (event.target.closest(".panel") || $("panels").firstElementChild).getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, box };
}
function moved(event) {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const box = before.box, dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
  const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, f]) => f);
  if (others.length) {
    const [other] = others, apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
    const middle = [(event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top];
    view.x += dx / 2 / box.width;
    view.y += dy / 2 / box.height;
    zoomAt(apart(event) / Math.max(1, apart(before)), middle[0] / box.width, middle[1] / box.height);
  } else if (event.pointerType === "touch" || before.moves) {
    view.x += dx / box.width;
    view.y += dy / box.height;
    settle();
  } else setWindow(view.window + dx / 4, view.level - dy / 4);
  fingers.set(event.pointerId, { ...before, clientX: event.clientX, clientY: event.clientY });
}
$("panels").addEventListener("pointerdown", (event) => {
  const { box } = inPanel(event);
  fingers.set(event.pointerId, { clientX: event.clientX, clientY: event.clientY, box, moves: event.shiftKey || event.button > 0 });
  $("panels").setPointerCapture(event.pointerId);
  event.preventDefault();
});
$("panels").addEventListener("pointermove", moved);
for (const end of ["pointerup", "pointercancel"]) $("panels").addEventListener(end, (event) => fingers.delete(event.pointerId));
$("panels").addEventListener("wheel", (event) => {
  const { x, y } = inPanel(event);
  zoomAt(Math.exp(-event.deltaY / 400), x, y);
  event.preventDefault();
}, { passive: false });
$("panels").addEventListener("dblclick", asItWas);
$("panels").addEventListener("contextmenu", (event) => event.preventDefault());
for (const name of ["window", "level"]) $(name).addEventListener("input", () => setWindow(Number($("window").value), Number($("level").value)));
$("in").onclick = () => zoomAt(1.5, 0.5, 0.5);
$("out").onclick = () => zoomAt(1 / 1.5, 0.5, 0.5);
$("reset").onclick = asItWas;

// ---- answers --------------------------------------------------------------------------------------------------------
const keys = []; // of the answers from left to right: surely real ... surely synthetic
for (const call of ["real", "synthetic"]) {
  const side = document.createElement("fieldset"), legend = document.createElement("legend");
  side.className = `side ${call}`;
  legend.textContent = call === "real" ? "Real" : "Synthetic";
  side.append(legend);
  const levels = Array.from({ length: study.confidence }, (_, k) => k + 1);
  for (const confidence of call === "real" ? levels.reverse() : levels) {
    const button = document.createElement("button"), key = document.createElement("kbd");
    const word = WORDS[study.confidence][confidence - 1];
    Object.assign(button.dataset, { call, confidence });
    button.textContent = word || legend.textContent;
    button.setAttribute("aria-label", `${legend.textContent} ${word}`.trim());
    keys.push(button);
    key.textContent = keys.length;
    button.append(key);
    button.onclick = () => give(call, confidence);
    side.append(button);
  }
  if (study.confidence === 1) legend.hidden = true;
  $("answers").append(side);
}
function give(call, confidence) {
  if (since === null || performance.now() - since < SETTLE_MS) return;
  stopClock();
  const id = study.ids[place], before = record.answers[id];
  const seconds = Math.round(1000 * (record.draft.seconds + (before ? before.seconds : 0))) / 1000;
  record.answers[id] = { call, confidence, seconds, changed: before ? before.changed + 1 : 0 };
  record.draft = null;
  keep();
  correcting = false;
  goOn();
}
function back() {
  if (place > 0 && !correcting && since !== null) {
    stopClock();
    correcting = true;
    present(place - 1);
  }
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!$("paused").hidden && event.key === " " && document.activeElement === document.body) return resume();
  if ($("reading").hidden) return;
  const button = keys[Number(event.key) - 1];
  const does = { Backspace: back, " ": pause, "+": $("in").onclick, "=": $("in").onclick, "-": $("out").onclick, 0: asItWas }[event.key];
  if (!button && !does) return;
  event.preventDefault();
  if (button) button.click(); else does();
});
document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); });
addEventListener("pagehide", () => { if (record) stopClock(); });
addEventListener("resize", () => { if (!$("reading").hidden) layOut(); });
$("begin").onsubmit = begin;
$("back").onclick = back;
$("pause").onclick = pause;
$("resume").onclick = resume;
$("another").onclick = start;
$("amend").onclick = () => { correcting = true; present(total - 1); };
$("import").onchange = (event) => { if (event.target.files[0]) readFile(event.target.files[0]); event.target.value = ""; };
for (const button of document.querySelectorAll(".save")) button.onclick = save;
start();
