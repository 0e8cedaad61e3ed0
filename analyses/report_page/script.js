"use strict";
/* Puts the chosen epoch's numbers into figures that Python has drawn. Every colour, axis and
   label comes from analyses/figures; what is computed here is only what a slider decides. */

async function main() {
  const page = JSON.parse(element("content").textContent);
  const arrays = {};
  await Promise.all(Object.entries(page.arrays).map(async ([name, packed]) => { arrays[name] = await unpack(packed); }));

  const { epochs, figures } = page;
  const last = epochs.length - 1;
  const frequencies = count(arrays.sine.shape[1], (index) => index + 1);
  const pictured = Array.from(arrays.pictured.values);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /* What the reader has chosen. */
  const state = () => ({
    at: Number(element("epoch").value),
    dominantFrom: Math.fround(element("dominant-from").value / 100),
    specialisedFrom: Math.fround(element("specialised-from").value / 100),
    order: element("order").value,
    scale: element("scale").value,
  });

  const views = {
    losses({ at }) {
      const losses = Array.from(row(arrays.losses, at), finite);
      Object.assign(trace("losses", "at epoch"), { x: [epochs[at], epochs[at]], y: losses });
      moveEpochLine("losses", at);
    },

    frequencies({ at, dominantFrom }) {
      const sine = row(arrays.sine, at), cosine = row(arrays.cosine, at);
      const share = sine.map((part, index) => part + cosine[index]);
      const dominant = frequencies.filter((_, index) => share[index] >= dominantFrom);
      for (const [name, part] of [["sin", sine], ["cos", cosine]]) {
        const bars = trace("frequencies", name);
        bars.y = part;
        bars.marker.opacity = Array.from(share, (each) => (each >= dominantFrom ? 1 : bars.meta.faint));
      }
      Object.assign(trace("frequencies", "dominant"), {
        x: dominant, y: dominant.map((k) => share[k - 1]), text: dominant.map(String),
      });
      moveThreshold("frequencies", dominantFrom);
      const held = dominant.reduce((sum, k) => sum + share[k - 1], 0);
      element("frequencies-summary").textContent = dominant.length === 0
        ? `At epoch ${grouped(epochs[at])} no frequency is dominant.`
        : `At epoch ${grouped(epochs[at])}, ${plural(dominant.length, "frequency is", "frequencies are")} dominant: `
          + `${listed(dominant)}, with ${percent(held)} of the power.`;
    },

    spectrum({ at }) { moveEpochLine("spectrum", at); },

    activations({ at, scale }) {
      const { picture, note } = nearestPicture(at);
      let low = 0, high = 0;
      page.neurons.forEach((neuron, sample) => {
        const values = activation(picture, sample);
        trace("activations", `neuron ${neuron}`).z = values;
        for (const line of values) for (const value of line) { low = Math.min(low, value); high = Math.max(high, value); }
      });
      const { coloraxis } = figures.activations.layout;
      [coloraxis.cmin, coloraxis.cmax] = scale === "epoch" ? [low, high] : wholeScale;
      element("activations-summary").textContent = note;
    },

    clusters({ at, specialisedFrom, order }) {
      const { picture, note } = nearestPicture(at);
      const sorted = row(arrays.order, order === "epoch" ? at : last);
      const purest = Array.from(sorted, (neuron) => row(arrays.purest, at)[neuron]);
      const shares = trace("clusters", "share"), dots = trace("clusters", "dominant share");
      shares.z = frequencies.map((_, index) => {
        const codes = row(arrays.norm, picture, index);
        return Float32Array.from(sorted, (neuron) => codes[neuron] / 255);
      });
      shares.customdata = frequencies.map(() => sorted);
      Object.assign(dots, { y: purest, customdata: sorted });
      dots.marker.color = purest.map((share) => Number(share >= specialisedFrom));
      moveThreshold("clusters", specialisedFrom);

      const sizes = specialised(at, specialisedFrom);
      const neurons = sizes.reduce((sum, size) => sum + size, 0);
      const populated = sizes.filter((size) => size > 0).length;
      element("clusters-summary").textContent = `At epoch ${grouped(epochs[at])}, ${neurons} of `
        + `${plural(sorted.length, "neuron is", "neurons are")} specialised`
        + `${neurons ? `, in ${plural(populated, "frequency", "frequencies")}` : ""}. ${note}`;
    },

    specialised({ at, specialisedFrom }) {
      const sizes = epochs.map((_, each) => specialised(each, specialisedFrom));
      for (const area of figures.specialised.data) {
        area.y = sizes.map((size) => area.meta.frequencies.reduce((sum, k) => sum + size[k - 1], 0));
      }
      moveEpochLine("specialised", at);
    },
  };
  if (!figures.losses) delete views.losses;

  const wholeScale = [figures.activations.layout.coloraxis.cmin, figures.activations.layout.coloraxis.cmax];

  function trace(figure, name) { return figures[figure].data.find((each) => each.name === name); }
  function shape(figure, name) { return figures[figure].layout.shapes.find((each) => each.name === name); }
  function moveEpochLine(figure, at) { Object.assign(shape(figure, "epoch"), { x0: epochs[at], x1: epochs[at] }); }
  function moveThreshold(figure, share) { Object.assign(shape(figure, "threshold"), { y0: share, y1: share }); }

  /* Neurons whose dominant frequency holds at least `from` of their power, by frequency. */
  function specialised(at, from) {
    const sizes = new Array(frequencies.length).fill(0);
    const dominant = row(arrays.dominant, at);
    row(arrays.purest, at).forEach((share, neuron) => { if (share >= from) sizes[dominant[neuron] - 1] += 1; });
    return sizes;
  }

  /* Pictures may be stored for some checkpoints only. */
  function nearestPicture(at) {
    const distance = (index) => Math.abs(epochs[pictured[index]] - epochs[at]);
    const picture = pictured.reduce((best, _, index) => (distance(index) < distance(best) ? index : best), 0);
    const note = pictured[picture] === at ? "" : `The picture is that of epoch ${grouped(epochs[pictured[picture]])}.`;
    return { picture, note };
  }

  function activation(picture, sample) {
    const [low] = row(arrays.activations_low, picture, sample), [step] = row(arrays.activations_step, picture, sample);
    const p = arrays.activations.shape[3];
    return count(p, (a) => Float32Array.from(row(arrays.activations, picture, sample, a), (code) => low + step * code));
  }

  /* Drawing: views are marked, and drawn before the next frame if in sight, else when they come into it. */
  const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const timelines = ["losses", "spectrum", "specialised"];
  const marked = new Set(), inSight = new Set();
  let frame = null, revision = 0;
  function mark(...names) {
    names.forEach((name) => { if (views[name]) marked.add(name); });
    frame ??= requestAnimationFrame(() => {
      frame = null;
      draw([...marked].filter((name) => inSight.has(name)));
    });
  }
  function draw(names) {
    const now = state();
    revision += 1;
    for (const name of names) {
      views[name](now);
      const { data, layout } = figures[name];
      Object.assign(layout, {
        template: page.templates[dark.matches ? "dark" : "light"], datarevision: revision, uirevision: "kept", autosize: true,
      });
      const first = !element(name).on;
      Plotly.react(name, data, layout, settings);
      if (first && timelines.includes(name)) element(name).on("plotly_click", ({ points }) => goTo(points[0].x));
      marked.delete(name);
    }
  }
  const sight = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) inSight.add(target.id); else inSight.delete(target.id);
    }
    mark();
  }, { rootMargin: "300px" });
  Object.keys(views).forEach((name) => sight.observe(element(name)));
  addEventListener("beforeprint", () => draw([...marked]));

  function readout() {
    const { at } = state();
    const [train, test] = arrays.losses ? row(arrays.losses, at) : [NaN, NaN];
    const facts = arrays.losses ? [`train loss ${short(train)}`, `test loss ${short(test)}`] : [];
    if (arrays.accuracy) facts.push(`accuracy ${percent(row(arrays.accuracy, at)[0])}`);
    const number = document.createElement("b");
    number.textContent = grouped(epochs[at]);
    element("readout").replaceChildren(number, ` ${facts.join(" · ")}`);
    element("epoch").setAttribute("aria-valuetext", `epoch ${epochs[at]}`);
    for (const output of document.querySelectorAll(".controls output")) {
      output.value = `${element(output.htmlFor[0]).value} %`;
    }
  }

  function goTo(epoch) {
    const nearest = epochs.reduce((best, each, at) => (
      Math.abs(each - epoch) < Math.abs(epochs[best] - epoch) ? at : best), 0);
    element("epoch").value = nearest;
    remember();
    showEpoch();
  }
  function showEpoch() { readout(); mark(...Object.keys(views)); }
  function remember() { history.replaceState(null, "", `#epoch=${epochs[state().at]}`); }
  function followHash() {
    const wanted = /^#epoch=(\d+)$/.exec(location.hash);
    if (wanted) goTo(Number(wanted[1])); else showEpoch();
  }

  let playing = null;
  function pause() {
    clearInterval(playing);
    playing = null;
    element("play").textContent = "Play";
    element("play").setAttribute("aria-pressed", "false");
    remember();
  }
  function play() {
    if (state().at === last) element("epoch").value = 0;
    playing = setInterval(() => {
      element("epoch").stepUp();
      showEpoch();
      if (state().at === last) pause();
    }, 400);
    element("play").textContent = "Pause";
    element("play").setAttribute("aria-pressed", "true");
    showEpoch();
  }

  element("epoch").addEventListener("input", showEpoch);
  element("epoch").addEventListener("change", remember);
  element("play").addEventListener("click", () => (playing === null ? play() : pause()));
  element("dominant-from").addEventListener("input", () => { readout(); mark("frequencies"); });
  element("specialised-from").addEventListener("input", () => { readout(); mark("clusters", "specialised"); });
  element("order").addEventListener("change", () => mark("clusters"));
  element("scale").addEventListener("change", () => mark("activations"));
  element("cursor").addEventListener("submit", (event) => event.preventDefault());
  dark.addEventListener("change", () => mark(...Object.keys(views)));
  addEventListener("hashchange", followHash);

  followHash();
}

