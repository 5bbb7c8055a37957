// What script adds to Perdure's page. Everything works without it: links, forms and <details> do all the work.
'use strict';
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const pause = { least: 500, first: 1000, most: 10000 }; // milliseconds

  // MARK: Times. The server writes UTC; here they become the viewer's own, with UTC in the tooltip.
  function local(date, like) {
    const options = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
    if (/\d:\d\d:\d\d/.test(like)) options.second = '2-digit';
    if (/\b\d{4}\b/.test(like)) options.year = 'numeric';
    return new Intl.DateTimeFormat('en-GB', options).format(date).replace(/,/g, '');
  }
  const utc = (date) => `${date.toISOString().slice(0, 23).replace('T', ' ')} UTC`;
  function age(date) {
    const seconds = Math.round((Date.now() - date) / 1000), size = Math.abs(seconds);
    const [count, unit] = size < 60 ? [size, 's'] : size < 3600 ? [size / 60, 'm'] : size < 86400 ? [size / 3600, 'h'] : [size / 86400, 'd'];
    return seconds < 0 ? `in ${Math.floor(count)}${unit}` : `${Math.floor(count)}${unit} ago`;
  }

  function showTimes(root) {
    for (const time of all('time[datetime]', root)) {
      const date = new Date(time.dateTime), isOther = 'age' in time.dataset || 'offset' in time.dataset;
      time.title = isOther ? `${local(date, '0:00:00')} · ${utc(date)}` : utc(date);
      if (!isOther) time.textContent = local(date, time.textContent);
    }
  }
  const showAges = (root) => all('time[data-age]', root).forEach((time) => { time.textContent = age(new Date(time.dateTime)); });

  // MARK: Regions. Each element with data-live and an id is replaced when the server says something else.
  const seen = new Map();
  // A region as the server wrote it, without what differs in every answer.
  function source(region) {
    const copy = region.cloneNode(true);
    for (const time of all('time[data-age]', copy)) time.textContent = '';
    for (const input of all('input[name="once"], input[name="guard"]', copy)) input.setAttribute('value', '');
    return copy.outerHTML;
  }

  function prepare(root) {
    showTimes(root);
    showAges(root);
    for (const element of all(navigator.clipboard ? '.copy, [data-with-script]' : '[data-with-script]', root)) element.hidden = false;
    for (const element of all('[data-without-script]', root)) element.hidden = true;
  }

  function isBusy(region) {
    const active = document.activeElement, selection = getSelection();
    return (region.contains(active) && active.closest('form, select, textarea')) || (!selection.isCollapsed && region.contains(selection.anchorNode));
  }

  // What finds the focused element again in the new region.
  function focusKey(region) {
    const active = document.activeElement;
    if (!region.contains(active) || active === region) return null;
    for (const name of ['id', 'data-step', 'data-copy', 'aria-label', 'href']) {
      if (active.hasAttribute(name)) return `[${name}="${CSS.escape(active.getAttribute(name))}"]`;
    }
    const details = active.closest('details[id]');
    return details && active.matches('summary') ? `#${CSS.escape(details.id)} > summary` : null;
  }

  function replace(region, fresh, isAsked) {
    const text = source(fresh);
    if (text === seen.get(region.id)) return;
    if (!isAsked && isBusy(region)) { isPostponed = true; return; }
    const open = new Set(all('details[id]', region).filter((it) => it.open).map((it) => it.id));
    const was = new Set(all('details[id]', region).map((it) => it.id));
    const focus = focusKey(region), top = (it) => it.getBoundingClientRect().top;
    const anchor = top(region) < 0 && all('[id]', region).find((it) => top(it) > 0), height = anchor && top(anchor);
    const scrolled = all('pre', region).filter((it) => it.scrollTop > 0).map((it) => [it.getAttribute('aria-label'), it.scrollTop]);
    const node = document.importNode(fresh, true);
    for (const details of all('details[id]', node)) if (was.has(details.id)) details.open = open.has(details.id);
    prepare(node);
    region.replaceWith(node);
    seen.set(node.id, text);
    if (anchor && document.getElementById(anchor.id)) scrollBy(0, top(document.getElementById(anchor.id)) - height); // What is read stays.
    for (const [label, place] of scrolled) all('pre', node).filter((it) => it.ariaLabel === label).forEach((it) => { it.scrollTop = place; });
    if (focus) (node.querySelector(focus) ?? node.querySelector('[data-step="previous"], [data-step="next"]'))?.focus({ preventScroll: true });
  }

  async function load(address) {
    const answer = await fetch(address, { headers: { accept: 'text/html' }, credentials: 'same-origin', cache: 'no-store' });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), 'text/html');
  }

  let wanted = null, isLoading = false, last = 0, isPostponed = false;
  // Fetches a page, by default this one, and takes over what differs: one at a time, and for live updates at most two in a second.
  async function refresh(asked = null) {
    wanted = { asked: asked ?? wanted?.asked };
    if (isLoading) return true;
    isLoading = true;
    try {
      while (wanted) {
        const rest = wanted.asked ? 0 : last + pause.least - Date.now();
        if (rest > 0) await new Promise((done) => setTimeout(done, rest));
        const address = wanted.asked ?? location.href, isAsked = Boolean(wanted.asked);
        wanted = null;
        last = Date.now();
        const page = await load(address);
        if (wanted?.asked) continue; // Something else was asked for meanwhile.
        isPostponed = false;
        for (const region of all('[data-live][id]')) {
          if (page.getElementById(region.id)) replace(region, page.getElementById(region.id), isAsked);
        }
        if (isAsked) history.replaceState(null, '', address);
        document.title = page.title;
        showStep();
      }
      return true;
    } catch {
      wanted = null;
      return false;
    } finally {
      isLoading = false;
    }
  }

  // MARK: Live. An event stream or a timer says when to look again; nothing of it is shown itself.
  const status = document.getElementById('link-state');
  function say(word) {
    if (status.textContent !== word) status.textContent = status.dataset.state = word;
  }

  function stream(address) {
    let events = null, wait = pause.first, timer = 0, isOver = false, last = '';
    const look = async () => { if (!(await refresh())) say('reconnecting…'); else if (events?.readyState === EventSource.OPEN) say('live'); };
    const close = () => { clearTimeout(timer); events?.close(); events = null; };
    const connect = () => {
      close();
      if (isOver) return;
      events = new EventSource(last ? address.replace(/after=\d+/, `after=${last}`) : address);
      events.onopen = () => { wait = pause.first; look(); };
      events.onmessage = (event) => { last = event.lastEventId || last; look(); };
      // The run is over and told in full: nothing more comes.
      events.addEventListener('end', () => { isOver = true; close(); refresh(); say(''); });
      events.onerror = () => {
        say('reconnecting…');
        if (events?.readyState !== EventSource.CLOSED) return; // The browser tries again by itself.
        close();
        timer = setTimeout(connect, wait);
        wait = Math.min(wait * 1.7, pause.most);
      };
    };
    document.addEventListener('visibilitychange', () => (document.hidden ? close() : connect()));
    addEventListener('pagehide', close); // A page that is kept for going back becomes visible again.
    if (!document.hidden) connect();
  }

  for (const name of ['focusout', 'pointerup']) document.addEventListener(name, () => { if (isPostponed) setTimeout(refresh, 300); });

  function poll(seconds) {
    let wait = seconds * 1000, timer = 0;
    const look = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      const isWell = await refresh();
      say(isWell ? 'live' : 'reconnecting…');
      wait = isWell ? seconds * 1000 : Math.max(seconds * 1000, Math.min(wait * 1.7, pause.most));
      clearTimeout(timer);
      timer = setTimeout(look, wait);
    };
    document.addEventListener('visibilitychange', look);
    timer = setTimeout(look, wait);
  }

  // MARK: Replay
  // The slider and the list of events follow the step that is shown.
  function showStep() {
    const place = document.getElementById('replay'), range = document.querySelector('[data-step-form] input');
    if (!place || !range) return;
    range.max = place.dataset.count;
    if (document.activeElement !== range) range.value = place.dataset.at;
    const list = place.querySelector('.nearby'), here = list.querySelector('[aria-current]');
    if (here) list.scrollTop += here.getBoundingClientRect().top - list.getBoundingClientRect().top - list.clientHeight / 2;
  }

  const steps = { ArrowLeft: 'previous', ArrowRight: 'next', Home: 'first', End: 'last' };
  const closeMenus = (but = null) => all('details:is(.menu, .namespaces)').forEach((it) => { if (!it.contains(but)) it.open = false; });

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') closeMenus();
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest('input, select, textarea, pre, dialog')) return;
    const link = steps[event.key] && document.querySelector(`[data-step="${steps[event.key]}"]`);
    if (!link) return;
    event.preventDefault();
    refresh(link.href);
  });

  document.addEventListener('input', (event) => {
    const form = event.target.closest('[data-step-form]');
    if (form) refresh(`${form.action}?at=${event.target.value}`);
    if (!event.target.matches('textarea[data-json]')) return; // Checked while it is typed; the server checks it again.
    event.target.setCustomValidity('');
    try { JSON.parse(event.target.value.trim() || '0'); } catch (error) { event.target.setCustomValidity(`This is not JSON: ${error.message}`); }
  });

  // MARK: Clicks
  const dialog = document.getElementById('dialog');
  async function ask(link) {
    try {
      const panel = (await load(link.href)).querySelector('[data-confirm-panel]');
      const node = document.importNode(panel, true), heading = node.querySelector('[data-dialog-title]'), title = document.createElement('h2');
      Object.assign(title, { id: 'dialog-title', className: 'dialog-title', textContent: heading.textContent });
      heading.replaceWith(title);
      node.removeAttribute('aria-labelledby');
      prepare(node);
      dialog.replaceChildren(node);
      dialog.showModal();
      node.querySelector('input:not([type="hidden"]), textarea, select')?.focus();
    } catch {
      location.href = link.href; // The page that asks the same.
    }
  }

  document.addEventListener('click', async (event) => {
    const isPlain = event.button === 0 && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    closeMenus(event.target);
    const copy = event.target.closest('[data-copy]');
    if (copy) {
      const label = copy.dataset.copied ?? copy.ariaLabel;
      await navigator.clipboard.writeText(copy.dataset.copy);
      Object.assign(copy, { ariaLabel: 'Copied' }).dataset.copied = label;
      setTimeout(() => { delete copy.dataset.copied; copy.ariaLabel = label; }, 1500);
    }
    const link = event.target.closest('a[href]');
    if (event.target === dialog || event.target.closest('#dialog [data-dialog-close]')) {
      event.preventDefault();
      dialog.close();
    } else if (link && isPlain && 'confirm' in link.dataset && dialog?.showModal) {
      event.preventDefault();
      ask(link);
    } else if (link && isPlain && link.matches('[data-step], .nearby a')) {
      event.preventDefault();
      refresh(link.href);
    }
  });

  // MARK: Start
  for (const region of all('[data-live][id]')) seen.set(region.id, source(region));
  prepare(document);
  showStep();
  setInterval(() => showAges(document), 5000);
  const list = document.querySelector('.nav'), zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  list.scrollLeft = (list.querySelector('[aria-current]')?.offsetLeft ?? 0) - 60; // Only a phone scrolls there.
  if (zone !== 'UTC') document.getElementById('zone-note').textContent = `Times are in ${zone}, and in UTC where you point at them.`;
  const { liveSource, liveEvery } = document.body.dataset;
  if (liveSource) stream(liveSource);
  else if (Number(liveEvery) > 0) poll(Number(liveEvery));
})();
