// Renders GraphiQL with the API's operations as tabs.
'use strict';

(function () {
  // A new email for each load, so that register always succeeds; the logins use it,
  // too.
  const suffix = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  const email = `ada-${suffix}@example.org`;
  const password = 'analytical-engine';

  const session = `message
    token
    connectySession
    ccUserId
    chatStatus
    user {
      id
      email
    }`;

  const examples = [
    {
      // GraphiQL shows no variables in its first tab, so that tab must not need any.
      query: `# Ctrl-Enter runs this, Ctrl-Space completes.
query hello {
  hello
}
`,
    },
    {
      query: `# Makes an account, here and at ConnectyCube.
mutation register($body: UserRegisterInput!) {
  register(body: $body) {
    message
    user {
      id
      email
      firstName
      lastName
    }
  }
}
`,
      variables: { body: { email, firstName: 'Ada', lastName: 'Lovelace', password } },
    },
    {
      query: `# The session comes by email and password.
mutation login($body: LoginUserDto!) {
  login(body: $body) {
    ${session}
  }
}
`,
      variables: { body: { email, password } },
    },
    {
      query: `# The session comes by a token of ours:
# ConnectyCube asks us whether it is genuine.
mutation login_By_token($body: LoginUserDto!) {
  login_By_token(body: $body) {
    ${session}
  }
}
`,
      variables: { body: { email, password } },
    },
  ];

  // GraphiQL stores documents, variables and history, and these variables contain
  // passwords. This storage keeps them in memory and stores only the theme.
  const kept = 'graphiql:theme';

  function makeStorage() {
    const memory = new Map();
    try {
      const theme = localStorage.getItem(kept);
      if (theme) memory.set(kept, theme);
    } catch {
      // The browser forbids storage, so the theme is not stored either.
    }
    function keep(change) {
      try {
        change(localStorage);
      } catch {
        // as above
      }
    }
    return {
      getItem: (key) => memory.get(key) ?? null,
      setItem(key, value) {
        memory.set(key, value);
        if (key === kept) keep((local) => local.setItem(key, value));
      },
      removeItem(key) {
        memory.delete(key);
        if (key === kept) keep((local) => local.removeItem(key));
      },
      clear() {
        memory.clear();
        keep((local) => local.removeItem(kept));
      },
      get length() {
        return memory.size;
      },
    };
  }

  const fetcher = GraphiQL.createFetcher({
    url: location.pathname,
    enableIncrementalDelivery: false,
    headers: { Accept: 'application/json' },
  });

  ReactDOM.createRoot(document.getElementById('playground')).render(
    React.createElement(GraphiQL, {
      fetcher,
      storage: makeStorage(),
      defaultTabs: examples.map(({ query, variables }) => ({
        query,
        variables: variables ? JSON.stringify(variables, null, 2) : '',
      })),
      defaultEditorToolsVisibility: true,
      isHeadersEditorEnabled: true,
      shouldPersistHeaders: false,
    }),
  );
})();