function element(id) { return document.getElementById(id); }
function count(length, make) { return Array.from({ length }, (_, index) => make(index)); }
function finite(value) { return Number.isFinite(value) ? value : null; }

/* An array from its deflated bytes; `row` then looks into it without copying. */
async function unpack({ dtype, shape, deflated }) {
  const kinds = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };
  const bytes = Uint8Array.from(atob(deflated), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return { shape, values: new kinds[dtype](await new Response(stream).arrayBuffer()) };
}
function row({ shape, values }, ...at) {
  const length = shape.slice(at.length).reduce((product, size) => product * size, 1);
  const start = at.reduce((place, index, axis) => place * shape[axis] + index, 0) * length;
  return values.subarray(start, start + length);
}

/* Numbers in words. */
function grouped(number) { return number.toLocaleString("en"); }
function percent(share) { return `${(100 * share).toFixed(1)} %`; }
function plural(number, one, many) { return `${number} ${number === 1 ? one : many}`; }
function listed(numbers) {
  return numbers.length < 2 ? numbers.join("") : `${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)}`;
}
function short(loss) {
  if (!Number.isFinite(loss)) return "unknown";
  return loss !== 0 && Math.abs(loss) < 0.001 ? loss.toExponential(1) : loss.toPrecision(3);
}

main().catch((error) => {
  element("failure").hidden = false;
  element("failure").textContent = `The figures could not be drawn: ${error.message}. A browser from 2023 or later is needed.`;
  throw error;
});
