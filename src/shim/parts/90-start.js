// Comes and goes: the page's life, the kill switch, and leaving for good.

let hideTimer = 0;

function install() {
  active = true;
  if (!installFetch()) return uninstall();
  timers.install();
  installConsole();
  query.install();
  watchPerson();
  listen(D, 'visibilitychange', onVisibility);
  listen(W, 'pagehide', putAside);
  listen(W, 'pageshow', ({ persisted }) => persisted && !D.hidden && unpark());
  // Frozen: what comes meanwhile is old by the time it is read.
  listen(D, 'freeze', park);
  listen(D, 'resume', () => D.hidden || unpark());
  listen(W, 'online', () => tellWorker({ retry: true }));
  // The page's policy forbids the stream: each attempt would be one more line on the console. A
  // worker that it forbids can still run in the page.
  listen(D, 'securitypolicyviolation', ({ blockedURI, effectiveDirective }) => {
    const own = RegExp('^' + BASE + CONFIG.prefix + '/(stream$|worker)');
    if (own.test(blockedURI) && !/^worker/.test(effectiveDirective)) leave();
  });
  if (D.hidden) park();
  else unpark();
  // This page may have come from a login.
  tellTabs();
}

function onVisibility() {
  native.clearTimeout(hideTimer);
  if (D.hidden) {
    hideTimer = later(park, 5000);
    return;
  }
  unpark();
  for (const topic of topics.values()) if (topic.dirty) refresh(topic);
}

/**
 * Back to what was: no patch, no listener, no stream. Each step by itself, whatever the others do.
 */
function uninstall() {
  active = false;
  for (const step of [timers.uninstall, query.uninstall, park, ...undo.splice(0).reverse()]) {
    try {
      step();
    } catch {
      // The rest still has to go.
    }
  }
  native.clearTimeout(hideTimer);
  topics.clear();
  changed.clear();
  writers.clear();
  writing = 0;
}

/** Something went wrong in here: gone until the page is loaded anew. */
function leave() {
  if (active) uninstall();
}

/** `off`: gone, but for one timer that asks whether to come back. */
function switchOff(retry_ms) {
  uninstall();
  askMode(retry_ms || CONFIG.off_ms);
}

/** Native timer and native fetch: nothing is installed while this waits. */
function askMode(wait) {
  native.setTimeout(async () => {
    // Nobody looks: nobody waits for us either.
    if (D.hidden) return askMode(wait);
    let next = wait;
    try {
      const response = await native.fetch(BASE + CONFIG.prefix + '/mode', { cache: 'no-store' });
      if (response.ok && (await response.json()).mode === 'push') return guard(install)();
    } catch {
      // A proxy that is down shows on the console each time.
      next = Math.min(wait * 2, 300000);
    }
    askMode(next);
  }, jitter(wait));
}

if (CONFIG.mode === 'push') guard(install)();
else askMode(CONFIG.off_ms);
