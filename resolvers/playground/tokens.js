// Hands the tokens of a reply, and a changed password, to the other tabs.
'use strict';

var playgroundTokens = function (React, useEditorContext) {
  let editors; // GraphiQL's state, as of its last rendering
  let tell = () => {};

  /** Calls hear with the headers for new tabs, after each login. */
  function onHeaders(hear) {
    tell = hear;
  }

  /** Renders nothing. Inside of GraphiQL it is where GraphiQL's state can be read. */
  function Reader() {
    editors = useEditorContext({ nonNull: true });
    return null;
  }

  /** Returns the first login in a reply: { token, refreshToken }, or undefined. */
  function loginIn(reply) {
    return Object.values(reply?.data ?? {}).find((field) => typeof field?.token === 'string');
  }

  function withMember(text, name, value) {
    let members = {};
    try {
      members = JSON.parse(text || '{}');
    } catch {
      return text; // not finished typing: it is the user's
    }
    return JSON.stringify({ ...members, [name]: value }, null, 2);
  }

  /** Writes the tokens into the tabs. The one that sent the request keeps what the user has typed there. */
  function share(reply) {
    const login = loginIn(reply);
    if (!login || !editors) return;
    tell(withMember('', 'Authorization', `Bearer ${login.token}`));
    for (const [index, tab] of editors.tabs.entries()) {
      // GraphiQL has no call that changes a tab in the back. It reads these fields when the tab comes to the front.
      const isRefresh = login.refreshToken && /\$refreshToken\b/.test(tab.query ?? '');
      if (isRefresh) tab.variables = withMember(tab.variables, 'refreshToken', login.refreshToken);
      if (index === editors.activeTabIndex) {
        if (isRefresh) editors.variableEditor?.setValue(tab.variables);
        continue;
      }
      tab.headers = withMember(tab.headers, 'Authorization', `Bearer ${login.token}`);
    }
  }

  /** Replaces a changed password in the variables of the other tabs. A reload begins with another email, as no password is kept. */
  function sharePassword({ variables }, reply) {
    if (!reply?.data?.changePassword || !editors) return;
    playgroundStorage.forgetEmail();
    const old = `"password": ${JSON.stringify(variables.current)}`;
    for (const tab of editors.tabs) tab.variables = tab.variables?.replaceAll(old, () => `"password": ${JSON.stringify(variables.new)}`);
  }

  return { Reader, onHeaders, share, sharePassword };
};
