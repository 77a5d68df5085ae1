// The timeline: frames, the picture's curve, the spectrogram, the sound's curve, on the clock of the player.
//
// `props.value` is the JSON text of interface/views/timeline.py; what it lacks stays as it is. Pictures are sent once for a
// start: the strip of frames is put together here, as wide as there is room for, and the spectrogram is moved under the
// finger. The axes `y3` and `y4` are those of attribution/figures/plotly_figure.py.
const plot = part('plot');
const stage = part('stage');
let state = {};
let heat = true;

const video = () => document.querySelector('#player video');
const axis = () => plot._fullLayout?.xaxis;
const clock = (player) => (state.pictures?.origin ?? 0) + player.currentTime;

async function draw() {
  if (!state.figure) return;
  const Plotly = await loadPlotly();
  const figure = themed(state.figure, getComputedStyle(element));
  const revision = `${state.key} ${state.pictures.begin}`;
  if (axis() && plot.dataset.revision === revision) figure.layout.xaxis.range = [...axis().range]; // the zoom stays
  plot.dataset.revision = figure.layout.uirevision = revision;
  figure.layout.images = await images();
  for (const trace of figure.data) fade(trace);
  for (const shape of figure.layout.shapes) if (shape.name === 'heard') move(shape);
  if (plot.clientWidth < 560) narrow(figure.layout);
  await Plotly.react(plot, figure.data, figure.layout, { displayModeBar: false, responsive: true, doubleClick: false });
  if (!plot.dataset.drawn) {
    plot.on('plotly_relayout', restrip);
    plot.on('plotly_doubleclick', () => zoom(Infinity, 0));
  }
  plot.dataset.drawn = String(Number(plot.dataset.drawn ?? 0) + 1);
  plot.dataset.curves = String(figure.data.filter((trace) => trace.mode === 'lines').length / 2);
}

// On a phone: small words, so that none runs over another.
function narrow(layout) {
  for (const note of layout.annotations) note.font = { ...note.font, size: 9 };
  layout.annotations = layout.annotations.filter((note) => note.xanchor !== 'left');
  layout.xaxis.title.text = 'seconds of the file';
  for (const name of ['yaxis', 'yaxis2', 'yaxis3', 'yaxis4']) layout[name].title.font = { ...layout[name].title.font, size: 10 };
  layout.margin = { ...layout.margin, l: 40 };
}

const stale = () => Boolean(state.of) && Math.abs(state.of.offset - state.offset) > 0.001;

function fade(trace) {
  if (trace.name === 'heat') trace.visible = heat && !stale();
  else if (stale()) trace.opacity = 0.35;
}

// What is heard is drawn where the sound stands now, which may be on its way.
function move(shape) {
  const by = (state.drawnFor ?? state.offset) - state.offset;
  shape.x0 += by;
  shape.x1 += by;
}

async function images() {
  const { frames, sound, begin, seconds } = state.pictures;
  const look = { xref: 'x', y: 1, sizey: 1, sizing: 'stretch', layer: 'below' };
  const [from, to] = axis() && plot.dataset.key === state.key ? axis().range : [begin, begin + seconds];
  plot.dataset.key = state.key;
  return [
    { ...look, yref: 'y3', source: await strip(frames, from, to), x: from, sizex: to - from },
    { ...look, yref: 'y4', source: sound.src, x: sound.begin - state.offset, sizex: sound.seconds },
  ];
}

// As many square frames side by side as fit between two moments; each shows the middle of its stretch.
async function strip(frames, from, to) {
  const { begin, seconds } = state.pictures;
  const picture = await loaded(frames.src);
  const width = Math.max(200, plot.clientWidth - 60);
  const fit = Math.max(3, Math.round(width / (plot.clientHeight * 0.13)));
  const canvas = document.createElement('canvas');
  canvas.width = fit * frames.size;
  canvas.height = frames.size;
  const pen = canvas.getContext('2d');
  for (let index = 0; index < fit; index += 1) {
    const time = from + ((index + 0.5) * (to - from)) / fit;
    const number = Math.min(frames.count - 1, Math.max(0, Math.floor(((time - begin) / seconds) * frames.count)));
    pen.drawImage(picture, number * frames.size, 0, frames.size, frames.size, index * frames.size, 0, frames.size, frames.size);
  }
  return canvas.toDataURL('image/webp', 0.8);
}

