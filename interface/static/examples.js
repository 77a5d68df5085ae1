// One click on a button of the strip becomes the event `pick` with the clip's place in the list.
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('pick', { index: Number(button.dataset.index) });
});
