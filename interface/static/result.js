// Draws one measurement: the sentence, the numbers below it and the distribution.
//
// Runs once, as the body of the result component's `js_on_load`. `props.value` is the JSON text of interface/page.py's
// view; while the offset slider moves, views come straight from `server.live`, one request at a time, always the newest.
const root = window.gradio_config?.root ?? '';
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const plot = part('plot');
let shown = JSON.parse(props.value);

function loadPlotly() {
  window.plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${root}/gradio_api/file=${props.plotly}`;
    script.onload = () => resolve(window.Plotly);
    script.onerror = reject;
    document.head.append(script);
  });
  return window.plotlyLoading;
}

// "var(--name)" anywhere in a figure becomes the colour of the present theme.
function themed(value, styles) {
  if (Array.isArray(value)) return value.map((item) => themed(item, styles));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, styles)]));
  }
  if (typeof value !== 'string') return value;
  return value.replace(/var\((--[\w-]+)\)/g, (_, name) => styles.getPropertyValue(name).trim());
}

// A number and its unit stay on one line.
const glued = (text) => text.replace(/(\d) (s|%)/g, '$1\u00a0$2');

function write(view) {
  const card = part('card');
  card.dataset.state = view.error ? 'error' : view.state;
  part('sentence').textContent = glued(view.error ?? view.sentence);
  part('sentence').setAttribute('role', view.error ? 'alert' : 'status');
  part('detail').textContent = view.error ? '' : glued(view.detail);
  part('timing').textContent = view.error ? '' : view.timing;
  plot.setAttribute('aria-label', view.error ?? view.sentence);
  plot.dataset.applied = view.applied ?? '';
}

async function draw(view) {
  if (view.figure) shown = view;
  write(view);
  const Plotly = await loadPlotly();
  const figure = themed(shown.figure, getComputedStyle(element));
  await Plotly.react(plot, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  plot.dataset.drawn = String(Number(plot.dataset.drawn ?? 0) + 1);
}

// One request under way; when it returns, only the newest position is asked for.
let running = false;
let wanted = null;
async function follow() {
  if (running || wanted === null) return;
  running = true;
  const offset = wanted;
  wanted = null;
  try {
    const view = await server.live({ key: shown.key, start: shown.start, offset });
    if (wanted === null || view.figure) await draw(view);
  } catch {
    write({ error: 'The server did not answer; is it still running?' });
  } finally {
    running = false;
    follow();
  }
}

function inWords(offset) {
  const size = Math.round(Math.abs(offset) * 100) / 100;
  if (size === 0) return 'The sound stays where the file has it.';
  return offset > 0 ? `${size} s earlier: heard before the picture shows it.` : `${size} s later: heard after the picture showed it.`;
}

// The shifted clip is written, and everything measured in full, once the sliders rest.
let rest = null;
function settle() {
  clearTimeout(rest);
  rest = setTimeout(() => trigger('settle'), 150);
}

function onSlider(event) {
  if (event.target.tagName !== 'INPUT') return;
  if (event.type === 'change' && event.target.closest('#start') && shown.key) settle();
  if (!event.target.closest('#offset')) return;
  const offset = Number(event.target.value);
  if (!Number.isFinite(offset)) return;
  const words = document.querySelector('#offset-words');
  if (words) words.textContent = inWords(offset);
  if (!shown.key) return;
  if (event.type === 'input') {
    wanted = offset;
    follow();
  } else {
    settle();
  }
}

// An answer that comes after the slider has moved on must not be drawn over a newer one.
function late(view) {
  const slider = document.querySelector('#offset input[type=range]');
  return slider && view.key === shown.key && Math.abs(Number(slider.value) - view.applied) > 0.001;
}

document.addEventListener('synchformer:busy', () => {
  write({ state: 'busy', sentence: 'Watching and listening …', detail: '', timing: '' });
});
document.addEventListener('input', onSlider);
document.addEventListener('change', onSlider);
new ResizeObserver(() => plot.dataset.drawn && window.Plotly.Plots.resize(plot)).observe(plot);
new MutationObserver(() => draw(shown)).observe(document.body, { attributeFilter: ['class'] });
watch('value', () => {
  const view = JSON.parse(props.value);
  if (view.key && late(view)) return;
  const words = document.querySelector('#offset-words');
  if (words && view.applied !== undefined) words.textContent = inWords(view.applied);
  draw(view);
});
draw(shown);