const pictures = new Map();
function loaded(source) {
  if (!pictures.has(source)) {
    pictures.clear();
    const picture = new Image();
    picture.src = source;
    pictures.set(source, picture.decode().then(() => picture));
  }
  return pictures.get(source);
}

// After a zoom the strip shows the frames of what is in sight.
async function restrip(change) {
  if (change && 'images' in change) return;
  if (change && !Object.keys(change).some((name) => name.startsWith('xaxis'))) return;
  await window.Plotly.relayout(plot, { images: await images() });
}

// The sound under the finger: only a picture and a few lines move, nothing is asked of the server.
function slide(offset) {
  if (!state.pictures || !plot._fullLayout) return;
  const by = state.offset - offset;
  const before = stale();
  state.offset = offset;
  if (stale() !== before) draw(); // the curves fade, or are right again
  const changes = { 'images[1].x': state.pictures.sound.begin - offset };
  plot.layout.shapes.forEach((shape, index) => {
    if (shape.name !== 'heard') return;
    changes[`shapes[${index}].x0`] = shape.x0 + by;
    changes[`shapes[${index}].x1`] = shape.x1 + by;
  });
  window.Plotly.relayout(plot, changes);
  tellMoved();
}

function tellMoved() {
  const words = Math.abs(state.offset) < 0.001 ? '' : `sound moved by ${signed(state.offset)}`;
  const late = stale() ? ` · the curves belong to ${signed(state.of.offset)}` : '';
  part('moved').textContent = words + late;
}

function tellMoments() {
  const list = part('moments');
  list.replaceChildren();
  for (const stream of ['video', 'audio']) {
    const moments = (state.moments ?? []).filter((moment) => moment.stream === stream);
    const uncertain = state.uncertain?.[stream];
    if (!moments.length && !uncertain) continue;
    const line = document.createElement('p');
    line.append(stream === 'video' ? 'Seen: ' : 'Heard: ', glued(uncertain ?? ''));
    for (const moment of moments) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = stream;
      button.textContent = glued(`${moment.time.toFixed(2)} s`);
      button.title = `effect on being correct ${moment.effect}; click to go there`;
      button.setAttribute('aria-label', `${stream} at ${moment.time.toFixed(2)} seconds, effect ${moment.effect}`);
      button.addEventListener('click', () => seek(moment.time));
      line.append(button, Object.assign(document.createElement('small'), { textContent: moment.effect }));
    }
    list.append(line);
  }
}

function seek(time) {
  const player = video();
  if (!player || !state.pictures) return;
  player.currentTime = Math.max(0, time - state.pictures.origin);
}

// The cursor follows the player.
function follow() {
  const player = video();
  const cursor = part('cursor');
  const x = axis();
  if (player && x && state.pictures) {
    const at = x.l2p(clock(player));
    cursor.hidden = at < 0 || at > x._length;
    cursor.style.transform = `translateX(${x._offset + at}px)`;
    const now = clock(player).toFixed(2);
    if (stage.getAttribute('aria-valuenow') !== now) {
      stage.setAttribute('aria-valuenow', now);
      stage.setAttribute('aria-valuetext', `${now} seconds`);
    }
  }
  if (element.isConnected) requestAnimationFrame(follow);
}

const timeAt = (event) => {
  const x = axis();
  const along = event.clientX - plot.getBoundingClientRect().left - x._offset;
  return along < 0 || along > x._length ? null : x.p2l(along);
};

let pressed = null;
stage.addEventListener('pointerdown', (event) => { pressed = [event.clientX, event.clientY]; }, true);
window.addEventListener('pointerup', (event) => {
  if (!pressed || !axis()) return;
  const near = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) < 4;
  pressed = null;
  const time = near ? timeAt(event) : null;
  if (time !== null) seek(time);
}, true);

