// What moves on the page. Dash makes the controls and says when one has changed; everything after that is here:
//
//   control ──► state ──► what each pane should show ──► one request for those that differ ──► Plotly
//
// One request is under way at a time, and the next one is for the newest state: a slider that is dragged
// skips epochs and never falls behind. A view along the whole run is fetched once, and its mark moved here.
"use strict";

(function () {
  const state = { runs: [], epochs: [], place: 0, visuals: {} };
  const panes = new Map(); // element of a pane -> { key: what it shows, follows: whether a mark is moved, ... }
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let page = null; // the element that all this is about
  let look = null; // templates for light and dark
  let underway = false;
  let pollTimer = null;
  let jobs = [];
  let served = null; // which server answered last
  let moved = null; // when the slider moved last, until all is drawn

  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const epochNow = () => state.epochs[state.place] ?? 0;

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  async function ask(path, content) {
    const sent = content === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
    };
    const answer = await fetch(path, sent);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || answer.statusText);
    return answer;
  }

  // ---- the state, from the controls

  async function changed(run, beside, values) {
    const runs = [run, ...(beside && beside !== run ? [beside] : [])].filter(Boolean);
    const places = dash_clientside.callback_context.inputs_list[2];
    state.visuals = {};
    places.forEach(({ id }, number) => {
      (state.visuals[id.view] ??= {})[id.name] = String(values[number] ?? "");
      showNumber(id, values[number]);
    });
    const isNew = page !== one("#views"); // Dash may make the page again.
    page = one("#views");
    if (isNew || runs.join("\n") !== state.runs.join("\n")) await runsChanged(runs);
    if (page.isConnected) refresh();
    return window.dash_clientside.no_update;
  }

  // Nobody reads a number off a slider.
  function showNumber({ view, name }, value) {
    const output = one(`section[data-view="${view}"] label[data-name="${name}"] output`);
    if (output) output.textContent = value;
  }

  async function runsChanged(runs) {
    const before = state.runs.length ? epochNow() : Number(one("#cursor").dataset.epoch || Infinity);
    state.runs = runs;
    const { epochs } = await pulse();
    if (state.runs !== runs || !page.isConnected) return; // Another choice, or page, came meanwhile.
    state.epochs = epochs;
    state.place = nearestPlace(before);
    makeSlider();
    makePanes();
    poll();
  }

  function makeSlider() {
    const last = state.epochs.length - 1;
    const slider = element("input", {
      id: "slider", type: "range", min: 0, max: last, step: 1, disabled: last < 1,
      oninput: (event) => moveTo(Number(event.target.value)),
    });
    one("#cursor .track").replaceChildren(slider);
    slider.value = state.place;
  }

  function moveTo(place) {
    const to = Math.min(Math.max(place, 0), state.epochs.length - 1);
    if (to === state.place) return;
    moved ??= performance.now();
    direction = Math.sign(to - state.place);
    one("#slider").value = state.place = to;
    refresh();
  }

  function nearestPlace(epoch) {
    const apart = state.epochs.map((each) => Math.abs(each - Math.min(epoch, 1e15)));
    return apart.indexOf(Math.min(...apart));
  }

  function refresh() {
    document.body.dataset.settled = "false";
    const epoch = epochNow();
    one("#readout").textContent = `${epoch.toLocaleString("en")}  (${state.place + 1} of ${state.epochs.length})`;
    one("#slider")?.setAttribute("aria-valuetext", `epoch ${epoch}`);
    writeLinks();
    draw();
  }

  // ---- links

  function query(view) {
    const [run, beside] = state.runs;
    const parts = new URLSearchParams({ run, ...(beside && { with: beside }), epoch: epochNow() });
    if (view) parts.set("view", view);
    for (const [name, visuals] of Object.entries(state.visuals)) {
      if (view && name !== view) continue;
      for (const [visual, value] of Object.entries(visuals)) {
        if (value !== defaults[name]?.[visual]) parts.set(`${name}.${visual}`, value);
      }
    }
    return `?${parts}`;
  }

  const defaults = {};

  function writeLinks() {
    const focused = one("#views").dataset.view;
    history.replaceState(history.state, "", query(focused));
    for (const section of all("section.view")) one("a.link", section).href = query(section.dataset.view);
    one("#all").href = query("");
  }

  // ---- panes

  function makePanes() {
    panes.clear();
    for (const holder of all(".panes")) {
      const view = holder.closest("section").dataset.view;
      const title = one("h2", holder.closest("section")).textContent;
      holder.replaceChildren(...state.runs.map((run) => {
        const figure = element("div", { class: "figure", role: "img", "aria-label": `${title}, ${run}` });
        const notice = element("div", { class: "notice", hidden: true });
        const name = element("p", { class: "of" }, run);
        const pane = element("div", { class: "pane", "data-run": run },
          name, element("div", { class: "stage" }, figure), notice);
        panes.set(pane, { view, title, run, figure, notice, name, key: "", seen: null });
        inSight.observe(pane);
        return pane;
      }));
    }
    document.body.classList.toggle("comparing", state.runs.length > 1);
  }

  // Only what is in sight, or nearly so, is drawn; the rest when it comes into sight.
  const inSight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const pane = panes.get(entry.target);
      if (pane) pane.seen = entry.isIntersecting;
    }
    draw();
  }, { rootMargin: "200px" });

  function wantedOf(pane) {
    return { run: pane.run, epoch: epochNow(), view: pane.view, visuals: state.visuals[pane.view] ?? {} };
  }

  function keyOf(pane, wanted) {
    const epoch = pane.follows === "mark" || pane.follows === "nothing" ? "" : wanted.epoch;
    return JSON.stringify([wanted.run, wanted.visuals, epoch]);
  }

  async function draw() {
    for (const pane of panes.values()) if (pane.follows === "mark") moveMark(pane, epochNow());
    if (underway || !look || !panes.size) return;
    repaint();
    const wanted = [...panes.values()].filter((pane) => pane.seen && pane.key !== keyOf(pane, wantedOf(pane)));
    if (!wanted.length) {
      // Until each has been looked at, nobody knows what is in sight.
      if ([...panes.values()].every((pane) => pane.seen !== null)) settled();
      return;
    }
    underway = true;
    try {
      // Each by itself: while one is painted here, the server draws the next.
      await Promise.all(wanted.map(async (pane) => {
        const asked = wantedOf(pane);
        const picture = await pictureOf(asked);
        pane.follows = picture.follows;
        pane.key = keyOf(pane, asked);
        pane.wanted = asked;
        return fill(pane, picture);
      }));
      say("");
    } catch (error) {
      say(`No answer: ${error.message}. Is the server still running? Trying again.`);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    } finally {
      underway = false;
    }
    draw();
  }

  // ---- one step ahead: a slider goes on as it went, and the server is faster than the painting

  const AHEAD_FOR = 5000; // ms; what is stored may change
  const ahead = new Map(); // what is asked for -> { since, picture }, the picture a promise
  let direction = 1;

  async function load(asked) {
    return (await ask("picture", asked)).json();
  }

  function pictureOf(asked) {
    const found = ahead.get(JSON.stringify(asked));
    return found && performance.now() - found.since < AHEAD_FOR ? found.picture : load(asked);
  }

  function lookAhead() {
    const epoch = state.epochs[state.place + direction];
    ahead.clear();
    if (epoch === undefined) return;
    for (const pane of panes.values()) {
      if (!pane.seen || pane.follows !== "figure") continue;
      const asked = { ...wantedOf(pane), epoch };
      const picture = load(asked);
      picture.catch(() => ahead.clear()); // Whoever asks for it then is told.
      ahead.set(JSON.stringify(asked), { since: performance.now(), picture });
    }
  }

  function settled() {
    if (document.body.dataset.settled === "true") return;
    document.body.dataset.settled = "true";
    if (moved !== null) setTimeout(lookAhead);
    if (moved !== null) {
      (window.workbench.moves ??= []).push(performance.now() - moved);
      moved = null;
    }
  }

  function fill(pane, picture) {
    const shown = Boolean(picture.figure);
    const told = shown ? null : JSON.stringify([picture, jobs]);
    if (told !== null && told === pane.told) return; // It stays as the reader has opened it.
    Object.assign(pane, { told, keys: picture.keys });
    pane.figure.hidden = !shown;
    pane.notice.hidden = shown;
    pane.steps = picture.steps;
    const at = picture.epoch === undefined || picture.follows === "mark" ? "" : `, epoch ${picture.epoch.toLocaleString("en")}`;
    // What the heading has not said: a number of neurons, a threshold.
    const said = shown ? picture.figure.layout.title?.text ?? "" : "";
    pane.name.replaceChildren(element("b", {}, `${pane.run}${at}`), said === pane.title ? "" : `  ${said}`);
    if (shown) return paint(pane, picture.figure);
    if (picture.error) pane.notice.replaceChildren(element("p", {}, picture.error));
    else fillNotice(pane);
  }

  async function paint(pane, figure) {
    const layout = { ...figure.layout, template: look[theme()], autosize: true };
    delete layout.title; // The card has a heading, and paper of its own.
    delete layout.paper_bgcolor;
    layout.margin = { t: 28 };
    layout.uirevision = pane.view; // What the reader zoomed into stays.
    const options = { responsive: true, displaylogo: false, displayModeBar: "hover" };
    Object.assign(pane, { drawn: figure, theme: theme() });
    await Plotly.react(pane.figure, figure.data, layout, options);
    pane.marked = null;
    if (pane.follows === "mark") moveMark(pane, epochNow());
  }

  // The line at the present epoch, and the dots on curves that are told by it. They are moved as they are drawn:
  // Plotly would lay out and paint the whole figure again for them, 30 ms for each.
  function moveMark(pane, epoch) {
    const { layout, _fullLayout: full, _fullData: curves, data } = pane.figure;
    if (!full || pane.figure.hidden || pane.marked === epoch) return;
    pane.marked = epoch;
    const { xaxis, yaxis, _size: size } = full;
    (layout.shapes ?? []).forEach((shape, number) => {
      if (shape.name !== "epoch") return;
      shape.x0 = shape.x1 = full.shapes[number].x0 = full.shapes[number].x1 = epoch;
      const line = one(`.shapelayer path[data-index="${number}"]`, pane.figure);
      const across = xaxis._offset + xaxis.d2p(epoch);
      line?.setAttribute("d", `M${across},${size.t}V${size.t + size.h}`);
    });
    const dots = curves.findIndex((curve) => curve.name === "at epoch");
    if (dots < 0) return;
    const at = curves.slice(0, dots).map((curve) => curve.y[Array.prototype.indexOf.call(curve.x, epoch)] ?? null);
    Object.assign(data[dots], { x: at.map(() => epoch), y: at });
    all(`.trace${curves[dots].uid} path.point`, pane.figure).forEach((dot, number) => {
      const known = Number.isFinite(at[number]);
      dot.style.display = known ? "" : "none";
      if (known) dot.setAttribute("transform", `translate(${xaxis.d2p(epoch)},${yaxis.d2p(at[number])})`);
    });
  }

  const theme = () => (dark.matches ? "dark" : "light");

  // Also from `draw`: a page that nobody looks at may not hear of the change.
  function repaint() {
    for (const pane of panes.values()) {
      if (pane.drawn && !pane.figure.hidden && pane.theme !== theme()) paint(pane, pane.drawn);
    }
  }

  dark.addEventListener("change", repaint);

  // ---- what is missing, and computing it

  function fillNotice(pane) {
    const steps = pane.steps ?? [];
    const open = steps.filter((step) => !["fresh", "drift"].includes(step.state));
    const rows = open.map((step) => element("li", {},
      element("code", {}, step.analysis), ` is ${step.state}`,
      element("ul", {}, ...step.causes.map((cause, number) => element("li", {}, cause, ...detailOf(cause, step.details[number]))))));
    const functions = open.map((step) => step.function);
    const newest = jobs.findLast((job) => job.run === pane.run && job.analyses.some((name) => functions.includes(name)));
    const running = newest?.state === "running" && newest;
    const failed = newest?.state === "failed" && newest;
    const start = (epoch) => () => startJob(pane.run, functions, epoch);
    const single = open.every((step) => !step.along);
    const buttons = running ? [progressOf(running)] : [
      ...(single ? [element("button", { class: "compute", onclick: start(epochNow()) }, "Compute this epoch")] : []),
      element("button", { class: "compute all", onclick: start(null) }, single ? "Compute all epochs" : "Compute"),
    ];
    pane.notice.replaceChildren(
      element("p", {}, element("b", {}, "Nothing to draw yet.")), element("ul", {}, ...rows),
      ...(failed ? [element("pre", { class: "error" }, failed.error)] : []),
      element("div", { class: "buttons" }, ...buttons));
  }

  // The lines of a difference, for whoever asks.
  function detailOf(cause, detail) {
    if (!detail || detail === cause) return [];
    return [element("details", {}, element("summary", {}, "what changed"), element("pre", {}, detail))];
  }

  function progressOf(job) {
    const left = job.seconds_left == null ? "" : `, ${Math.max(1, Math.round(job.seconds_left))} s left`;
    const words = job.total ? `${job.done} of ${job.total}${left}` : "starting";
    return element("span", { class: "progress" },
      element("progress", { max: job.total || 1, ...(job.total && { value: job.done }), "aria-label": words }),
      element("span", {}, words),
      element("button", { onclick: () => ask(`jobs/${job.number}/stop`, {}).then(poll) }, "Stop"));
  }

  async function startJob(run, analyses, epoch) {
    try {
      await ask("jobs", { run, analyses, epoch });
      await poll();
    } catch (error) {
      say(`It could not be started: ${error.message}.`);
    }
  }

  async function pulse() {
    const query = state.runs.map((name) => `run=${encodeURIComponent(name)}`).join("&");
    return (await ask(`pulse?${query}`)).json();
  }

  // What has happened meanwhile: jobs, new checkpoints, results of whoever computes elsewhere, another server.
  async function poll() {
    clearTimeout(pollTimer);
    try {
      if (document.visibilityState === "visible") note(await pulse());
    } catch {
      // The server is away; asking again tells when it is back.
    }
    pollTimer = setTimeout(poll, jobs.some((job) => job.state === "running") ? 400 : 2000);
  }

  function note({ served: server, epochs, jobs: found }) {
    const isNew = served !== null && served !== server;
    if (isNew || epochs.join() !== state.epochs.join()) lookAgain(() => true);
    if (epochs.join() !== state.epochs.join()) {
      const before = epochNow();
      state.epochs = epochs;
      state.place = nearestPlace(before);
      makeSlider();
      refresh();
    }
    for (const job of found) {
      const was = isNew ? undefined : jobs.find((each) => each.number === job.number);
      if (was && (was.done !== job.done || was.state !== job.state)) lookAgain((pane) => pane.run === job.run);
    }
    [served, jobs] = [server, found];
    lookAgain((pane) => !pane.notice.hidden);
    for (const pane of panes.values()) if (!pane.notice.hidden && pane.steps) fillNotice(pane);
    one("#jobs").replaceChildren(...jobs.filter((job) => job.state === "running").map((job) => {
      const names = job.analyses.map((name) => name.split(":").pop()).join(", ");
      return element("p", {}, `Computing ${names} of ${job.run} `, progressOf(job));
    }));
    draw();
  }

  // Some panes may have something else to show by now.
  function lookAgain(which) {
    ahead.clear();
    for (const pane of panes.values()) if (which(pane)) pane.key = "";
  }

  window.addEventListener("focus", () => state.runs.length && poll());

  function say(words) {
    let line = one("#trouble");
    if (!line && !words) return;
    if (!line) one("#jobs").before(line = element("p", { id: "trouble", role: "alert" }));
    line.textContent = words;
    line.hidden = !words;
  }

  // ---- exports

  async function exportAs(section, kind) {
    for (const pane of panes.values()) {
      if (!section.contains(pane.figure) || pane.figure.hidden) continue;
      // A figure is of the epoch it was fetched for; only a mark is moved here.
      const wanted = { ...pane.wanted, ...(pane.follows === "mark" && { epoch: epochNow() }) };
      const content = { wanted, kind, keys: pane.keys };
      if (kind !== "html") content.drawn = await drawnAs(pane, kind);
      const answer = await ask("export", content);
      const name = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? `figure.${kind}`;
      const address = URL.createObjectURL(await answer.blob());
      element("a", { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    }
  }

  // Drawn anew on white paper with its title, in a size that fits a page.
  async function drawnAs(pane, kind) {
    const layout = { ...pane.drawn.layout, template: look.light };
    layout.shapes = pane.figure.layout.shapes; // The mark is where it was moved to.
    const data = pane.drawn.data.map((trace, number) =>
      trace.name === "at epoch" ? { ...trace, ...{ x: pane.figure.data[number].x, y: pane.figure.data[number].y } } : trace);
    const size = { width: 960, height: 540, scale: kind === "png" ? 2 : 1 };
    const image = await Plotly.toImage({ data, layout }, { format: kind, ...size });
    if (kind === "png") return image.split(",")[1];
    const text = decodeURIComponent(image.slice(image.indexOf(",") + 1));
    return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
  }

  // ---- keys and clicks

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.export");
    if (button) exportAs(button.closest("section"), button.dataset.kind).catch((error) => say(`Not exported: ${error.message}.`));
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not(#slider), textarea, select, button, [role=listbox], [role=combobox], .dash-dropdown");
    if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
    const far = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: state.place - far, ArrowRight: state.place + far, Home: 0, End: Infinity }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveTo(to);
  });

  // Whether a view shows what the controls say; for whoever drives the page from outside.
  function isCurrent(view) {
    return [...panes.values()].every((pane) => pane.view !== view || pane.key === keyOf(pane, wantedOf(pane)));
  }

  window.workbench = { state, panes, isCurrent };
  window.dash_clientside = Object.assign({}, window.dash_clientside, { workbench: { changed } });

  fetch("look").then((answer) => answer.json()).then((found) => {
    Object.assign(defaults, found.defaults);
    look = found;
    draw();
  });
})();
