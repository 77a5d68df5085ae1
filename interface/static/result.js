// Draws one measurement: the sentence, the numbers below it and the distribution.
//
// Runs once, as the body of the result component's `js_on_load`. `props.value` is the JSON text of interface/views/result_card.py;
// while the offset slider moves, answers come from what `server.ahead` told before, or straight from `server.live`.
const plot = part('plot');
let shown = JSON.parse(props.value);
let sync = null; // what the other model says: whether picture and sound share anything
let test = null; // whether the answer follows the sound, once that was tested: then, and only then, it is the answer

let written = null; // what the card says now: an error or "busy" is not `shown`
function write(view) {
  const card = part('card');
  written = view;
  const words = view.error ? { state: 'error', sentence: view.error, detail: '' } : tested(view);
  card.dataset.state = words.state;
  part('sentence').textContent = glued(words.sentence);
  part('sentence').setAttribute('role', view.error ? 'alert' : 'status');
  part('detail').textContent = glued(words.detail);
  part('note').textContent = view.error ? '' : glued(view.note ?? '');
  part('seen').textContent = view.error ? '' : view.seen ?? '';
  part('timing').textContent = view.error ? '' : view.timing;
  plot.setAttribute('aria-label', words.sentence);
  plot.dataset.applied = view.applied ?? '';
  if (!view.error) writeSync(view);
}

const lowered = (text) => text[0].toLowerCase() + text.slice(1);
const isOf = (one, other) => one && one.key === other.key && one.start === other.start && one.model === other.model;

// What the card says of a single answer: it is provisional until the clip's answer was tested, and where the test states
// nothing it stays a doubt at every place of the slider.
function tested(view) {
  if (!view.key || view.lacking || !['telling', 'unsure'].includes(view.state)) return view;
  const single = `One answer, not tested: ${lowered(view.sentence)}.`;
  if (!isOf(test, view)) {
    return { state: 'testing', sentence: 'Testing whether the answer follows the sound …', detail: single };
  }
  if (test.error) return { state: 'testing', sentence: 'The answer could not be tested', detail: `${test.error}. ${single}` };
  if (test.stated === null) return { state: 'testing', sentence: test.sentence, detail: `${single} ${test.detail}` };
  if (!test.stated) return { state: 'unsure', sentence: test.sentence, detail: test.detail };
  return Math.abs(view.applied) < 0.001 ? { state: 'telling', ...pick(test) } : view;
}
const pick = ({ sentence, detail }) => ({ sentence, detail });

function writeSync(view) {
  const line = part('sync');
  const known = sync && sync.key === view.key && sync.start === view.start ? sync : null;
  line.textContent = glued(known?.error ?? known?.sentence ?? '');
  line.dataset.able = known?.able ?? '';
}

async function draw(view) {
  if (view.figure) shown = view;
  write(view);
  const Plotly = await loadPlotly();
  const figure = themed(shown.figure, getComputedStyle(element));
  await Plotly.react(plot, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  plot.dataset.drawn = String(Number(plot.dataset.drawn ?? 0) + 1);
}

// An answer about a start that was left meanwhile.
function elsewhere(view) {
  const slider = document.querySelector('#start input[type=range]');
  return slider && view.start !== undefined && Math.abs(Number(slider.value) - view.start) > 0.02;
}

// The card for another offset: the figure on show with other heights, another best bar, and the line elsewhere.
function put({ moved, ...words }) {
  const { data: [bars], layout } = shown.figure;
  const line = { x0: moved.line, x1: moved.line };
  return {
    ...shown,
    ...words,
    figure: {
      data: [{ ...bars, y: moved.y, selectedpoints: [moved.best] }],
      layout: {
        ...layout,
        shapes: [{ ...layout.shapes[0], ...line }],
        annotations: [...layout.annotations.slice(0, -1), moved.label],
      },
    },
  };
}

// Answers for every place of the slider, fetched while the page rests: a drag then asks nothing of the server. The
// nearest come first; who leaves the clip, the start or the model, ends it.
const known = new Map();
let knownOf = null;
const place = ({ key, model, start }) => JSON.stringify([key, model, start]);
const hundredths = (offset) => Math.round(offset * 100);

async function lookAhead() {
  const { key, model, start, applied } = shown;
  const of = place(shown);
  if (!key || knownOf === of) return;
  knownOf = of;
  known.clear();
  const slider = document.querySelector('#offset input[type=range]');
  const [low, high, step] = [slider.min, slider.max, slider.step].map((text) => hundredths(Number(text)));
  let offsets = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, index) => (low + index * step) / 100);
  offsets.sort((one, other) => Math.abs(one - applied) - Math.abs(other - applied));
  try {
    while (offsets.length && knownOf === of) {
      const { rows, left } = await server.ahead({ key, model, start, offsets });
      if (!rows || knownOf !== of) break;
      for (const row of rows) known.set(hundredths(row.applied), row);
      offsets = left;
      part('card').dataset.known = String(known.size);
    }
    const answer = await server.tested({ key, model, start });
    if (knownOf !== of) return;
    test = answer.error ? { key, model, start, error: answer.error } : answer;
    part('card').dataset.tested = String(test.stated ?? '');
    if (written?.key && !written.error) write(written);
  } catch {
    // Then every place is asked for when the slider gets there.
  }
}

// What is known is drawn at once. For the rest one request is under way; when it returns, only the newest position is
// asked for, and an answer that is older than what is drawn is dropped.
let running = false;
let wanted = null;
let newest = 0; // moves of the slider so far
let answered = 0; // the move whose answer is drawn
async function follow() {
  const here = wanted !== null && knownOf === place(shown) && !elsewhere(shown);
  const row = here ? known.get(hundredths(wanted)) : undefined;
  if (row) {
    wanted = null;
    answered = newest;
    draw(put(row));
  }
  if (running || wanted === null) return;
  running = true;
  const offset = wanted;
  const move = newest;
  wanted = null;
  const of = place(shown);
  try {
    const view = await server.live({ key: shown.key, model: shown.model, start: shown.start, offset });
    const old = move < answered || of !== place(shown) || elsewhere(shown);
    if (!old && (wanted === null || view.moved)) await draw(view.moved ? put(view) : view);
    if (!old) answered = move;
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
const rests = {};
function settle(event) {
  clearTimeout(rests[event]);
  rests[event] = setTimeout(() => trigger(event), 150);
}

function onSlider(event) {
  if (event.target.tagName !== 'INPUT') return;
  if (event.type === 'change' && event.target.closest('#start') && shown.key) settle('restart');
  if (!event.target.closest('#offset')) return;
  const offset = Number(event.target.value);
  if (!Number.isFinite(offset)) return;
  const words = document.querySelector('#offset-words');
  if (words) words.textContent = inWords(offset);
  if (!shown.key) return;
  document.dispatchEvent(new CustomEvent('synchformer:offset', { detail: offset }));
  if (event.type === 'input') {
    wanted = offset;
    newest += 1;
    follow();
  } else {
    settle('settle');
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
onThemeChange(() => draw(shown));
watch('value', () => {
  const view = JSON.parse(props.value);
  if (view.sync) {
    sync = view.sync;
    if (shown.key === sync.key && written === shown) write(shown); // never over an error
    return;
  }
  if (view.key && late(view)) return;
  const words = document.querySelector('#offset-words');
  if (words && view.applied !== undefined) words.textContent = inWords(view.applied);
  answered = newest;
  draw(view).then(lookAhead);
});
draw(shown);
