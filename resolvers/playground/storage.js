// What the playground keeps, and where.
'use strict';

var playgroundStorage = (function () {
  const theme = 'graphiql:theme';
  const emailKey = 'playground:email';

  /** Runs an action with a storage of the browser, which may forbid it. */
  function attempt(action) {
    try {
      return action();
    } catch {
      return null; // then nothing outlives the page
    }
  }

  // GraphiQL stores documents, variables and history, and these variables contain
  // passwords. This storage keeps them in memory and stores only the theme.
  function forGraphiQL() {
    const memory = new Map();
    const stored = attempt(() => localStorage.getItem(theme));
    if (stored) memory.set(theme, stored);
    return {
      getItem: (key) => memory.get(key) ?? null,
      setItem(key, value) {
        memory.set(key, value);
        if (key === theme) attempt(() => localStorage.setItem(key, value));
      },
      removeItem(key) {
        memory.delete(key);
        if (key === theme) attempt(() => localStorage.removeItem(key));
      },
      clear() {
        memory.clear();
        attempt(() => localStorage.removeItem(theme));
      },
      get length() {
        return memory.size;
      },
    };
  }

  /** Returns the email of the examples: a new one in each tab of the browser, the same after a reload. */
  function email() {
    const kept = attempt(() => sessionStorage.getItem(emailKey));
    if (kept) return kept;
    const suffix = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
    const made = `ada-${suffix}@example.org`;
    attempt(() => sessionStorage.setItem(emailKey, made));
    return made;
  }

  /** Lets the next reload make another email. */
  function forgetEmail() {
    attempt(() => sessionStorage.removeItem(emailKey));
  }

  return { forGraphiQL, email, forgetEmail };
})();
