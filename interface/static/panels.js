// Figures side by side, each with a title. `props.value` is the JSON text of a list of {title, figure}.
let shown = [];

async function draw() {
  const box = part('panels');
  while (box.children.length > shown.length) box.lastChild.remove();
  if (!shown.length) return;
  const Plotly = await loadPlotly();
  const before = box.children.length;
  shown.forEach((each, index) => {
    let panel = box.children[index];
    if (!panel) {
      panel = document.createElement('figure');
      panel.append(document.createElement('figcaption'), document.createElement('div'));
      box.append(panel);
    }
    panel.firstChild.textContent = glued(each.title);
    panel.lastChild.setAttribute('role', 'img');
    panel.lastChild.setAttribute('aria-label', each.title || 'predicted against applied offset');
    const figure = themed(each.figure, getComputedStyle(element));
    if (matchMedia('(pointer: coarse)').matches) figure.layout.dragmode = false; // a finger scrolls the page
    panel.lastChild.style.height = `${figure.layout.height}px`; // which may have grown by a row
    Plotly.react(panel.lastChild, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  });
  if (before && before !== shown.length) {
    [...box.children].forEach((panel) => Plotly.Plots.resize(panel.lastChild)); // they share the width anew
  }
  box.dataset.count = String(shown.length);
}

watch('value', () => {
  shown = JSON.parse(props.value || '[]');
  draw();
});
onThemeChange(draw);
