// Of results/report.html: tables can be sorted, searched and copied. Without scripts the page shows everything.
'use strict';

const FEWEST_TO_SORT = 2, FEWEST_TO_SEARCH = 6;  // rows

const made = (tag, words, about) => Object.assign(document.createElement(tag), {textContent: words, ...about});

// ---- sorting: numbers by their value, texts by their letters, a dash last ----
const number = text => {
  const found = /^[<>]?\s*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)/i.exec(text);
  return found ? Number(found[1]) : NaN;
};

function before(a, b, numeric) {
  return numeric ? number(a) - number(b) : a.localeCompare(b, 'en', {numeric: true});
}

function sort(table, column) {
  const head = table.tHead.rows[0].cells[column], body = table.tBodies[0];
  const down = head.getAttribute('aria-sort') === 'ascending';
  const shown = [...body.rows].map(row => [row.cells[column].textContent.trim(), row]);
  const known = shown.filter(([text]) => text !== '–'), unknown = shown.filter(([text]) => text === '–');
  const numeric = known.every(([text]) => !isNaN(number(text)));
  known.sort(([a], [b]) => (down ? -1 : 1) * before(a, b, numeric));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  body.append(...[...known, ...unknown].map(([, row]) => row));
}

function sortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = made('button', head.textContent, {type: 'button', title: 'Sort by this column'});
    button.addEventListener('click', () => sort(table, column));
    head.replaceChildren(button);
  });
}

// ---- searching: rows that have every word ----
function searchable(table, tools) {
  const field = made('input', '', {type: 'search', placeholder: 'Search rows'}), count = made('span', '');
  field.setAttribute('aria-label', 'Search the rows of this table');
  count.setAttribute('role', 'status');
  field.addEventListener('input', () => {
    const words = field.value.toLowerCase().split(/\s+/), rows = [...table.tBodies[0].rows];
    for (const row of rows) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
    const left = rows.filter(row => !row.hidden).length;
    count.textContent = left < rows.length ? `${left} of ${rows.length} rows` : '';
  });
  tools.append(field, count);
}

// ---- copying: what is seen, as CSV; a text that a spreadsheet would compute gets an apostrophe (files/escape.py) ----
function csv(table) {
  const rows = [...table.rows].filter(row => !row.hidden);
  return rows.map(row => [...row.cells].map(cell => csvCell(cell.textContent.trim())).join(',') + '\r\n').join('');
}

function csvCell(text) {
  if (text === '–') return '';
  const computed = /^'*[=+\-@\t\n]/.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  const safe = computed ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // refused, or not there
    const area = made('textarea', text);
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

function copyable(table, tools) {
  const button = made('button', 'Copy as CSV', {type: 'button'});
  button.addEventListener('click', async () => {
    await copy(csv(table));
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy as CSV'; }, 2000);
  });
  tools.append(button);
}

for (const frame of document.querySelectorAll('.scroll')) {
  const table = frame.querySelector('table'), rows = table.tBodies[0].rows.length;
  const tools = made('div', '', {className: 'tools'});
  if (rows >= FEWEST_TO_SEARCH) searchable(table, tools);
  if (rows >= FEWEST_TO_SORT) sortable(table);
  copyable(table, tools);
  frame.before(tools);
}

// ---- paper: what is folded on a screen is printed ----
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(one => { one.open = true; }));