// The frame under the pointer.
stage.addEventListener('pointermove', (event) => {
  const time = axis() && state.pictures ? timeAt(event) : null;
  const peek = part('peek');
  peek.hidden = time === null;
  if (time === null) return;
  const { frames, begin, seconds } = state.pictures;
  const number = Math.min(frames.count - 1, Math.max(0, Math.floor(((time - begin) / seconds) * frames.count)));
  const frame = part('frame');
  frame.style.backgroundImage = `url(${frames.src})`;
  frame.style.backgroundSize = `${frames.count * 120}px 120px`;
  frame.style.backgroundPosition = `${-number * 120}px 0`;
  peek.dataset.frame = String(number);
  part('time').textContent = `${time.toFixed(2)} s`;
  const box = stage.getBoundingClientRect();
  const left = Math.min(Math.max(event.clientX - box.left - 64, 0), box.width - 128);
  peek.style.transform = `translate(${left}px, ${-150}px)`;
});
stage.addEventListener('pointerleave', () => { part('peek').hidden = true; });

stage.addEventListener('keydown', (event) => {
  const player = video();
  if (!player || !state.pictures) return;
  const { begin, seconds } = state.pictures;
  const steps = { ArrowLeft: -0.04, ArrowRight: 0.04, PageUp: -1, PageDown: 1 };
  if (event.key in steps) seek(clock(player) + steps[event.key]);
  else if (event.key === 'Home') seek(begin);
  else if (event.key === 'End') seek(begin + seconds);
  else if (event.key === ' ') player.paused ? player.play() : player.pause();
  else if ('+-0'.includes(event.key)) zoom({ '+': 0.5, '-': 2, 0: Infinity }[event.key], clock(player));
  else return;
  event.preventDefault();
});

function zoom(factor, around) {
  const { begin, seconds } = state.pictures;
  const [from, to] = axis().range;
  const half = Math.min(seconds, (to - from) * factor) / 2;
  const middle = Math.min(begin + seconds - half, Math.max(begin + half, around));
  window.Plotly.relayout(plot, { 'xaxis.range': [middle - half, middle + half] });
}

part('heat').addEventListener('change', (event) => {
  heat = event.target.checked;
  draw();
});

// A moved copy is another file: go on where the last one was.
let last = { key: null, time: 0, playing: false };
document.addEventListener('timeupdate', (event) => {
  if (event.target === video() && event.target.readyState > 1) last = { key: state.key, time: clock(event.target), playing: !event.target.paused };
}, true);
document.addEventListener('loadedmetadata', (event) => {
  if (event.target !== video() || !state.pictures) return;
  if (last.key !== state.key) { seek(state.pictures.begin); return; }
  seek(last.time);
  if (last.playing) event.target.play().catch(() => {});
}, true);

// Once for a picture on the screen, however often the slider tells where it is; the answer is drawn first.
let sliding = null;
document.addEventListener('synchformer:offset', (event) => {
  if (sliding === null) requestAnimationFrame(() => {
    const offset = sliding;
    sliding = null;
    slide(offset);
  });
  sliding = event.detail;
});
new ResizeObserver(() => plot.dataset.drawn && draw()).observe(stage);
onThemeChange(draw);

function take() {
  const news = JSON.parse(props.value || '{}');
  if (news.figure) news.drawnFor = news.of?.offset ?? news.offset;
  const slider = Number(document.querySelector('#offset input[type=range]')?.value);
  state = { ...state, ...news };
  if (news.of && Number.isFinite(slider)) state.offset = slider;
  part('card').dataset.state = state.figure ? (state.of ? 'explained' : 'open') : 'empty';
  part('headline').textContent = glued(state.headline ?? '');
  if (state.pictures) {
    stage.setAttribute('aria-valuemin', state.pictures.begin);
    stage.setAttribute('aria-valuemax', state.pictures.begin + state.pictures.seconds);
    tellMoved();
    tellMoments();
  }
  draw();
}
watch('value', take);
take();
requestAnimationFrame(follow);
