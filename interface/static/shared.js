// What the scripts of several components use. Gradio runs each script as the body of a function with `element`,
// `props`, `server`, `trigger` and `watch`; this text stands before theirs.
const root = window.gradio_config?.root ?? '';
const part = (name) => element.querySelector(`[data-part="${name}"]`);

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

// "var(--name)" anywhere in a figure becomes the color of the present theme.
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

const signed = (offset) => `${offset > 0 ? '+' : '−'}${Math.abs(offset).toFixed(2)} s`;

function onThemeChange(draw) {
  new MutationObserver(draw).observe(document.body, { attributeFilter: ['class'] });
}
