// The page of package dashboard: it draws what the stream "events" sends.

const keep = 120 // samples in a chart
const most = 100 // notes, and failed calls
const cards = new Map() // by kind and name: {data, node, parts}
let notes = [], failures = [], hidden = 0

const byId = id => document.getElementById(id)

// element makes an element with attributes and children. Texts become text nodes: nothing
// that a service sends is read as HTML.
function element(name, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'circle', 'rect', 'title'].includes(name)
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

const number = n => n >= 100 ? Math.round(n).toLocaleString('en') : n >= 10 ? n.toFixed(0) : n > 0 ? n.toFixed(1) : '0'
const duration = ms => ms >= 10000 ? (ms / 1000).toFixed(0) + ' s' : ms >= 1000 ? (ms / 1000).toFixed(1) + ' s' : ms >= 10 ? ms.toFixed(0) + ' ms' : ms.toFixed(1) + ' ms'
const clock = ms => new Date(ms).toLocaleTimeString('en-GB')
const rate = c => c.a + c.f + c.x

// makeCard makes the elements of a card, once.
function makeCard(data) {
  const parts = {
    circle: element('circle', { cx: 22, cy: 22, r: 3 }),
    health: element('b'), why: element('span'), fields: {},
    paths: ['x', 'f', 'r', 'a'].map(k => element('path', { class: k })),
    band: element('svg', { class: 'band', viewBox: `0 0 ${keep} 1`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }),
    title: element('title'),
  }
  const list = element('dl')
  for (const [key, text] of [['rate', 'calls/s'], ['retried', 'retries/s'], ['failed', 'failed/s'], ['rejected', 'rejected/s'],
    ['p50', 'p50'], ['p95', 'p95'], ['p99', 'p99'], ['flying', 'in flight'], ['queued', 'queued'], ['permits', 'permits'], ['streams', 'streams'], ['breaker', 'breaker']]) {
    const value = parts.fields[key] = element('dd')
    list.append(element('div', {}, element('dt', {}, text), value))
  }
  const node = element('article', { tabindex: '0' },
    element('div', { class: 'top' },
      element('svg', { width: 44, height: 44, viewBox: '0 0 44 44', 'aria-hidden': 'true' }, parts.circle),
      element('div', {},
        element('div', { class: 'name' }, data.name, ' ', element('span', { class: 'kind' }, data.kind)),
        element('div', { class: 'health' }, parts.health, ' · ', parts.why))),
    element('svg', { class: 'chart', viewBox: `0 0 ${keep} 56`, preserveAspectRatio: 'none', role: 'img' }, parts.title, ...parts.paths),
    parts.band, list)
  return { node, parts }
}

// drawCard writes data into the elements of its card.
function drawCard({ data, node, parts }) {
  node.className = 'r' + data.rank
  node.setAttribute('aria-label', `${data.name}: ${data.health}, ${data.why}`)
  parts.health.textContent = data.health
  parts.why.textContent = data.why
  parts.circle.setAttribute('r', Math.min(21, 3 + Math.sqrt(rate(data.now)) * .9).toFixed(1))
  const f = parts.fields, set = (key, text) => { if (f[key].textContent !== text) f[key].textContent = text }
  set('rate', number(rate(data.now)))
  set('retried', number(data.now.r))
  set('failed', number(data.now.f))
  set('rejected', number(data.now.x))
  for (const p of ['p50', 'p95', 'p99']) set(p, data.timed ? duration(data[p]) : '–')
  set('flying', data.kind === 'client' ? String(data.in_flight) : '–')
  set('queued', String(data.queued))
  set('permits', data.kind === 'client' ? String(data.permits) : '–')
  set('streams', data.kind === 'client' ? String(data.streams) : '–')
  set('breaker', data.breaker)
  drawChart(data, parts)
}

// drawChart stacks answered, retried, failed and rejected calls of two minutes.
function drawChart(data, parts) {
  const h = data.history, from = keep - h.length
  const top = Math.max(1, ...h.map(c => c.a + c.r + c.f + c.x))
  const base = new Array(h.length).fill(0)
  for (const path of parts.paths.toReversed()) { // answered lies at the bottom
    const key = path.getAttribute('class')
    let up = '', down = ''
    h.forEach((c, i) => {
      const x = from + i, y0 = 56 - base[i] / top * 54
      base[i] += c[key]
      const y1 = 56 - base[i] / top * 54
      up += `${i ? 'L' : 'M'}${x} ${y1.toFixed(1)}L${x + 1} ${y1.toFixed(1)}`
      down = `L${x + 1} ${y0.toFixed(1)}L${x} ${y0.toFixed(1)}` + down
    })
    path.setAttribute('d', h.length ? up + down + 'Z' : '')
  }
  parts.title.textContent = `${data.name}: the last ${h.length} seconds, at most ${number(top)} calls and retries a second`
  const runs = []
  h.forEach((c, i) => {
    const last = runs.at(-1)
    if (last && last.b === c.b) last.n++
    else runs.push({ b: c.b, at: from + i, n: 1 })
  })
  parts.band.replaceChildren(...runs.map(r => element('rect', { x: r.at, y: 0, width: r.n, height: 1, class: r.b })))
}

