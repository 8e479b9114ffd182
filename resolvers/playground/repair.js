// Makes what GraphiQL renders usable by keyboard and by screen readers. It has no settings for that.
'use strict';

var playgroundRepair = function (root) {
  const panes = {
    '.graphiql-query-editor': 'Operation',
    '.graphiql-editor-tool .graphiql-editor:nth-child(1)': 'Variables',
    '.graphiql-editor-tool .graphiql-editor:nth-child(2)': 'Headers',
    '.graphiql-response': 'Response',
  };

  // GraphiQL calls each item of its list of tabs a tab, which must not contain buttons
  // (https://www.w3.org/TR/wai-aria-1.2/#tab). Without the roles it is a list of buttons.
  function tabs() {
    for (const list of root.querySelectorAll('[role="tablist"]')) {
      list.removeAttribute('role');
      list.setAttribute('aria-label', 'Operations');
    }
    for (const item of root.querySelectorAll('li[role="tab"]')) item.removeAttribute('role');
    for (const item of root.querySelectorAll('li.graphiql-tab[aria-selected]')) {
      item.querySelector('.graphiql-tab-button')?.setAttribute('aria-pressed', item.getAttribute('aria-selected'));
      item.removeAttribute('aria-selected');
    }
  }

  function editors() {
    for (const [pane, name] of Object.entries(panes)) {
      for (const field of root.querySelectorAll(`${pane} textarea:not([aria-label])`)) field.setAttribute('aria-label', name);
      for (const scroller of root.querySelectorAll(`${pane} .CodeMirror-scroll[tabindex="-1"]`)) scroller.tabIndex = 0;
    }
  }

  // CodeMirror indents with the Tab key, which then cannot leave the editor
  // (https://www.w3.org/TR/WCAG21/#no-keyboard-trap). false leaves a key to the browser.
  const leavesEditor = { Tab: false, 'Shift-Tab': false };
  const repaired = new WeakSet();
  function keys() {
    for (const { CodeMirror } of root.querySelectorAll('.CodeMirror')) {
      if (repaired.has(CodeMirror)) continue;
      repaired.add(CodeMirror);
      CodeMirror.addKeyMap(leavesEditor);
    }
  }

  function repair() {
    tabs();
    editors();
    keys();
  }
  const watched = ['role', 'aria-selected', 'tabindex'];
  new MutationObserver(repair).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: watched });
};
