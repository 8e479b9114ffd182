// Renders GraphiQL with the API's operations as tabs.
'use strict';

(function () {
  const { createElement, useEffect, useState } = React;
  const tokens = playgroundTokens(React, GraphiQL.React.useEditorContext);

  const send = GraphiQL.createFetcher({
    url: location.pathname,
    enableIncrementalDelivery: false,
    headers: { Accept: 'application/json' },
  });

  /** Returns the name of the only operation in a document, else the given name. */
  function operationName({ query, operationName }) {
    try {
      const operations = GraphiQL.GraphQL.parse(query).definitions.filter(({ kind }) => kind === 'OperationDefinition');
      return operations.length === 1 ? operations[0].name?.value : operationName;
    } catch {
      return operationName; // the server says what is wrong
    }
  }

  // Just after a change of tabs, GraphiQL still sends the name of the former operation.
  async function fetcher(request, options) {
    try {
      const reply = await send({ ...request, operationName: operationName(request) }, options);
      tokens.share(reply);
      tokens.sharePassword(request, reply);
      return reply;
    } catch (error) {
      // GraphiQL would show the error's stack.
      return { errors: [{ message: `No answer of the API: ${error.message}. Does the server still run?` }] };
    }
  }

  const tabs = playgroundExamples(playgroundStorage.email());

  const root = document.getElementById('playground');
  playgroundRepair(root);

  const storage = playgroundStorage.forGraphiQL();
  const defaultTabs = tabs.map(({ query, variables }) => ({
    query,
    variables: variables ? JSON.stringify(variables, null, 2) : '',
    headers: '',
  }));

  function Playground() {
    const [defaultHeaders, setDefaultHeaders] = useState(''); // of tabs that the user opens
    useEffect(() => tokens.onHeaders(setDefaultHeaders), []);
    return createElement(
      GraphiQL,
      { fetcher, storage, defaultTabs, defaultHeaders, defaultEditorToolsVisibility: true, isHeadersEditorEnabled: true, shouldPersistHeaders: false },
      createElement(GraphiQL.Logo, null, createElement(tokens.Reader)),
    );
  }

  ReactDOM.createRoot(root).render(createElement(Playground));
})();