// take merges a state or a tick into what the page knows.
function take(view, whole) {
  const seen = new Set()
  for (const data of view.cards) {
    const key = data.kind + ' ' + data.name
    seen.add(key)
    let card = cards.get(key)
    if (!card) {
      card = makeCard(data)
      cards.set(key, card)
    }
    data.history ??= whole ? [] : [...(card.data?.history ?? []), data.now].slice(-keep)
    card.data = data
  }
  for (const key of cards.keys()) {
    if (!seen.has(key)) {
      cards.get(key).node.remove()
      cards.delete(key)
    }
  }
  const merge = (old, more) => {
    if (whole) old = []
    const last = old.length ? old.at(-1).seq : 0
    return [...old, ...(more ?? []).filter(n => n.seq > last)].slice(-most)
  }
  const noted = notes.length ? notes.at(-1).seq : 0, failed = failures.length ? failures.at(-1).seq : 0
  notes = merge(notes, view.notes)
  failures = merge(failures, view.failures)
  hidden = view.hidden
  draw(view.cards.map(c => c.kind + ' ' + c.name))
  if (whole || notes.at(-1)?.seq !== noted) drawNotes()
  if (whole || failures.at(-1)?.seq !== failed) drawFailures()
}

function draw(order) {
  const wanted = byId('filter').value.toLowerCase()
  const box = byId('cards')
  let shown = 0, calls = 0, trouble = 0, at = 0
  for (const key of order) {
    const card = cards.get(key)
    calls += rate(card.data.now)
    trouble += card.data.rank > 2
    const fits = key.toLowerCase().includes(wanted)
    if (!fits) {
      card.node.remove()
      continue
    }
    shown++
    if (box.children[at] !== card.node && !card.node.contains(document.activeElement)) box.insertBefore(card.node, box.children[at] ?? null)
    at++
    drawCard(card)
  }
  byId('empty').hidden = order.length > 0
  const more = hidden ? `, and ${hidden} that are not shown` : ''
  say(`${order.length} ${order.length === 1 ? 'card' : 'cards'}${more} · ${number(calls)} calls/s · ${trouble ? trouble + ' in trouble' : 'no trouble'}` + (shown < order.length ? ` · ${shown} match` : ''))
}

function say(text) {
  if (byId('summary').textContent !== text) byId('summary').textContent = text
}

function drawNotes() {
  byId('feed').replaceChildren(...notes.toReversed().map(n => element('li', {}, element('time', {}, clock(n.at)), element('b', {}, n.client), ' ', n.text)))
}

function drawFailures() {
  const box = byId('failures'), open = new Set([...box.querySelectorAll('details[open]')].map(d => d.dataset.seq))
  box.replaceChildren(...failures.toReversed().map(f => {
    const node = element('details', { 'data-seq': f.seq }, element('summary', {}, element('time', {}, clock(f.at)), element('b', {}, f.client), ` ${f.call} · ${f.class}`), element('pre', {}, f.explain))
    node.open = open.has(String(f.seq))
    return node
  }))
  if (!failures.length) box.append(element('p', { class: 'empty' }, 'None, or dashboard.Failures does not observe the clients.'))
}

function connect() {
  const stream = new EventSource('events')
  stream.addEventListener('state', e => take(JSON.parse(e.data), true))
  stream.addEventListener('tick', e => take(JSON.parse(e.data), false))
  stream.onerror = () => {
    say('the program does not answer; trying again')
    if (stream.readyState === EventSource.CLOSED) { // a 503, or another site's answer
      stream.close()
      setTimeout(connect, 2000)
    }
  }
}

byId('filter').addEventListener('input', () => draw([...cards.values()].map(c => c.data).sort((a, b) => b.rank - a.rank || a.name.localeCompare(b.name)).map(c => c.kind + ' ' + c.name)))
connect()
